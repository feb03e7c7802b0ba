"""A public bundle fetched, verified, converted and put in its place in one move."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.bundle import LOCK_FILE, Bundle, Progress, file_sha256, open_bundle, seal_bundle
from models.errors import LicenceRefused, PullFailed, SourceRejected
from models.pulling.content import check_safetensors, convert, extract
from models.pulling.download import Fetched, download
from models.pulling.lock import LockedFile, SourceLock, read_lock, write_lock
from models.pulling.plan import Donor, PullPlan, donors, download_path, plan_pull, wish_of
from models.pulling.source import HubFile, LocalFile, Member, Source, SourceFile, Text
from models.pulling.staging import Place, check_room, room_told
from models.pulling.web import RESUME, Web, address, open_web

Begin = Callable[[str], None]  # called with a file's path in the bundle before it comes


def _silent(*_: object) -> None: ...


def pull_bundle(
    plan: PullPlan,
    *,
    licences_accepted: bool,
    progress: Progress = _silent,
    begin: Begin = _silent,
) -> Bundle:
    """Do what the plan says and open the bundle; what is here already is only opened.

    licences_accepted: that the user has accepted `plan.licences`. progress: called with a path and
    the bytes that came over the network; negative where they had to be thrown away.
    Raises LicenceRefused, SourceRejected, PullBusy, and PullFailed: then nothing has changed but
    the staging folder, from which the next call goes on.
    """
    if plan.here:
        return open_bundle(plan.directory.absolute())
    if not licences_accepted:
        raise LicenceRefused(
            f"the licences of {plan.source.name} were not accepted, so nothing was fetched; "
            "read them, then accept them with --accept-licences"
        )
    check_room(plan.total_room_bytes)
    if plan.base is not None:
        pull_bundle(plan.base, licences_accepted=True, progress=progress, begin=begin)
    place = Place(plan.source.name)
    with room_told(), place.alone(), open_web() as web:
        _Work(plan.source, place, web, progress, begin, donors(plan.source)).finish()
        place.install()
    return open_bundle(plan.directory.absolute())


def mend_bundle(source: Source) -> PullPlan | None:
    """Read every file of a fetched bundle: None where each is what was locked; else the damaged
    ones are removed, and this is the plan that fetches them anew.

    Raises PullBusy where something is damaged and another process is at work on it.
    """
    place = Place(source.name)
    lock = read_lock(place.directory)
    wrong = _damaged(place.directory, lock.file if lock is not None else ())
    if lock is not None and not wrong:
        return None
    with place.alone():
        lock = read_lock(place.directory)  # another process may have put a whole bundle there
        seen = [record for record in lock.file if record.path in wrong] if lock is not None else []
        for path in _damaged(place.directory, seen):
            # A link into another bundle leaves that one as it is.
            (place.directory / path).unlink(missing_ok=True)
    return plan_pull(source)


def _damaged(directory: Path, records: Iterable[LockedFile]) -> list[str]:
    """The paths of those files that are not what their records say."""
    return [
        record.path
        for record in records
        if not (path := directory / record.path).is_file() or file_sha256(path) != record.kept
    ]


@dataclass(frozen=True)
class _Work:
    """The tree of one bundle, brought forward file by file."""

    source: Source
    place: Place
    web: Web
    progress: Progress
    begin: Begin
    donors: tuple[Donor, ...]

    def finish(self) -> None:
        """Bring every file, then seal the tree and hold it against what was locked."""
        lock = read_lock(self.place.tree) or SourceLock(
            bundle=self.source.name, manifest=self.source.digest
        )
        if lock.manifest != self.source.digest:
            lock = lock.model_copy(update={"manifest": self.source.digest})
        for file in self.source.files:
            record = lock.of(file.target)
            target = self.place.tree / file.target
            if record is not None and record.identity == file.identity and target.is_file():
                continue
            self.begin(file.target)
            target.parent.mkdir(parents=True, exist_ok=True)
            lock = lock.with_file(self._bring(file, target))
            write_lock(self.place.tree, lock)
        lock = self._without_strangers(lock)
        write_lock(self.place.tree, lock)
        bundle = seal_bundle(self.place.tree, self.source.description)
        self._compare(bundle, lock)

    def _bring(self, file: SourceFile, target: Path) -> LockedFile:
        for donor in self.donors:
            record = self._link(donor, file, target)
            if record is not None:
                return record
        if isinstance(file.origin, Text):
            return self._write(file, file.origin, target)
        if isinstance(file.origin, LocalFile):
            return self._place(file, *self._copy(file, file.origin), target)
        return self._place(file, *self._fetch(file), target)

    def _link(self, donor: Donor, file: SourceFile, target: Path) -> LockedFile | None:
        """Take a donor's file where it is still what its lock says."""
        offered = donor.offers(file)
        if offered is None or isinstance(file.origin, Text):
            return None
        record = donor.lock.of(offered.relative_to(donor.directory).as_posix())
        if record is None or file_sha256(offered) != record.kept:
            return None
        target.unlink(missing_ok=True)
        try:
            os.link(offered, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            shutil.copyfile(offered, target)
        return record.model_copy(update={"path": file.target})

    def _write(self, file: SourceFile, origin: Text, target: Path) -> LockedFile:
        target.unlink(missing_ok=True)  # never through a link into another bundle
        target.write_text(origin.text, encoding="utf-8")
        sha256, size = file_sha256(target), target.stat().st_size
        return _record(file, Fetched("", sha256, size, None, "description"), sha256)

    def _copy(self, file: SourceFile, origin: LocalFile) -> tuple[Fetched, Path]:
        raw = self._raw(file)
        if not origin.path.is_file():
            raise SourceRejected(f"{origin.path} is no file; correct the description")
        shutil.copyfile(origin.path, raw)
        sha256, size = file_sha256(raw), raw.stat().st_size
        _check(file, sha256, size, str(origin.path))
        return Fetched(origin.path.as_uri(), sha256, size, None, "local"), raw

    def _fetch(self, file: SourceFile) -> tuple[Fetched, Path]:
        wish = wish_of(file, self._locked(file))
        if wish is None:
            raise SourceRejected(f"{file.target} has no origin; correct the description")
        came = download_path(self.place, wish.remote)
        expected = wish.sha256 or wish.locked
        if came.is_file() and expected not in (None, file_sha256(came)):
            came.unlink()  # damaged since, or another one is wanted now
        if came.is_file():  # verified before: an archive with other members, or killed since
            vouched = "published" if wish.sha256 else "first pull"
            sha256, size = file_sha256(came), came.stat().st_size
            fetched = Fetched(address(wish.remote), sha256, size, None, vouched)
        else:
            fetched = download(self.web, wish, came, self.progress)
        if not isinstance(file.origin, Member):
            return fetched, came
        raw = self._raw(file)
        try:
            extract(came, file.origin.name, file.size, raw)
            sha256, size = file_sha256(raw), raw.stat().st_size
            _check(file, sha256, size, str(file.origin))
        except SourceRejected:
            came.unlink(missing_ok=True)
            raise
        vouched = "published" if file.sha256 else fetched.vouched
        return Fetched(fetched.url, sha256, size, None, vouched), raw

    def _raw(self, file: SourceFile) -> Path:
        """Where what was made of one file lies until it is verified and placed."""
        return self.place.downloads / f"{file.identity[:24]}.raw"

    def _place(self, file: SourceFile, fetched: Fetched, raw: Path, target: Path) -> LockedFile:
        """What came, converted where the description says so, checked and moved into the tree."""
        came = raw
        try:
            if file.convert:
                raw = came.with_suffix(".safetensors")
                convert(came, raw, _shown(file))
            if target.suffix == ".safetensors":
                check_safetensors(raw, _shown(file))
        except SourceRejected:
            raw.unlink(missing_ok=True)
            came.unlink(missing_ok=True)
            raise
        kept = file_sha256(raw) if file.convert else fetched.sha256
        raw.replace(target)
        came.unlink(missing_ok=True)
        return _record(file, fetched, kept)

    def _locked(self, file: SourceFile) -> str | None:
        """What an earlier fetch of the same origin found, in this bundle or its base."""
        for donor in self.donors:
            for record in donor.lock.file:
                if record.identity == file.identity:
                    return record.sha256
        return None

    def _without_strangers(self, lock: SourceLock) -> SourceLock:
        """Remove what an earlier description had and this one has not."""
        wanted = {file.target for file in self.source.files}
        for path in sorted(self.place.tree.rglob("*")):
            inner = path.relative_to(self.place.tree).as_posix()
            if path.is_file() and inner != LOCK_FILE and inner not in wanted:
                path.unlink()
        return lock.without(record.path for record in lock.file if record.path not in wanted)

    def _compare(self, bundle: Bundle, lock: SourceLock) -> None:
        kept = {record.path: record.kept for record in lock.file}
        wrong = []
        for path, found in bundle.files():
            inner = path.relative_to(self.place.tree).as_posix()
            if kept.get(inner) != found.sha256:
                wrong.append(inner)
                path.unlink()
        if wrong:
            write_lock(self.place.tree, lock.without(wrong))
            raise PullFailed(
                f"{wrong[0]} changed while it lay in {self.place.staging}; the same command "
                "fetches it again"
            )


def _check(file: SourceFile, sha256: str, size: int, name: str) -> None:
    if file.size is not None and size != file.size:
        raise SourceRejected(f"{name} has {size} bytes, expected {file.size}; take another file")
    if file.sha256 is not None and sha256 != file.sha256:
        raise SourceRejected(
            f"{name} has sha256 {sha256[:12]}…, expected {file.sha256[:12]}… (published); do not "
            f"use it, and try again: {RESUME}"
        )


def _record(file: SourceFile, fetched: Fetched, kept: str) -> LockedFile:
    origin = file.origin
    return LockedFile(
        path=file.target,
        identity=file.identity,
        url=fetched.url,
        revision=origin.revision if isinstance(origin, HubFile) else "",
        commit=fetched.commit or "",
        sha256=fetched.sha256,
        bytes=fetched.size,
        kept=kept,
        vouched=fetched.vouched,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _shown(file: SourceFile) -> str:
    origin = file.origin
    return f"{origin.repository}/{origin.path}" if isinstance(origin, HubFile) else str(origin)
