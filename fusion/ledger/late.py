"""What could not be booked when it was due: kept in a file beside the ledger, for later."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from fusion.ledger.accounts import Ending, Opening
from fusion.ledger.items import Quantity

log = logging.getLogger("limner.ledger")
_CLAIMED: Final = ".claimed"


class LateEntry(BaseModel):
    """A request that ended while the ledger was away. opening: where it was not even reserved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    opening: Opening | None
    quantities: tuple[Quantity, ...]
    ending: Ending


class LateEntries:
    """Late entries in a file, in memory where even that cannot be written. Thread-safe; processes
    may share the file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._kept: list[LateEntry] = []
        self._lock = threading.Lock()

    def keep(self, entry: LateEntry) -> None:
        """Keep one until `write` is told to."""
        with self._lock:
            try:
                with self.file.open("ab") as stream:  # appended whole, also beside others
                    stream.write(entry.model_dump_json().encode() + b"\n")
                    stream.flush()
                    os.fsync(stream.fileno())
            except OSError:
                log.exception("%s cannot be written: the books wait in memory", self.file)
                self._kept.append(entry)

    @property
    def waiting(self) -> bool:
        """Whether there are any."""
        return bool(self._kept) or self.file.exists() or bool(self._claimed())

    def write(self, book: Callable[[LateEntry], None]) -> int:
        """Book all there are; those that fail are kept on. How many were booked.

        book: may be told of one twice, where a process died over it. What it raises is raised.
        """
        done = 0
        with self._lock:
            while self._kept:
                book(self._kept[0])
                del self._kept[0]
                done += 1
            for claim in self._claim():
                for entry in _read(claim):
                    book(entry)
                    done += 1
                claim.unlink(missing_ok=True)
        return done

    def _claim(self) -> list[Path]:
        """Take the file, so that nobody else books the same at once."""
        if self.file.exists():
            claimed = self.file.with_name(f"{self.file.name}{_CLAIMED}-{os.urandom(4).hex()}")
            with suppress(OSError):  # another process was first
                self.file.rename(claimed)
        return self._claimed()

    def _claimed(self) -> list[Path]:
        return sorted(self.file.parent.glob(f"{self.file.name}{_CLAIMED}-*"))


def _read(claim: Path) -> list[LateEntry]:
    entries = []
    for number, line in enumerate(claim.read_bytes().splitlines(), 1):
        try:
            entries.append(LateEntry.model_validate_json(line))
        except ValidationError:
            log.error("%s, line %d is cut and cannot be booked", claim, number)
    return entries
