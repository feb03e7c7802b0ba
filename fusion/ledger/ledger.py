"""The ledger: a book in a database of its own, for engines, and for who reads it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, SQLAlchemyError

from fusion.database import Database, DatabaseUnusable, sqlite_url
from fusion.ledger.accounts import Account, Ending, Opening
from fusion.ledger.book import Book, account_of, is_known, left_open
from fusion.ledger.errors import LedgerError, LedgerUnavailable
from fusion.ledger.items import Quantity, checked
from fusion.ledger.late import LateEntries, LateEntry, Unreserved
from fusion.ledger.owner import is_gone, this_process
from fusion.ledger.pace import RecentPace, recent_pace
from fusion.ledger.prices import PriceTable, free_prices, read_prices
from fusion.ledger.schema import LEDGER_SCHEMA
from fusion.ledger.verify import Verdict, verify_chain

log = logging.getLogger("limner.ledger")
OnFault = Literal["deliver", "refuse"]
_BUSY_MILLISECONDS: Final = 2_000


def ledger_url(given: str | Path | None = None) -> str:
    """Where the ledger is: a URL as it is, a file's, $LIMNER_LEDGER, else limner/ledger.db in the
    user's data folder.
    """
    named = str(given or "") or os.environ.get("LIMNER_LEDGER", "")
    if "://" in named:
        return named
    file = Path(named).expanduser().absolute() if named else _data_folder() / "ledger.db"
    return sqlite_url(file)


class Ledger:
    """Books requests, each in two short transactions. Safe to share between threads and processes.

    Where the database cannot be written, `on_fault` says what becomes of a request: "deliver" draws
    it, and what it took is kept in a folder beside the ledger and booked as soon as that can be;
    "refuse" does not draw it. Without a ledger to look at, no budget is held.
    """

    def __init__(
        self,
        where: str | Path | None = None,
        prices: PriceTable | None = None,
        *,
        source: str = "library",
        on_fault: OnFault = "deliver",
        busy_milliseconds: int = _BUSY_MILLISECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """where: a database's URL or a file; see `ledger_url`. prices: what lines cost from now on;
        without, nothing. source: who asks, for reports. busy_milliseconds: how long a write
        waits for another's before the ledger counts as locked. Made where it is missing, and what
        processes left open that have died since is released.

        Raises DatabaseUnusable, also for a ledger of a newer version.
        """
        url = ledger_url(where)
        self.prices = prices or free_prices()
        self._database = Database(url, busy_milliseconds, flushed=False)
        if self._database.backend == "sqlite" and self._database.file in (None, "", ":memory:"):
            raise DatabaseUnusable(f"{url} is no place for a ledger: name a file")
        if self._database.file:
            with_parents = Path(self._database.file).parent
            try:
                with_parents.mkdir(parents=True, exist_ok=True)
                _private(Path(self._database.file))
            except OSError as error:
                log.debug("%s cannot be made: %s", with_parents, error)  # opening says it better
        try:
            self._database.prepare(LEDGER_SCHEMA)
        except DatabaseUnusable:
            self._database.close()
            raise
        self._book, self._now = Book(self.prices, now), now
        self._source, self._on_fault = source, on_fault
        self._late = LateEntries(_beside(self._database.file, url))
        self._unreserved: dict[str, Unreserved] = {}
        self._lock = threading.Lock()
        self.recover()

    @property
    def late(self) -> bool:
        """Whether something waits to be booked."""
        return self._late.waiting

    def reserve(self, *openings: Opening) -> None:
        """Open requests, all or none. Raises BudgetExceeded, AlreadyReserved, CurrencyMismatch,
        and LedgerUnavailable where it cannot be written and `on_fault` is "refuse".
        """
        at, owner = self._book.microseconds(), this_process()
        ours = [
            replace(one, owner=one.owner or owner, source=one.source or self._source)
            for one in openings
        ]
        try:
            self.write_late()
            with self._database.writing() as connection:
                self._book.reserve(connection, ours)
        except SQLAlchemyError as error:
            if self._on_fault == "refuse":
                raise self._unavailable(error) from error
            log.warning("%s; drawn all the same, and booked later", self._unavailable(error))
            with self._lock:
                self._unreserved |= {
                    one.id: Unreserved(opening=one, at=at, prices=self.prices.text) for one in ours
                }

    def settle(
        self, request_id: str, quantities: Sequence[Quantity], ending: Ending = Ending.DONE
    ) -> Account | None:
        """Close a request with what it used; what the book then says of it. None where it cannot be
        written just now: it is booked later.

        Raises RequestUnknown, QuantityRejected.
        """
        used = checked(quantities)  # first: what is refused is still to be settled
        with self._lock:
            unreserved = self._unreserved.pop(request_id, None)
        entry = LateEntry(id=request_id, unreserved=unreserved, quantities=used, ending=ending)
        try:
            return self._settled(entry)
        except SQLAlchemyError as error:
            log.warning("%s; kept in %s", self._unavailable(error), self._late.folder)
            self._late.keep(entry)
            return None
        except LedgerError:
            if unreserved is not None:  # still to be settled, in another way
                with self._lock:
                    self._unreserved[request_id] = unreserved
            raise

    def write_late(self) -> int:
        """Book what could not be booked when it was due; how many requests.

        Raises SQLAlchemy's errors where that is still so.
        """
        if not self._late.waiting:
            return 0
        return self._late.write(self._settled)

    def recover(self) -> int:
        """Release what processes of this machine have left open that are no more; how many."""
        try:
            with self._database.reading() as connection:
                gone = [row.id for row in left_open(connection) if is_gone(row.owner)]
            self.write_late()  # after who is gone was seen: they leave no more of these
            if not gone:
                return 0
            with self._database.writing() as connection:
                found = [
                    self._book.settle(connection, request_id, (), Ending.RELEASED)
                    for request_id in gone
                ]
            return sum(one.ending is Ending.RELEASED for one in found)  # not what was booked late
        except SQLAlchemyError as error:
            log.warning("%s", self._unavailable(error))
            return 0

    def correct(self, request_id: str, item: str, difference: int, reason: str) -> Account:
        """See `Book.correct`. Raises LedgerUnavailable."""
        with self._written() as connection:
            return self._book.correct(connection, request_id, item, difference, reason)

    def account(self, request_id: str) -> Account:
        """What the book says of a request. Raises RequestUnknown."""
        with self.reading() as connection:
            return account_of(connection, request_id)

    def recent_pace(self, bundle: str) -> RecentPace:
        """How fast the bundle was drawn lately; zeros where that cannot be read just now."""
        try:
            with self.reading() as connection:
                return recent_pace(connection, bundle)
        except LedgerUnavailable as error:
            log.warning("%s", error)
            return RecentPace(0, 0)

    def verify(self, known: tuple[int, str] | None = None) -> Verdict:
        """Walk the chain from its first line. known: a sequence and its hash, noted earlier."""
        with self.reading() as connection:
            return verify_chain(connection, known)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with. Raises LedgerUnavailable."""
        try:
            with self._database.reading() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error

    def close(self) -> None:
        """Book what is late, if that is possible, and give the connections back."""
        try:
            self.write_late()
        except SQLAlchemyError as error:
            log.warning("%s; %s is booked by the next", self._unavailable(error), self._late.folder)
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _written(self) -> Iterator[Connection]:
        try:
            with self._database.writing() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error

    def _settled(self, entry: LateEntry) -> Account:
        late = entry.unreserved
        try:
            with self._database.writing() as connection:
                # It may be there in spite of the error: a connection was lost over the answer.
                if late is not None and not is_known(connection, entry.id):
                    book = Book(read_prices(late.prices), self._now)
                    book.reserve(connection, [late.opening], held=False, at=late.at)
                return self._book.settle(connection, entry.id, entry.quantities, entry.ending)
        except DataError as error:  # waiting would not help
            raise LedgerError(f"request {entry.id} cannot be written: {error.orig}") from error

    def _unavailable(self, error: Exception) -> LedgerUnavailable:
        reason = str(getattr(error, "orig", None) or error).split("\n")[0]
        where = self._database.file or f"the {self._database.backend} database"
        return LedgerUnavailable(
            f"the ledger {where} cannot be used just now ({reason}): end what keeps it locked, "
            "make room, or name another with LIMNER_LEDGER"
        )


def _data_folder() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser().absolute() / "limner"


def _private(file: Path) -> None:
    """Make a new ledger its owner's alone; one that is there keeps its mode."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _beside(file: str | None, url: str) -> Path:
    """Where late entries wait; a server's in the user's data folder."""
    if file:
        return Path(f"{file}.late").absolute()
    return _data_folder() / f"ledger-{sha256(url.encode()).hexdigest()[:16]}.late"
