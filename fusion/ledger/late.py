"""What could not be booked when it was due: kept in files beside the ledger, for later."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

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
            self.folder.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as stream:
                stream.write(entry.model_dump_json().encode())
                stream.flush()
                os.fsync(stream.fileno())
            new.rename(self.folder / f"{name}{_WAITING}")
        except OSError:
            log.exception("%s cannot be written: the books wait in memory", self.folder)
            new.unlink(missing_ok=True)
            with self._lock:
                self._kept.append(entry)

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
                except FileNotFoundError:  # another process has booked it
                    continue
                except ValidationError:
                    log.exception("%s is no entry of a ledger", file)
                    _set_aside(file)
                    continue
                if _booked(book, entry):
                    file.unlink(missing_ok=True)
                    done += 1
                else:
                    _set_aside(file)
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


def _set_aside(file: Path) -> None:
    file.rename(file.with_suffix(_REFUSED))
