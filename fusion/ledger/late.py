"""What could not be booked when it was due: kept in files beside the ledger, for later."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from fusion.ledger.accounts import Ending, Opening
from fusion.ledger.errors import LedgerError
from fusion.ledger.items import Quantity

log = logging.getLogger("limner.ledger")
_WAITING: Final = ".json"
_REFUSED: Final = ".refused"  # what the book will never take: for people to look at


class Unreserved(BaseModel):
    """A request that could not even be reserved. at: when, in microseconds since the epoch;
    prices: the table's text, for another process may book it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    opening: Opening
    at: int
    prices: str


class LateEntry(BaseModel):
    """A request that ended while the ledger was away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    unreserved: Unreserved | None
    quantities: tuple[Quantity, ...]
    ending: Ending


class LateEntries:
    """A file for each, whole or not there; in memory where even that cannot be written.

    Thread-safe; processes may share the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: list[LateEntry] = []
        self._lock = threading.Lock()

    def keep(self, entry: LateEntry) -> None:
        """Keep one until `write` is told to."""
        name = f"{time.time_ns()}-{os.urandom(4).hex()}"
        new = self.folder / f"{name}.new"
        try:
            with self._opened(new) as stream:
                stream.write(entry.model_dump_json().encode())
                stream.flush()
                os.fsync(stream.fileno())
            new.rename(self.folder / f"{name}{_WAITING}")
        except OSError:
            log.exception("%s cannot be written: the books wait in memory", self.folder)
            with suppress(OSError):
                new.unlink()
            with self._lock:
                self._kept.append(entry)

    def _opened(self, file: Path) -> BinaryIO:
        while True:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process found it empty, and removed it
                return file.open("xb")

    @property
    def waiting(self) -> bool:
        """Whether there are any."""
        return bool(self._kept) or bool(self._files())

    def write(self, book: Callable[[LateEntry], object]) -> int:
        """Book all there are, oldest first; how many. Those that fail are kept on; those that the
        book refuses (LedgerError) are set aside, so that they are in nobody's way.

        book: may be told of one twice, by two processes. What else it raises is raised.
        """
        done = 0
        with self._lock:
            while self._kept:
                done += _booked(book, self._kept[0])
                del self._kept[0]
            for file in self._files():
                try:
                    entry = LateEntry.model_validate_json(file.read_bytes())
                except OSError as error:
                    if not isinstance(error, FileNotFoundError):  # another process has booked it
                        log.warning("%s cannot be read: %s", file, error)
                    continue
                except ValidationError:
                    log.exception("%s is no entry of a ledger", file)
                    _set_aside(file)
                    continue
                if _booked(book, entry):
                    done += 1
                    _gone(file)
                else:
                    _set_aside(file)
            if done:
                with suppress(OSError):  # others keep more, or what was set aside is there
                    self.folder.rmdir()
        return done

    def _files(self) -> list[Path]:
        try:
            return sorted(self.folder.glob(f"*{_WAITING}"))
        except OSError as error:
            log.warning("%s cannot be read: %s", self.folder, error)
            return []


def _booked(book: Callable[[LateEntry], object], entry: LateEntry) -> bool:
    try:
        book(entry)
    except LedgerError:
        log.exception("request %s cannot be booked: %s", entry.id, entry.model_dump_json())
        return False
    return True


def _gone(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:  # it may be told again: the book knows it
        log.warning("%s is booked, and cannot be removed: %s", file, error)


def _set_aside(file: Path) -> None:
    try:
        file.rename(file.with_suffix(_REFUSED))
    except OSError as error:  # another process has done it, or the folder is to be read only
        log.warning("%s cannot be set aside: %s", file, error)
