"""The book itself: what is reserved, settled and corrected within somebody's transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, func, select

from fusion.ledger.accounts import Account, BookedLine, Ending, Opening
from fusion.ledger.budgets import check_budget, keep_totals
from fusion.ledger.chain import Link, facts_digest
from fusion.ledger.errors import AlreadyReserved, LedgerError, QuantityRejected, RequestUnknown
from fusion.ledger.items import ITEMS, Quantity, checked
from fusion.ledger.money import LARGEST, priced
from fusion.ledger.prices import PriceTable, read_prices
from fusion.ledger.schema import lines, longest, requests
from fusion.ledger.statements import (
    ADD_LINES,
    ADD_PRICES,
    ADD_REQUEST,
    KNOWN,
    LINES,
    MOVE_HEAD,
    PRICES,
    newest,
)

RESERVED: Final = "reserved"  # a request's first line; its quantity is what it may cost
_FACTS: Final = (
    "id", "tenant", "key", "source", "kind", "bundle", "bundle_digest", "template", "owner",
)  # fmt: skip
SETTLED: Final = "settled"  # its last; its quantity is what it cost, its note how it ended


# item, correction, quantity, price, per, cost, note
_Row = tuple[str, int, int, int, int, int, str]


class Book:
    """Writes lines. Holds nothing but the prices: whoever calls it owns the transaction.

    Call it last in a transaction: from there on other writers wait.
    """

    def __init__(self, table: PriceTable, now: Callable[[], float] = time.time) -> None:
        """now: seconds since the epoch."""
        self.prices = table
        self._now = now

    def reserve(
        self,
        connection: Connection,
        openings: Sequence[Opening],
        held: bool = True,
        at: int | None = None,
    ) -> None:
        """Open requests, all or none. held: to the keys' budgets; what was drawn already is not.
        at: when, in microseconds since the epoch; now without.

        Raises AlreadyReserved, BudgetExceeded, CurrencyMismatch, QuantityRejected, and LedgerError
        for what is too long to be written.
        """
        at = self.microseconds() if at is None else at
        before = newest(connection)  # from here on nobody else writes
        table, currency = self.prices.sha256, self.prices.currency
        for opening in openings:
            expected = sum(self.prices.cost(*one) for one in checked(opening.expected))
            if expected > LARGEST:
                raise QuantityRejected(f"request {opening.id} may cost more than can be written")
            said = _columns(opening)
            if held:
                check_budget(connection, opening.key, currency, expected, at)
            keep_totals(connection, opening.key, currency, at, reserved=expected)
            number = self._opened(connection, said, at)
            note = facts_digest([*(said[name] for name in _FACTS), table.hex(), at])
            row = (RESERVED, 0, expected, 0, 1, 0, note)
            before = self._write(connection, before, opening.id, number, at, [row], table)

    def settle(
        self,
        connection: Connection,
        request_id: str,
        quantities: Iterable[Quantity],
        ending: Ending = Ending.DONE,
    ) -> Account:
        """Close a request with what it used. A second time it changes nothing: what is in the book
        stands, and is given.

        Raises RequestUnknown, QuantityRejected.
        """
        used, at = checked(quantities), self.microseconds()
        before = newest(connection)
        found = _found(connection, request_id)
        account = found.account
        if account.ending is not None:
            return account
        table = self._table(connection, found.prices)
        bills = ending is Ending.DONE or table.bill_unfinished
        rows, total = [], 0
        for name, amount in used:
            price = table.price(name)
            cost = priced(amount, *price) if bills else 0
            total += cost
            rows.append((name, 0, amount, price.amount, price.per, cost, ""))
        if total > LARGEST:
            raise QuantityRejected(f"request {request_id} would cost more than can be written")
        reserved = account.quantity(RESERVED)
        keep_totals(connection, found.key, table.currency, found.at, -reserved, total)
        rows.append((SETTLED, 0, total, 0, 1, 0, ending.value))
        self._write(connection, before, request_id, found.number, at, rows, found.prices)
        return _with(account, rows, ending)

    def correct(
        self, connection: Connection, request_id: str, item: str, difference: int, reason: str
    ) -> Account:
        """Change an item of a settled request by a line more, at the price of its own table.

        difference: what is to be added; negative takes away, never to below 0.
        Raises RequestUnknown, QuantityRejected, LedgerError where it is not settled.
        """
        before = newest(connection)
        found = _found(connection, request_id)
        account = found.account
        if account.ending is None:
            raise LedgerError(f"request {request_id} is not settled yet: nothing to correct")
        if item not in ITEMS:
            raise QuantityRejected(f"{item!r} is not counted; known are {', '.join(ITEMS)}")
        if not reason.strip() or len(reason) > longest(lines.c.note):
            raise LedgerError("a correction needs a reason, of at most 255 letters")
        there = [line for line in account.lines if line.item == item]
        quantity = account.quantity(item) + difference
        if not difference or not 0 <= quantity <= LARGEST:
            raise QuantityRejected(
                f"{item} of {request_id} is {account.quantity(item)}: {difference:+d} is no "
                "correction of it"
            )
        table, at = self._table(connection, found.prices), self.microseconds()
        price = table.price(item)
        cost = 0
        if account.ending is Ending.DONE or table.bill_unfinished:
            # so that the sum is what the corrected quantity costs, to the last unit
            cost = priced(quantity, *price) - sum(line.cost for line in there)
        if account.cost + cost > LARGEST:
            raise QuantityRejected(f"request {request_id} would cost more than can be written")
        correction = 1 + max((line.correction for line in there), default=0)
        keep_totals(connection, found.key, table.currency, found.at, spent=cost)
        row = (item, correction, difference, *price, cost, reason)
        self._write(connection, before, request_id, found.number, at, [row], found.prices)
        return _with(account, [row], account.ending)

    def microseconds(self) -> int:
        """Now, since the epoch."""
        return int(self._now() * 1e6)

    def _opened(self, connection: Connection, said: dict[str, str], at: int) -> int:
        """Write what is said of a request; its number."""
        table, sha = self.prices, self.prices.sha256
        known, stored = connection.execute(KNOWN, {"id": said["id"], "sha": sha}).one()
        if known is not None:
            raise AlreadyReserved(f"request {said['id']} is in the ledger already")
        if stored is None:
            written = {"name": table.name, "currency": table.currency, "text": table.text}
            connection.execute(ADD_PRICES, {"sha256": sha, "added": at} | written)
        made = connection.execute(ADD_REQUEST, said | {"prices": sha, "at": at})
        key: Any = made.inserted_primary_key
        return int(key[0])

    def _write(
        self,
        connection: Connection,
        before: tuple[int, bytes],
        request_id: str,
        number: int,
        at: int,
        rows: Sequence[_Row],
        table: bytes,
    ) -> tuple[int, bytes]:
        """Append lines; the new head."""
        sequence, chained = before
        written = []
        for item, correction, quantity, price, per, cost, note in rows:
            sequence += 1
            link = Link(
                sequence, request_id, item, correction, quantity, price, per, cost, table, note, at
            )
            chained = link.hash(chained)
            written.append(vars(link) | {"request": number, "hash": chained})
        connection.execute(ADD_LINES, written)
        connection.execute(MOVE_HEAD, {"sequence": sequence, "hash": chained})
        return sequence, chained

    def _table(self, connection: Connection, sha: bytes) -> PriceTable:
        """The table that a request was opened with, whatever is in force now."""
        if sha == self.prices.sha256:
            return self.prices
        return read_prices(connection.execute(PRICES, {"sha": sha}).scalar_one())


def account_of(connection: Connection, request_id: str) -> Account:
    """What the book says of a request. Raises RequestUnknown."""
    return _found(connection, request_id).account


def is_known(connection: Connection, request_id: str) -> bool:
    """Whether the book has a request."""
    number, _ = connection.execute(KNOWN, {"id": request_id, "sha": b""}).one()
    return number is not None


class LeftOpen(NamedTuple):
    """A request that is reserved and not settled."""

    id: str
    owner: str


def left_open(connection: Connection) -> tuple[LeftOpen, ...]:
    """Those there are, oldest first."""
    settled = (
        select(lines.c.request)
        .where(lines.c.request == requests.c.number, lines.c.item == SETTLED)
        .exists()
    )
    query = select(requests.c.id, requests.c.owner).where(~settled).order_by(requests.c.number)
    return tuple(LeftOpen(row.id, row.owner) for row in connection.execute(query))


def count_lines(connection: Connection) -> int:
    """How many lines there are."""
    return int(connection.execute(select(func.count()).select_from(lines)).scalar_one())


def facts_of(row: Row[Any]) -> list[object]:
    """A request's facts as its first line's digest covers them. row: has the prices' sha256 as
    `opened_prices` and the time as `opened`.
    """
    return [*(getattr(row, name) for name in _FACTS), bytes(row.opened_prices).hex(), row.opened]


def _columns(opening: Opening) -> dict[str, str]:
    """What is written of a request. Raises LedgerError: what others named it by is too long."""
    for name in ("id", "tenant", "key"):
        most = longest(requests.c[name])
        if len(getattr(opening, name)) > most:
            raise LedgerError(f"the request's {name} is longer than {most} letters: shorten it")
    said = {name: getattr(opening, name) for name in _FACTS if name != "template"}
    said["template"] = " ".join(sorted(opening.template))
    return {name: value[: longest(requests.c[name])] for name, value in said.items()}


class _Found(NamedTuple):
    """A request as it is in the book. prices: the table's sha256; at: when it was reserved."""

    account: Account
    number: int
    key: str
    prices: bytes
    at: int


def _found(connection: Connection, request_id: str) -> _Found:
    rows = connection.execute(LINES, {"id": request_id}).all()
    if not rows:
        raise RequestUnknown(f"the ledger has no request {request_id}")
    first = rows[0]
    ending = next((Ending(row.note) for row in rows if row.item == SETTLED), None)
    booked = tuple(BookedLine(row.item, row.correction, row.quantity, row.cost) for row in rows)
    sha = bytes(first.prices)
    account = Account(request_id, ending, first.currency, sha.hex(), booked)
    return _Found(account, first.number, first.key, sha, first.at)


def _with(account: Account, rows: Sequence[_Row], ending: Ending | None) -> Account:
    """An account with the lines that were just written."""
    more = tuple(
        BookedLine(item, number, quantity, cost) for item, number, quantity, _, _, cost, _ in rows
    )
    return replace(account, ending=ending, lines=(*account.lines, *more))
