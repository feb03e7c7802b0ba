"""When things break under the server: a full disk, a slow client, an engine that fails."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from fusion import (
    BudgetExceeded,
    CurrencyMismatch,
    DrawingFailed,
    Ending,
    EngineBusy,
    FusionCancelled,
    InvalidSize,
    TaskExpired,
    decimal_of,
)
from models import BundleCorrupt, FaceNotFound, ImageRejected
from prompting import UnknownAttribute
from serving import Limits, SecretMissing
from serving.errors import translate
from serving.usage import usage_of
from tests.serving.conftest import Running, Start, accounts_of


@contextmanager
def full_disk(running: Running) -> Iterator[None]:
    """SQLite's own limit of pages: every write that needs another one fails as on a full disk."""
    engine = running.server.database._engine

    def limit(connection: Any, _record: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    engine.dispose()
    event.listen(engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(engine, "connect", limit)
        engine.dispose()


def test_on_a_full_disk_nothing_is_accepted_and_the_server_lives(start: Start) -> None:
    running = start()
    body = {"steps": 1, "text": "a man " + "with a very long beard " * 150}
    with running.client() as client:
        assert client.post("/v1/portraits", json={"steps": 1}).status_code == 200
        with full_disk(running):
            answers = [client.post("/v1/portraits", json=body) for _ in range(4)]
            assert client.get("/v1/models").status_code == 200
        after = client.post("/v1/portraits", json={"steps": 1})
    refused = answers[-1]
    assert refused.status_code == 503, refused.text
    assert refused.json()["error"]["code"] == "storage_unavailable"
    assert str(running.server.settings.folder) not in refused.text
    assert after.status_code == 200


def test_a_picture_that_cannot_be_kept_is_delivered_all_the_same(
    start: Start, price_table: Path
) -> None:
    running = start(prices=price_table)
    with running.client() as client:
        client.post("/v1/portraits", json={"steps": 1})
        job = client.post("/v1/portraits", json={"steps": 120, "wait": False}).json()
        feed = running.server.runner.feed(job["id"])
        assert feed is not None
        with (
            full_disk(running),
            client.stream("GET", f"/v1/portraits/{job['id']}/events") as told,
        ):
            *_, last = (line for line in told.iter_lines() if line.startswith("data: "))
        told = json.loads(last[6:])["portrait"]
        told_picture = told["images"][0]["b64_json"]
        assert accounts_of(running)[-1].ending is None
        # And it is written down once there is room: nothing stays under way for ever.
        running.server.runner.write_late()
        kept = client.get(f"/v1/portraits/{job['id']}").json()
    assert kept["status"] == "completed"
    assert kept["images"][0]["b64_json"] == told_picture
    # And booked, once: with the quantities that were told, and its cost.
    running.server.runner.write_late()
    booked = accounts_of(running)[-1]
    assert booked.ending is Ending.DONE
    assert told["usage"].get("cost") is None
    assert kept["usage"] == {**told["usage"], **usage_of(booked).model_dump()}
    assert kept["usage"]["cost"]["amount"] == decimal_of(booked.cost) != "0"
    counted = running.server.metrics.registry.get_sample_value("limner_pictures_total")
    assert counted == 2


def test_a_body_that_does_not_arrive_is_not_waited_for(start: Start) -> None:
    running = start(limits=Limits(body_seconds=0.3, requests_per_minute=1000))
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"POST /v1/portraits HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {running.key}"
            "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        began = time.monotonic()
        answer = connection.recv(65536).decode()
    assert time.monotonic() - began < 5
    assert answer.startswith("HTTP/1.1 408")
    assert "too_slow" in answer


def test_models_that_break_are_a_fault_of_ours_without_a_path(
    start: Start, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(bundle=tiny_bundle)
    with running.client() as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.05)
        # Put back at the end: engines of one process share the models of a bundle.
        monkeypatch.setattr(running.server.engine._source.drawer().vae, "decode", None)
        answer = client.post("/v1/portraits", json={"steps": 1})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert str(tmp_path) not in answer.text
    assert "NoneType" not in answer.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (FaceNotFound("no face"), 422, "no_face_detected"),
        (ImageRejected("bad"), 400, "image_rejected"),
        (InvalidSize("bad"), 400, "invalid_size"),
        (UnknownAttribute("x", ["age"]), 400, "unknown_attribute"),
        (FusionCancelled("gone"), 410, "cancelled"),
        (TaskExpired("late"), 503, "expired"),
        (EngineBusy("full"), 429, "queue_full"),
        (BudgetExceeded("spent"), 429, "budget_exceeded"),
        (CurrencyMismatch("EUR, USD"), 403, "budget_unusable"),
        (DrawingFailed("nan"), 500, "drawing_failed"),
        (BundleCorrupt("/root/secret/path is gone"), 500, "internal_error"),
        (OSError("/root/secret/path"), 500, "internal_error"),
        (ValueError("not one of ours: /root"), 500, "internal_error"),
    ],
)
def test_every_failure_has_its_answer_and_a_fault_of_ours_tells_nothing(
    error: Exception, status: int, code: str
) -> None:
    answer = translate(error)
    assert answer.status == status
    assert answer.body.code == code
    assert "/root" not in answer.body.message


def test_reading_does_not_wait_for_a_writer(start: Start) -> None:
    running = start()
    with running.server.database.writing(), running.client() as client:
        began = time.monotonic()
        assert client.get("/v1/models").status_code == 200
        assert client.get("/v1/portraits").status_code == 200
    assert time.monotonic() - began < 5


def test_a_database_sealed_with_another_secret_is_not_started_on(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(folder=tmp_path)
    monkeypatch.setenv("LIMNER_SECRET", "1" * 43 + "=")
    with pytest.raises(SecretMissing, match="another secret"):
        start(folder=tmp_path)


def test_what_a_read_meets_on_a_closed_engine_stays_accepted(start: Start) -> None:
    """A job that is begun while the server ends is the next server's, not a failure."""
    running = start()
    with running.client() as client:
        client.post("/v1/portraits", json={"steps": 1})
        running.server.engine.close()
        job_id = client.post("/v1/portraits", json={"wait": False}).json()["id"]
        running.server.desk.draining = True
        running.server.runner.drain(0.0)
        job = running.server.store.get(job_id)
        followed = client.get(f"/v1/portraits/{job_id}/events").text
    assert job is not None
    assert not job.packet.state.ended
    assert "shutting_down" in followed
