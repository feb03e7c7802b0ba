"""A pool saved and taken up again, and every way in which a file can be wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cache import PoolRecord, PrefixPool
from models import PoolFileRejected, PrefixCachedTextEncoder, load_pool, save_pool
from models import prefix_files as module
from tests.models.texts import agrees, encoder, ids, own, prompt, text_model, traffic

HEAD = list(range(3, 33))
WORDS = [ids(prompt(*HEAD, last)) for last in (40, 41, 42)]


def warmed(seed: int = 0) -> PrefixCachedTextEncoder:
    cached = encoder(text_model(seed=seed))
    for words in WORDS:
        cached.encode(words)
        cached.encode(words, clip_skip=1, final_norm=False, namespace=("someone",))
    return cached


def content(pool: PrefixPool) -> dict[object, list[bytes]]:
    def states(record: PoolRecord) -> list[bytes]:
        return [each.numpy().tobytes() for each in vars(record.value).values()]

    return {(each.scope, tuple(each.tokens), each.start): states(each) for each in pool.records()}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    assert save_pool(warmed(), tmp_path / "pool") == 8
    return tmp_path / "pool"


def states_file(directory: Path) -> Path:
    (file,) = directory.glob("states-*.safetensors")
    return file


def edit(directory: Path, change: Callable[[dict[str, object]], object]) -> None:
    file = directory / "index.json"
    index = json.loads(file.read_text())
    change(index)
    file.write_text(json.dumps(index))


def refused(directory: Path, message: str, cached: PrefixCachedTextEncoder | None = None) -> None:
    cached = cached or encoder(text_model())
    with pytest.raises(PoolFileRejected, match=message) as caught:
        load_pool(cached, directory)
    assert "\n" not in str(caught.value).removesuffix("\n")
    assert len(cached.pool) == 0
    agrees(cached, WORDS[0])


class TestTakenUpAgain:
    def test_the_same_hits_and_equal_states(self, saved: Path) -> None:
        before, cached = warmed(), encoder(text_model())
        assert load_pool(cached, saved) == 8
        assert content(cached.pool) == content(before.pool)
        assert cached.pool.statistics().size_bytes == before.pool.statistics().size_bytes
        for words in WORDS:
            states = cached.encode(words)
            assert states.positions_computed == 0
            assert torch.equal(states.hidden, before.encode(words).hidden)
            assert torch.equal(states.pooled, before.encode(words).pooled)
            other = {"clip_skip": 1, "final_norm": False, "namespace": ("someone",)}
            assert cached.encode(words, **other).wholes == 1  # type: ignore[arg-type]
        new = ids(prompt(*HEAD, 50))
        assert cached.encode(new).positions_reused == 31
        agrees(cached, new)

    def test_after_random_traffic_with_evictions(self, tmp_path: Path) -> None:
        before = encoder(text_model(), 900_000)
        for batch in traffic(40):
            before.encode(batch)
        assert before.pool.statistics().evictions > 0
        save_pool(before, tmp_path)
        cached = encoder(text_model(), 900_000)
        assert load_pool(cached, tmp_path) == len(before.pool)
        assert content(cached.pool) == content(before.pool)
        for batch in traffic(20, seed=1):
            agrees(cached, batch)

    def test_what_was_loaded_is_saved_again_though_nobody_asked_for_it(self, saved: Path) -> None:
        """Only outputs asked for were saved: a restart without traffic emptied the file."""
        cached = encoder(text_model())
        load_pool(cached, saved)
        assert save_pool(cached, saved) == 8
        again = encoder(text_model())
        assert load_pool(again, saved) == 8

    def test_an_empty_pool(self, tmp_path: Path) -> None:
        assert save_pool(encoder(text_model()), tmp_path) == 0
        assert load_pool(encoder(text_model()), tmp_path) == 0

    def test_a_model_of_lower_precision(self, tmp_path: Path) -> None:
        before = encoder(text_model().to(torch.bfloat16))
        wanted = before.encode(WORDS[0])
        save_pool(before, tmp_path)
        cached = encoder(text_model().to(torch.bfloat16))
        load_pool(cached, tmp_path)
        states = cached.encode(WORDS[0])
        assert (states.wholes, states.hidden.dtype) == (1, torch.bfloat16)
        assert torch.equal(states.hidden, wanted.hidden)

    def test_only_this_models_prompts_are_saved(self, tmp_path: Path) -> None:
        cached = warmed()
        PrefixCachedTextEncoder(text_model(seed=1), cached.pool).encode(WORDS[0])
        assert save_pool(cached, tmp_path) == 8

    def test_a_smaller_pool_keeps_the_most_recent(self, tmp_path: Path) -> None:
        before = encoder(text_model())
        for last in range(40, 60):
            before.encode(ids(prompt(last, 5)))
        before.encode(ids(prompt(40, 5)))
        save_pool(before, tmp_path)
        size = before.pool.statistics().size_bytes
        cached = encoder(text_model(), size // 5)
        load_pool(cached, tmp_path)
        held = [each.tokens[1] for each in cached.pool.records()]
        assert held == [57, 58, 59, 40]

    def test_nothing_is_left_over_from_earlier_saves(self, saved: Path) -> None:
        cached = warmed()
        for last in range(50, 53):
            cached.encode(ids(prompt(*HEAD, last)))
            save_pool(cached, saved)
            assert sorted(each.suffix for each in saved.iterdir()) == [".json", ".safetensors"]


class TestRefused:
    def test_a_file_cut_short(self, saved: Path) -> None:
        file = states_file(saved)
        file.write_bytes(file.read_bytes()[:-100])
        refused(saved, "cut short or changed")

    @pytest.mark.parametrize("place", [3, 100, -1])
    def test_a_byte_changed(self, saved: Path, place: int) -> None:
        file = states_file(saved)
        raw = bytearray(file.read_bytes())
        raw[place] ^= 1
        file.write_bytes(raw)
        refused(saved, "cut short or changed")

    def test_other_weights_precision_settings_or_adapters(self, saved: Path) -> None:
        tuned = text_model()
        with torch.no_grad():
            tuned.encoder.layers[0].mlp.fc1.bias[0] += 1
        for model in (text_model(seed=1), tuned, text_model(hidden_act="gelu")):
            refused(saved, "another text encoder", encoder(model))
        lowered = encoder(text_model().to(torch.bfloat16))
        with pytest.raises(PoolFileRejected, match="another text encoder"):
            load_pool(lowered, saved)
        assert len(lowered.pool) == 0

    def test_no_index_or_no_folder_or_no_states(self, saved: Path, tmp_path: Path) -> None:
        refused(tmp_path / "nowhere", "holds no saved pool")
        states_file(saved).unlink()
        refused(saved, "is missing")
        (saved / "index.json").unlink()
        refused(saved, "holds no saved pool")

    @pytest.mark.parametrize(
        "garbage", [b"", b"{", b"\xff\xfe\x00", b"[]", b"{}", b'{"format": 2}', b"null"]
    )
    def test_a_garbage_index(self, saved: Path, garbage: bytes) -> None:
        (saved / "index.json").write_bytes(garbage)
        refused(saved, "no index of a saved pool")

    def test_an_index_cut_short(self, saved: Path) -> None:
        file = saved / "index.json"
        file.write_bytes(file.read_bytes()[:-50])
        refused(saved, "no index of a saved pool")

    def test_a_changed_token_in_the_index(self, saved: Path) -> None:
        """Only the states were sealed: one digit gave a prompt the states of another."""

        def change(index: dict[str, object]) -> None:
            index["entries"][-1]["tokens"][32] ^= 1  # type: ignore[index]

        edit(saved, change)
        refused(saved, "was changed since")

    @pytest.mark.parametrize("field", ["namespace", "clip_skip", "start"])
    def test_any_other_change_of_the_index(self, saved: Path, field: str) -> None:
        value = {"namespace": ["else"], "clip_skip": 2, "start": 1}[field]
        edit(saved, lambda index: index["entries"][0].update({field: value}))  # type: ignore[index]
        refused(saved, "was changed since")

    @pytest.mark.parametrize(
        "name", ["../elsewhere.safetensors", "/etc/hostname", "", "index.json"]
    )
    def test_states_that_lie_elsewhere(self, saved: Path, name: str) -> None:
        shutil.copy(states_file(saved), saved.parent / "elsewhere.safetensors")
        index = module.read_pool_index(saved).model_copy(update={"states": name})
        sealed = index.model_copy(update={"seal": index.content()})
        (saved / "index.json").write_text(sealed.model_dump_json())
        refused(saved, "is missing")

    @pytest.mark.parametrize("wrong", ["length", "names", "format"])
    def test_states_that_are_not_what_the_index_says(self, saved: Path, wrong: str) -> None:
        """Sealed all the same: written by something that is wrong itself."""
        file = states_file(saved)
        if wrong == "format":
            file.write_bytes(b"no safetensors")
        else:
            name = "0.hidden" if wrong == "length" else "else"
            save_file({name: torch.zeros(3, 64)}, file)
        index = module.read_pool_index(saved)
        index = index.model_copy(update={"digest": module.digest_file(file)})
        sealed = index.model_copy(update={"seal": index.content()})
        (saved / "index.json").write_text(sealed.model_dump_json())
        refused(saved, "warm the pool anew")


@pytest.mark.parametrize("fails", ["save_file", "replace", "write"])
def test_a_save_that_fails_half_way_leaves_the_old_one_usable(
    saved: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    cached = warmed()
    for last in (60, 61):
        cached.encode(ids(prompt(*HEAD, last)))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if fails == "save_file":
            patch.setattr(module, "save_file", full)
        elif fails == "replace":
            patch.setattr(os, "replace", full)
        else:
            patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            save_pool(cached, saved)
    again = encoder(text_model())
    assert load_pool(again, saved) == 8
    assert not list(saved.glob("*.part"))
    assert torch.equal(again.encode(WORDS[0]).hidden, own(again.text_model, WORDS[0])[0])
    assert save_pool(cached, saved) == 10
    assert len(list(saved.glob("states-*"))) == 1
