"""One file fetched to its end: resumed after a cut, tried again, verified."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.bundle import Progress, file_sha256
from models.errors import PullFailed
from models.pulling.web import RESUME, Remote, Transient, Web, address, check_status, told

if TYPE_CHECKING:
    import httpx

_TRIES = 5  # without a single byte more
_LONGEST_PAUSE_SECONDS = 60.0
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class Fetched:
    """What came: sha256 and size (bytes) of the content, the hub's commit, who vouches for it.

    vouched: "published" in the description, by the "hub", or "first pull" where nobody does.
    """

    url: str
    sha256: str
    size: int
    commit: str | None
    vouched: str


@dataclass(frozen=True)
class _Begun:
    """Beside a part: of which content it is. Without a strong etag a part cannot be resumed."""

    url: str
    etag: str | None
    sha256: str | None
    commit: str | None = None


class _Restart(Exception):
    """The part is of another content than the server has now: begin anew."""


@dataclass(frozen=True)
class Wish:
    """What is expected of a file, as far as it is known; locked: at an earlier pull."""

    remote: Remote
    sha256: str | None = None
    size: int | None = None
    locked: str | None = None


def part_of(file: Path) -> Path:
    """Where a file lies while it is being fetched."""
    return file.with_name(f"{file.name}.part")


def download(web: Web, wish: Wish, file: Path, progress: Progress) -> Fetched:
    """Fetch a file, going on from what lies in its part, and verify it.

    progress: called with the file's path and the bytes just written; negative where what had been
    written is thrown away. Raises PullFailed; the part stays, unless its content is wrong.
    """
    part, resumed = part_of(file), part_of(file).exists()
    begun, size = _transfer(web, wish, part, progress)
    sha256 = file_sha256(part)
    wanted, vouched = _wanted(wish, begun)
    if wanted is not None and sha256 != wanted and resumed:
        _forget(part, progress)  # the beginning may be of another content: once more, whole
        begun, size = _transfer(web, wish, part, progress)
        sha256 = file_sha256(part)
        wanted, vouched = _wanted(wish, begun)
    if wanted is not None and sha256 != wanted:
        _forget(part, progress)
        raise PullFailed(
            f"{address(wish.remote)} has sha256 {sha256[:12]}…, expected {wanted[:12]}… "
            f"({vouched}); the file was changed or damaged on its way: do not use it, try again"
        )
    part.replace(file)
    _note(part).unlink(missing_ok=True)
    return Fetched(address(wish.remote), sha256, size, begun.commit, vouched)


def _wanted(wish: Wish, begun: _Begun) -> tuple[str | None, str]:
    if wish.sha256:
        return wish.sha256, "published"
    if begun.sha256:
        return begun.sha256, "hub"
    return wish.locked, "first pull"


def _transfer(web: Web, wish: Wish, part: Path, progress: Progress) -> tuple[_Begun, int]:
    """Bring the part to its full length, over as many connections as it takes."""
    failures = 0
    while True:
        before = _length(part)
        try:
            return _attempt(web, wish, part, progress)
        except _Restart:
            _forget(part, progress)
            failures += 1
            if failures >= _TRIES:
                raise PullFailed(
                    f"{address(wish.remote)} changes while it is fetched; try again later"
                ) from None
        except Transient as error:
            failures = 1 if _length(part) > before else failures + 1
            if failures >= _TRIES:
                raise PullFailed(str(error)) from error
            asked = error.pause_seconds
            pause = 0.5 * 2 ** (failures - 1) if asked is None else asked
            web.pause(min(pause, _LONGEST_PAUSE_SECONDS))


def _attempt(web: Web, wish: Wish, part: Path, progress: Progress) -> tuple[_Begun, int]:
    url, offset, known = address(wish.remote), _length(part), _read_note(part)
    if offset and (known is None or known.url != url or known.etag is None):
        _forget(part, progress)
        offset, known = 0, None
    headers: dict[str, str] = {}
    if offset and known is not None and known.etag is not None:
        headers = {"Range": f"bytes={offset}-", "If-Range": known.etag}
    with web.content(wish.remote, headers) as response:
        now = told(response)
        if response.status_code == 416 and known is not None:
            if _complete(response, offset) and now.etag in (None, known.etag):
                return known, offset  # killed between the last byte and its verification
            raise _Restart
        check_status(wish.remote, response)
        total = _announced(response, offset)
        if known is not None and now.sha256 is not None and now.sha256 != known.sha256:
            raise _Restart
        if response.status_code != 206 and offset:
            _forget(part, progress)  # ranges are not for this server, or the content is another
            offset = 0
        begun = known if offset and known else _Begun(url, now.etag, now.sha256, now.commit)
        _check_size(wish, total)
        _write_note(part, begun)
        _receive(response, part, offset, wish, progress)
    size = _length(part)
    if total is not None and size != total:
        raise Transient(f"{url} broke off after {size} of {total} bytes; {RESUME}")
    _check_size(wish, size)
    return begun, size


def _receive(
    response: httpx.Response, part: Path, offset: int, wish: Wish, progress: Progress
) -> None:
    with part.open("r+b" if part.exists() else "wb") as stream:
        stream.truncate(offset)
        stream.seek(offset)
        received = offset
        for piece in response.iter_bytes():  # of any size: a cut must lose nothing that came
            stream.write(piece)
            received += len(piece)
            progress(str(part), len(piece))
            if wish.size is not None and received > wish.size:
                _check_size(wish, received)


def _announced(response: httpx.Response, offset: int) -> int | None:
    """The whole length the server announces. Raises _Restart for a range that was not asked."""
    if response.status_code == 206:
        given = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if given is None or int(given[1]) != offset:
            raise _Restart
        return int(given[3])
    length = response.headers.get("content-length", "")
    plain = response.headers.get("content-encoding", "identity") == "identity"
    return int(length) if length.isdecimal() and plain else None


def _check_size(wish: Wish, size: int | None) -> None:
    if size is not None and wish.size is not None and size != wish.size:
        raise PullFailed(
            f"{address(wish.remote)} has {size} bytes, expected {wish.size}; the file was changed: "
            "correct the description, or name another revision"
        )


def _complete(response: httpx.Response, offset: int) -> bool:
    return bool(response.headers.get("content-range") == f"bytes */{offset}")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _forget(part: Path, progress: Progress) -> None:
    progress(str(part), -_length(part))
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path) -> _Begun | None:
    try:
        return _Begun(**json.loads(_note(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # a part without its note is of unknown content


def _write_note(part: Path, begun: _Begun) -> None:
    temporary = _note(part).with_suffix(".writing")
    temporary.write_text(json.dumps(asdict(begun)), encoding="utf-8")
    temporary.replace(_note(part))
