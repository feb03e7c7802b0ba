"""Engines on disk: whole or not at all, and from nobody else's hands."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cache import Digest, digest
from models import EngineEntry, EngineRefused, EngineStore
from models.backends.store import EngineRecord, record_of
from models.backends.trust import distrusted

KEY = digest("an engine")
ME, ANOTHER = 1000, 1001


def build(folder: Path) -> EngineRecord:
    """An engine of a few bytes."""
    (folder / "graph.bin").write_bytes(b"engine")
    return record_of(
        backend="onnx",
        bundle="tiny",
        graph="denoiser",
        size=(8, 8),
        dtype="float32",
        device="cpu",
        facts={},
        psnr_db=100.0,
        build_seconds=1.0,
    )


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


def found(uid: int, mode: int) -> os.stat_result:
    """A folder of that owner and mode."""
    return os.stat_result((stat.S_IFDIR | mode, 0, 0, 1, uid, uid, 0, 0, 0, 0))


class TestTrust:
    def test_what_limner_makes_is_its_users_alone(self, store: EngineStore) -> None:
        entry = store.write(KEY, build)
        assert store.open(KEY) == entry
        for folder in (store.root, entry.folder):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    @pytest.mark.parametrize("place", ["", "engine", "engine/graph.bin", "engine/tensorrt/plan"])
    def test_an_engine_that_others_could_write_is_not_run(
        self, store: EngineStore, place: str
    ) -> None:
        entry = store.write(KEY, build)
        (entry.folder / "tensorrt").mkdir()
        (entry.folder / "tensorrt" / "plan").write_bytes(b"plan")
        for folder in (store.root, entry.folder):
            folder.chmod(0o755)
        assert store.open(KEY) == entry
        place = place.replace("engine", KEY)
        (store.root / place).chmod(0o775)
        with pytest.raises(EngineRefused, match=r"can be written by others .* LIMNER_ENGINES"):
            store.open(KEY)

    def test_files_in_a_folder_that_others_cannot_enter_may_have_any_mode(
        self, store: EngineStore
    ) -> None:
        entry = store.write(KEY, build)
        (entry.folder / "graph.bin").chmod(0o664)  # as a umask of 002 leaves them
        assert store.open(KEY) == entry

    def test_a_store_that_others_can_write_is_refused_before_anything_is_built(
        self, tmp_path: Path
    ) -> None:
        def never(folder: Path) -> EngineRecord:
            raise AssertionError("built")

        tmp_path.chmod(0o777)
        with pytest.raises(EngineRefused, match="can be written by others"):
            EngineStore(tmp_path).write(KEY, never)

    @pytest.mark.parametrize(
        ("uid", "mode", "within", "reason"),
        [
            (ME, 0o755, False, ""),
            (0, 0o755, False, ""),
            (ANOTHER, 0o755, False, "another user (uid 1001)"),
            (ANOTHER, 0o700, True, "another user (uid 1001)"),
            (ME, 0o775, False, "can be written by others (mode 775)"),
            (0, 0o757, False, "can be written by others (mode 757)"),
            (ME, 0o777, True, ""),
        ],
    )
    def test_owners_are_this_user_and_root(
        self, uid: int, mode: int, within: bool, reason: str
    ) -> None:
        said = distrusted(found(uid, mode), ME, within)
        assert reason in said
        assert bool(reason) is bool(said)


class TestWriting:
    def test_many_may_write_one_engine_at_once(self, store: EngineStore) -> None:
        writers = 4
        together = threading.Barrier(writers)

        def build_together(folder: Path) -> EngineRecord:
            together.wait()
            return build(folder)

        def write(key: Digest) -> EngineEntry:
            return store.write(key, build_together)

        with ThreadPoolExecutor(writers) as threads:
            for _ in range(50):
                assert len(list(threads.map(write, [KEY] * writers))) == writers
                assert store.open(KEY).record.bundle == "tiny"
        assert [path.name for path in store.root.iterdir()] == [KEY]

    def test_what_a_killed_build_left_is_swept_a_day_later(self, store: EngineStore) -> None:
        store.write(KEY, build)
        for name, age_hours in ((".building-old", 25), (".building-new", 1)):
            left = store.root / name
            left.mkdir()
            (left / "engine.json").write_text("{}")
            then = left.stat().st_mtime - age_hours * 3600
            os.utime(left, (then, then))
        store.write(digest("another"), build)
        assert {path.name for path in store.root.iterdir() if path.name.startswith(".")} == {
            ".building-new"
        }

    def test_a_half_built_engine_is_not_listed(self, store: EngineStore) -> None:
        entry = store.write(KEY, build)
        entry.folder.rename(store.root / ".building-killed")
        assert store.entries() == ()
