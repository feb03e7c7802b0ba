"""Where a bundle grows before it is one: a hidden folder beside its place, one process at a time.

SHELF/.NAME.pulling/tree/        the bundle as far as it has come, with its lock file
SHELF/.NAME.pulling/downloads/   parts, archives and files still to be converted
SHELF/.NAME.pulling/busy         locked by the process that is at work
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from models.bundle import PACKAGED, bundle_directories
from models.errors import BundleNotFound, PullBusy, PullFailed
from models.manifest import MANIFEST_FILE
from models.pulling.web import RESUME

_SPARE_BYTES = 64 << 20  # left free beside what is fetched
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Place:
    """Where a bundle of that name lies, and where it grows."""

    name: str

    @property
    def directory(self) -> Path:
        """The finished bundle's."""
        return shelf() / self.name

    @property
    def staging(self) -> Path:
        return shelf() / f".{self.name}.pulling"

    @property
    def tree(self) -> Path:
        return self.staging / "tree"

    @property
    def downloads(self) -> Path:
        return self.staging / "downloads"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only process at work on this bundle. Raises PullBusy."""
        while True:
            self.staging.mkdir(parents=True, exist_ok=True)
            with (self.staging / "busy").open("ab") as file:
                _flock(file, self.name)
                if _is_still(file, self.staging / "busy"):
                    self.tree.mkdir(exist_ok=True)
                    self.downloads.mkdir(exist_ok=True)
                    yield
                    return

    def install(self) -> None:
        """Put the finished tree in the bundle's place, in one move, and clean up."""
        if self.directory.exists():
            self.directory.rename(self.staging / "replaced")
        self.tree.rename(self.directory)
        self.discard()

    def discard(self) -> None:
        """Remove whatever is left of the work."""
        shutil.rmtree(self.staging, ignore_errors=True)


def is_begun(name: str) -> bool:
    """Whether fetching that bundle was begun and not finished."""
    return Place(name).tree.is_dir()


def shelf() -> Path:
    """The user's own directory of bundles."""
    return bundle_directories()[0]


def check_room(needed: int) -> None:
    """Refuse to begin what has no room. needed: in bytes. Raises PullFailed."""
    existing = shelf()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if needed + _SPARE_BYTES > free:
        raise PullFailed(
            f"{existing} has {free / 2**20:.0f} MiB free, and {needed / 2**20:.0f} MiB are needed; "
            "make room, or name another directory in LIMNER_BUNDLES"
        )


@contextmanager
def room_told() -> Iterator[None]:
    """A disk that runs full in the middle, as PullFailed."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise PullFailed(f"no room is left on {shelf()}; make room: {RESUME}") from error


def remove_bundle(name: str) -> tuple[Path, ...]:
    """Remove a fetched bundle and what is left of fetching it; gives what was removed.

    Raises BundleNotFound where there is nothing of that name, PullFailed for the packaged one, and
    PullBusy while it is being fetched.
    """
    there = removable(name)
    place = Place(name)
    with place.alone():
        if place.directory in there:
            # Out of sight in one move, so that no half of it can be opened.
            place.directory.rename(place.staging / "removed")
        place.discard()
    return there


def removable(name: str) -> tuple[Path, ...]:
    """The directories that removing a bundle would remove. Raises as `remove_bundle` does."""
    plain = bool(name) and Path(name).name == name and not name.startswith(".")
    place = Place(name if plain else "-")
    bundle = place.directory if (place.directory / MANIFEST_FILE).is_file() else None
    there = tuple(path for path in (bundle, place.staging) if path is not None and path.is_dir())
    if not plain or not there:
        if plain and (PACKAGED / name).is_dir():
            raise PullFailed(f"bundle {name!r} is part of limner itself and stays")
        raise BundleNotFound(f"there is no bundle {name!r} in {shelf()}; see: limner models list")
    return there


def _flock(file: IO[bytes], name: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise PullBusy(
            f"another process is at work on bundle {name!r}; wait for it, or stop it"
        ) from error


def _is_still(file: IO[bytes], path: Path) -> bool:
    """Whether the locked file is the one that lies there: another process may have cleaned up."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
