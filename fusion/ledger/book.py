"""The book itself: what is reserved, settled and corrected within somebody's transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select, update

from fusion.ledger.accounts import Account, BookedLine, Ending, Opening
from fusion.ledger.budgets import check_budget, keep_totals
from fusion.ledger.chain import Link, facts_digest
from fusion.ledger.errors import AlreadyReserved, LedgerError, QuantityRejected, RequestUnknown
from fusion.ledger.items import ITEMS, Quantity, checked
from fusion.ledger.money import LARGEST, priced
from fusion.ledger.prices import PriceTable, read_prices
from fusion.ledger.schema import head, lines, prices, requests

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
        self, connection: Connection, openings: Sequence[Opening], held: bool = True
    ) -> None:
        """Open requests, all or none. held: to the keys' budgets; what was drawn already is not.

        Raises AlreadyReserved, BudgetExceeded, CurrencyMismatch.
        """
        at = self._microseconds()
        before = _head(connection)  # from here on nobody else writes
        for opening in openings:
            expected = sum(self.prices.cost(*one) for one in checked(opening.expected))
            if held:
                check_budget(connection, opening.key, self.prices.currency, expected, at)
            number = self._opened(connection, opening, at)
            said = _columns(opening)
            note = facts_digest([*(said[name] for name in _FACTS), self.prices.sha256.hex(), at])
            keep_totals(connection, opening.key, self.prices.currency, at, reserved=expected)
            before = self._write(
                connection, before, opening.id, number, at,
                [(RESERVED, 0, expected, 0, 1, 0, note)], self.prices.sha256,
            )  # fmt: skip

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
        used, at = checked(quantities), self._microseconds()
        before = _head(connection)
        found = _find(connection, request_id)
        account = _account(connection, found)
        if account.ending is not None:
            return account
        table = self._table(connection, found.prices)
        bills = ending is Ending.DONE or table.bill_unfinished
        rows, total = [], 0
        for name, amount in used:
            price = table.price(name)
            cost = table.cost(name, amount) if bills else 0
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
        before = _head(connection)
        found = _find(connection, request_id)
        account = _account(connection, found)
        if account.ending is None:
            raise LedgerError(f"request {request_id} is not settled yet: nothing to correct")
        if item not in ITEMS:
            raise QuantityRejected(f"{item!r} is not counted; known are {', '.join(ITEMS)}")
        if not reason.strip() or len(reason) > 255:
            raise LedgerError("a correction needs a reason, of at most 255 letters")
        if not difference or not 0 <= account.quantity(item) + difference <= LARGEST:
            raise QuantityRejected(
                f"{item} of {request_id} is {account.quantity(item)}: {difference:+d} is no "
                "correction of it"
            )
        table, at = self._table(connection, found.prices), self._microseconds()
        price = table.price(item)
        bills = account.ending is Ending.DONE or table.bill_unfinished
        cost = 0
        if bills:  # so that the sum is what the corrected quantity costs, to the last unit
            after = priced(account.quantity(item) + difference, price.amount, price.per)
            cost = after - sum(line.cost for line in account.lines if line.item == item)
        correction = 1 + max(
            (line.correction for line in account.lines if line.item == item), default=0
        )
        keep_totals(connection, found.key, table.currency, found.at, spent=cost)
        row = (item, correction, difference, price.amount, price.per, cost, reason)
        self._write(connection, before, request_id, found.number, at, [row], found.prices)
        return _with(account, [row], account.ending)

    def _opened(self, connection: Connection, opening: Opening, at: int) -> int:
        known = select(requests.c.number).where(requests.c.id == opening.id)
        if connection.execute(known).first() is not None:
            raise AlreadyReserved(f"request {opening.id} is in the ledger already")
        sha = self.prices.sha256
        if (
            connection.execute(select(prices.c.sha256).where(prices.c.sha256 == sha)).first()
            is None
        ):
            connection.execute(
                insert(prices).values(
                    sha256=sha, name=self.prices.name, currency=self.prices.currency,
                    text=self.prices.text, added=at,
                )
            )  # fmt: skip
        made = connection.execute(insert(requests).values(**_columns(opening), prices=sha, at=at))
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
        connection.execute(insert(lines), written)
        connection.execute(update(head).values(sequence=sequence, hash=chained))
        return sequence, chained

    def _table(self, connection: Connection, sha: bytes) -> PriceTable:
        """The table that a request was opened with, whatever is in force now."""
        if sha == self.prices.sha256:
            return self.prices
        found = connection.execute(select(prices.c.text).where(prices.c.sha256 == sha)).scalar_one()
        return read_prices(found)

    def _microseconds(self) -> int:
        return int(self._now() * 1e6)


def account_of(connection: Connection, request_id: str) -> Account:
    """What the book says of a request. Raises RequestUnknown."""
    return _account(connection, _find(connection, request_id))


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
    return {
        "id": opening.id,
        "tenant": opening.tenant,
        "key": opening.key,
        "source": opening.source,
        "kind": opening.kind,
        "bundle": opening.bundle,
        "bundle_digest": opening.bundle_digest,
        "template": " ".join(sorted(opening.template))[:512],
        "owner": opening.owner,
    }


def _head(connection: Connection) -> tuple[int, bytes]:
    row = connection.execute(select(head.c.sequence, head.c.hash).with_for_update()).one()
    return int(row.sequence), bytes(row.hash)


def _find(connection: Connection, request_id: str) -> Row[Any]:
    row = connection.execute(select(requests).where(requests.c.id == request_id)).first()
    if row is None:
        raise RequestUnknown(f"the ledger has no request {request_id}")
    return row


def _with(account: Account, rows: Sequence[_Row], ending: Ending | None) -> Account:
    """An account with the lines that were just written."""
    more = tuple(
        BookedLine(item, number, quantity, cost) for item, number, quantity, _, _, cost, _ in rows
    )
    return replace(account, ending=ending, lines=(*account.lines, *more))


def _account(connection: Connection, found: Row[Any]) -> Account:
    rows = connection.execute(
        select(lines.c.item, lines.c.correction, lines.c.quantity, lines.c.cost, lines.c.note)
        .where(lines.c.request == found.number)
        .order_by(lines.c.sequence)
    ).all()
    ending = next((Ending(row.note) for row in rows if row.item == SETTLED), None)
    currency = connection.execute(
        select(prices.c.currency).where(prices.c.sha256 == found.prices)
    ).scalar_one()
    booked = tuple(BookedLine(row.item, row.correction, row.quantity, row.cost) for row in rows)
    return Account(found.id, ending, currency, found.prices.hex(), booked)
