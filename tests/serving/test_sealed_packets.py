"""The task token on the wire: nothing in it can be read, changed, moved or used too late."""

import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from fusion import FusionTask, Reference, Role, Stage, StageRecord, TaskState, Trace
from serving import SecretMissing
from serving.packet import JobPacket, Order, open_packet, seal_packet
from serving.seal import Seal, SealBroken, open_seal


def a_seal() -> Seal:
    return Seal([Fernet.generate_key().decode()])


def a_packet(expires: float | None = None) -> JobPacket:
    task = FusionTask(
        id="portrait_1",
        references=(Reference(Role.IDENTITY, "ada.png", "abc"), Reference(Role.MASK, "mask", "d")),
        operations=(Stage.PHOTOS, Stage.DENOISE),
        created=time.time(),
        ttl_seconds=60.0,
        state=TaskState.RUNNING,
        trace=Trace((StageRecord(Stage.PHOTOS, 0.5, 1024, ("read",), ("less",)),)),
    )
    order = Order(
        kind="portrait",
        attributes={"age": 30, "glasses": True, "hat": "none", "wearing": ["a coat"]},
        text="a secret wish",
        chosen_seed=7,
        count=1,
    )
    return JobPacket(
        model="mini",
        order=order,
        task=task,
        expires=time.time() + 60 if expires is None else expires,
    )


def test_a_packet_of_before_there_were_books_can_be_opened() -> None:
    seal, packet = a_seal(), a_packet()
    before = packet.model_dump_json(exclude={"take": True, "bytes_received": True})
    opened = open_packet(seal, seal.close(before.encode(), "job portrait_1"), "portrait_1")
    assert opened == packet
    assert (opened.take, opened.usage) == (1, None)


def test_a_task_comes_back_as_it_went() -> None:
    packet = a_packet()
    seal = a_seal()
    opened = open_packet(seal, seal_packet(seal, packet), "portrait_1")
    assert opened == packet
    assert opened.task == packet.task
    assert isinstance(opened.task, FusionTask)
    order = opened.order.attributes
    assert order is not None
    assert order["glasses"] is True, "truth values do not become numbers"


def test_nothing_of_it_can_be_read() -> None:
    sealed = seal_packet(a_seal(), a_packet())
    assert b"secret" not in sealed
    assert b"ada" not in sealed


def test_one_changed_byte_is_found_wherever_it_is() -> None:
    seal = a_seal()
    sealed = seal_packet(seal, a_packet())
    for place in range(0, len(sealed), 37):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            open_packet(seal, changed, "portrait_1")


def test_another_jobs_packet_is_not_taken_for_this_ones() -> None:
    seal = a_seal()
    with pytest.raises(SealBroken):
        open_packet(seal, seal_packet(seal, a_packet()), "portrait_2")


def test_an_expired_packet_is_not_opened() -> None:
    seal = a_seal()
    with pytest.raises(SealBroken, match="expired"):
        open_packet(seal, seal_packet(seal, a_packet(time.time() - 1)), "portrait_1")


def test_another_secret_opens_nothing_and_an_older_one_still_does() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Seal([old]).close(b"x", "here")
    with pytest.raises(SealBroken):
        Seal([new]).open(sealed, "here")
    assert Seal([new, old]).open(sealed, "here") == b"x"


@given(data=st.binary(max_size=200), place=st.text(max_size=20).filter(lambda t: "\0" not in t))
def test_what_was_sealed_for_a_place_opens_there_and_only_there(data: bytes, place: str) -> None:
    seal = Seal(["0" * 43 + "="])
    sealed = seal.close(data, place)
    assert seal.open(sealed, place) == data
    with pytest.raises(SealBroken):
        seal.open(sealed, place + "x")


def test_the_secret_is_made_once_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIMNER_SECRET", raising=False)
    sealed = open_seal(tmp_path).close(b"x", "here")
    assert open_seal(tmp_path).open(sealed, "here") == b"x"
    assert (tmp_path / "secret.key").stat().st_mode & 0o077 == 0
    (tmp_path / "secret.key").write_text("no secret\n")
    with pytest.raises(SecretMissing):
        open_seal(tmp_path)
