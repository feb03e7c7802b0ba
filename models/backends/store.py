"""Engines on disk: one folder for each, named by the digest of all that it depends on."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cache import Digest
from models.backends.trust import check_trusted
from models.errors import EngineRefused

RECORD: Final = "engine.json"
_CHUNK_BYTES: Final = 1 << 20
_STAGING: Final = ".building-"
_THERE: Final = (errno.ENOTEMPTY, errno.EEXIST)
_STALE_SECONDS: Final = 24 * 3600  # longer than any build takes


class EngineRecord(BaseModel):
    """What an engine is: the facts its digest is made of, its files, and how its build went.

    psnr_db: the least against eager; files: each file's sha256.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: str
    bundle: str
    graph: str
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    dtype: str
    device: str
    facts: dict[str, str]
    files: dict[str, str]
    psnr_db: float
    build_seconds: float
    built: str


@dataclass(frozen=True)
class EngineEntry:
    """An engine that lies in the store."""

    folder: Path
    record: EngineRecord

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*"))


class EngineStore:
    """A directory of engines. Processes may share it: an engine appears whole or not at all."""

    def __init__(self, root: Path | None = None) -> None:
        """root: without, $LIMNER_ENGINES, else limner/engines in the user's cache directory."""
        self.root = root or engines_root()

    def folder(self, key: Digest) -> Path:
        """Where the engine of that digest lies, or would."""
        return self.root / key

    def has(self, key: Digest) -> bool:
        """Whether there is such an engine; it may still be found damaged."""
        return (self.folder(key) / RECORD).is_file()

    def open(self, key: Digest) -> EngineEntry:
        """The engine of that digest, every file compared with its sha256.

        An engine holds code that is about to run. Raises EngineRefused, also where others than this
        user and root could have written it.
        """
        entry = _read(self.folder(key))
        try:
            check_trusted(self.root, entry.folder)
            found = {path.name: _sha256(path) for path in _files(entry.folder)}
        except OSError:
            found = {}  # another process is putting a newer one there
        if not found or found != entry.record.files:
            raise EngineRefused(
                f"{entry.folder} has a file missing, cut or changed; build it again with: limner "
                f"compile {entry.record.bundle}"
            )
        return entry

    def write(self, key: Digest, build: Callable[[Path], EngineRecord]) -> EngineEntry:
        """Let `build` fill a folder, and put it into its place. Nothing stays where it fails.

        build: gives the record, its `files` empty: they are listed here. Raises EngineRefused.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            check_trusted(self.root)  # before minutes of work
            self._sweep()
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.root))
        except OSError as error:
            raise EngineRefused(
                f"{self.root} cannot be written: {error.strerror}; set LIMNER_ENGINES to a folder "
                "that can"
            ) from error
        try:
            record = build(staging)
            files = {path.name: _sha256(path) for path in _files(staging)}
            record = record.model_copy(update={"files": files})
            (staging / RECORD).write_text(record.model_dump_json(indent=2) + "\n", "utf-8")
            self._install(staging, key)
        except OSError as error:
            raise EngineRefused(
                f"the engine could not be kept in {self.root}: {error.strerror or error}; make "
                "room, or set LIMNER_ENGINES"
            ) from error
        finally:
            for left in (staging, staging.with_name(f"{staging.name}.old")):
                shutil.rmtree(left, ignore_errors=True)
        return EngineEntry(self.folder(key), record)

    def _install(self, staging: Path, key: Digest) -> None:
        """Move an engine into its place; what lies there already goes: it may be damaged."""
        folder = self.folder(key)
        with suppress(FileNotFoundError):  # there is none, or another process has moved it
            folder.replace(staging.with_name(f"{staging.name}.old"))
        try:
            staging.replace(folder)
        except OSError as error:
            if error.errno not in _THERE:  # else another process was faster: the same engine
                raise

    def _sweep(self) -> None:
        """Remove what builds that were killed have left."""
        for left in self.root.glob(f"{_STAGING}*"):
            try:
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
            except FileNotFoundError:
                continue  # another process was faster

    def entries(self) -> tuple[EngineEntry, ...]:
        """Every engine that can be read, by bundle, backend, graph and size."""
        found = []
        for file in self.root.glob(f"[!.]*/{RECORD}"):  # no half-built ones
            try:
                found.append(_read(file.parent))
            except EngineRefused:
                continue  # of another version, or broken: `remove` by hand
        return tuple(sorted(found, key=_order))

    def has_size(self, height: int, width: int) -> bool:
        """Whether any engine is for latents of this size."""
        records = (entry.record for entry in self.entries())
        return any((one.height, one.width) == (height, width) for one in records)

    def remove(self, entry: EngineEntry) -> None:
        """Forget an engine."""
        shutil.rmtree(entry.folder)


def record_of(
    *,
    backend: str,
    bundle: str,
    graph: str,
    size: tuple[int, int],
    dtype: str,
    device: str,
    facts: Mapping[str, str],
    psnr_db: float,
    build_seconds: float,
) -> EngineRecord:
    """A record of now, its files not yet listed. size: (width, height) of the latents."""
    return EngineRecord(
        backend=backend,
        bundle=bundle,
        graph=graph,
        height=size[1],
        width=size[0],
        dtype=dtype,
        device=device,
        facts=dict(facts),
        files={},
        psnr_db=psnr_db,
        build_seconds=build_seconds,
        built=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _order(entry: EngineEntry) -> tuple[str, str, str, int, int]:
    record = entry.record
    return (record.bundle, record.backend, record.graph, record.height, record.width)


def _read(folder: Path) -> EngineEntry:
    file = folder / RECORD
    try:
        record = EngineRecord.model_validate_json(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise EngineRefused(
            f"{file} cannot be read; remove {folder}, and build the engine again with: limner "
            "compile"
        ) from error
    return EngineEntry(folder, record)


def _files(folder: Path) -> list[Path]:
    """All files but the record. Plans that TensorRT writes later lie in a folder of their own."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name != RECORD)


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def engines_root() -> Path:
    """Where engines are kept: $LIMNER_ENGINES, else limner/engines in the user's cache folder."""
    if named := os.environ.get("LIMNER_ENGINES"):
        return Path(os.path.expanduser(named))
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(home)) / "limner" / "engines"
