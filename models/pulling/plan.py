"""What fetching a bundle will do, known before the first byte: files, sizes, licences, room."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.bundle import open_bundle
from models.errors import BundleCorrupt, BundleNotFound, PullFailed
from models.pulling.download import Wish, part_of
from models.pulling.lock import SourceLock, read_lock
from models.pulling.source import (
    HubFile,
    Licence,
    LocalFile,
    Member,
    Source,
    SourceFile,
    Text,
    WebFile,
    read_source,
)
from models.pulling.staging import Place
from models.pulling.web import Remote, open_web

How = Literal["here", "linked", "written", "copied", "fetched"]


@dataclass(frozen=True)
class PlannedFile:
    """A file and how it will come; size: bytes of what is fetched, None where nobody says."""

    file: SourceFile
    how: How
    size: int | None


@dataclass(frozen=True)
class PullPlan:
    """All that will be done for one bundle.

    base: the plan of the bundle it is built upon, where that is not here. here: it is complete as
    described, and nothing will be done. fetch_bytes: what comes over the network still; of which
    resumed_bytes lie here from an earlier try. room_bytes: what the disk must take.
    """

    source: Source
    directory: Path
    files: tuple[PlannedFile, ...]
    base: PullPlan | None
    here: bool
    fetch_bytes: int
    resumed_bytes: int
    room_bytes: int

    @property
    def licences(self) -> tuple[Licence, ...]:
        """Those of all files that are to come, the base's included, each once."""
        return self.source.licences

    @property
    def total_fetch_bytes(self) -> int:
        """With what the base has to fetch."""
        return self.fetch_bytes + (self.base.total_fetch_bytes if self.base else 0)

    @property
    def total_room_bytes(self) -> int:
        """With what the base needs."""
        return self.room_bytes + (self.base.total_room_bytes if self.base else 0)


@dataclass(frozen=True)
class Donor:
    """A fetched bundle some of whose files are wanted: where it lies and its lock."""

    directory: Path
    lock: SourceLock

    def offers(self, file: SourceFile) -> Path | None:
        """The donor's own copy of a file, by the identity of its origin; not yet verified."""
        for record in self.lock.file:
            path = self.directory / record.path
            if record.identity == file.identity and path.is_file():
                return path
        return None


def plan_pull(source: Source | str | Path) -> PullPlan:
    """What fetching a public bundle, by name, file or description, will do; nothing is fetched.

    Servers are asked for sizes that the description does not say. Raises SourceRejected, and
    PullFailed where something else has the bundle's name.
    """
    if not isinstance(source, Source):
        source = read_source(source)
    base = plan_pull(source.base) if source.base is not None else None
    place = Place(source.name)
    if is_here(source):
        files = tuple(PlannedFile(file, "here", file.size) for file in source.files)
        return PullPlan(source, place.directory, files, None, True, 0, 0, 0)
    if place.directory.exists() and read_lock(place.directory) is None:
        raise PullFailed(
            f"{place.directory} is there and was not fetched by limner models pull; move it away, "
            "or choose another name in the description"
        )
    return _plan(source, place, base if base is not None and not base.here else None)


def is_here(source: Source) -> bool:
    """Whether the bundle lies here as described, by names and sizes; digests are not read."""
    directory = Place(source.name).directory
    try:
        lock = read_lock(directory)
        open_bundle(directory.absolute())
    except (BundleCorrupt, BundleNotFound):
        return False
    return lock is not None and lock.manifest == source.digest


def wish_of(file: SourceFile, locked: str | None = None) -> Wish | None:
    """What has to be fetched for a file; None where nothing has."""
    origin = file.origin
    if isinstance(origin, Member):
        archive = origin.archive
        return Wish(archive, archive.sha256, archive.size)
    if isinstance(origin, HubFile | WebFile):
        return Wish(origin, file.sha256, file.size, locked)
    return None


def download_path(place: Place, remote: Remote) -> Path:
    """Where something fetched lies until it is part of the bundle."""
    return place.downloads / hashlib.sha256(repr(remote).encode()).hexdigest()[:24]


def donors(source: Source) -> tuple[Donor, ...]:
    """Fetched bundles that may have wanted files: an earlier state of this one, and its base."""
    names = [source.name] + ([source.base.name] if source.base else [])
    places = [Place(name).directory for name in names]
    locks = [(directory, read_lock(directory)) for directory in places]
    return tuple(Donor(directory, lock) for directory, lock in locks if lock is not None)


def _plan(source: Source, place: Place, base: PullPlan | None) -> PullPlan:
    come = read_lock(place.tree)
    of_base = {file.identity for file in base.source.files} if base is not None else set()
    ways: list[tuple[SourceFile, How]] = []
    for file in source.files:
        record = come.of(file.target) if come is not None else None
        if record is not None and record.identity == file.identity:
            ways.append((file, "here"))
        elif isinstance(file.origin, Text):
            ways.append((file, "written"))
        elif isinstance(file.origin, LocalFile):
            ways.append((file, "copied"))
        elif file.identity in of_base or any(donor.offers(file) for donor in donors(source)):
            ways.append((file, "linked"))
        else:
            ways.append((file, "fetched"))
    wishes = {
        wish.remote: wish for file, how in ways if how == "fetched" and (wish := wish_of(file))
    }
    sizes = _sizes(list(wishes.values()))
    fetch = resumed = room = 0
    for remote in wishes:
        target = download_path(place, remote)
        lies = next((path.stat().st_size for path in (target, part_of(target)) if path.exists()), 0)
        left = max((sizes[remote] or 0) - lies, 0)
        fetch, resumed, room = fetch + left, resumed + lies, room + left
    planned = []
    for file, how in ways:
        wish = wish_of(file)
        size = file.size
        if size is None and wish is not None and not isinstance(file.origin, Member):
            size = sizes.get(wish.remote)
        if how == "copied" and isinstance(file.origin, LocalFile) and file.origin.path.is_file():
            size = file.origin.path.stat().st_size
        # A copy, a member beside its archive, tensors beside what they are converted from.
        if how == "copied" or (
            how == "fetched" and (file.convert or isinstance(file.origin, Member))
        ):
            room += size or 0
        planned.append(PlannedFile(file, how, size))
    return PullPlan(source, place.directory, tuple(planned), base, False, fetch, resumed, room)


def _sizes(wishes: list[Wish]) -> dict[Remote, int | None]:
    sizes: dict[Remote, int | None] = {wish.remote: wish.size for wish in wishes}
    unknown = [remote for remote, size in sizes.items() if size is None]
    if unknown:
        with open_web() as web:
            for remote in unknown:
                sizes[remote] = web.ask(remote).size
    return sizes
