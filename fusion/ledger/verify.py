"""Proof of the book: every line read again, from the first, until one does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from fusion.ledger.book import RESERVED, SETTLED, facts_of
from fusion.ledger.budgets import month_of
from fusion.ledger.chain import Link, facts_digest
from fusion.ledger.errors import PriceRejected
from fusion.ledger.prices import PriceTable, read_prices
from fusion.ledger.schema import GENESIS, head, lines, prices, requests, totals


@dataclass(frozen=True)
class Verdict:
    """lines: that fit; hash: of the last of them, hex. broken: the first that does not, by its
    sequence, 0 if none; why: in words.
    """

    lines: int
    hash: str
    broken: int = 0
    why: str = ""

    @property
    def holds(self) -> bool:
        """Whether everything fits."""
        return not self.why


def verify_chain(connection: Connection, known: tuple[int, str] | None = None) -> Verdict:
    """Walk all lines. known: a line's sequence and hash (hex) as noted earlier, elsewhere: without
    it, who can rewrite the whole file can rewrite the whole chain.

    A changed value, another order, a line taken away: each is named by its line. Price tables,
    requests and the sums that budgets look at are compared as well.
    """
    try:
        tables = _tables(connection)
    except PriceRejected as error:
        return Verdict(0, GENESIS.hex(), why=str(error))
    before, count, sums = GENESIS, 0, _Sums()
    for row in _rows(connection):
        why = _wrong(row, count + 1, before, tables)
        if not why and known is not None and known[0] == row.sequence:
            same = bytes(row.hash).hex() == known[1].strip().lower()
            why = "" if same else f"line {row.sequence} is not the one noted"
        if why:
            return Verdict(count, before.hex(), count + 1, why)
        before, count = bytes(row.hash), count + 1
        sums.add(row, tables[bytes(row.prices)].currency)
    newest = connection.execute(select(head.c.sequence, head.c.hash)).first()
    if newest is None:
        return Verdict(count, before.hex(), count + 1, "which line is the newest is not said")
    there = max(newest.sequence, 0 if known is None else known[0])
    why = ""
    if there > count:
        why = f"there were {there} lines, {count} are left: those at the end are missing"
    elif (newest.sequence, bytes(newest.hash)) != (count, before):
        why = f"the newest line is said to be {newest.sequence}, and is {count}"
    if why:
        return Verdict(count, before.hex(), count + 1, why)
    return Verdict(count, before.hex(), why=_unwritten(connection) or sums.wrong(connection))


class _Sums:
    """What budgets look at, added up from the lines."""

    def __init__(self) -> None:
        self._spent: Counter[tuple[str, str, str]] = Counter()
        self._reserved: dict[str, tuple[tuple[str, str, str], int]] = {}

    def add(self, row: Row[Any], currency: str) -> None:
        """Take a line into account."""
        key = (row.key, currency, month_of(row.opened))
        if row.item == RESERVED:
            self._reserved[row.id] = (key, row.quantity)
        elif row.item == SETTLED:
            self._reserved.pop(row.id, None)
        else:
            self._spent[key] += row.cost

    def wrong(self, connection: Connection) -> str:
        """What the ledger's own sums say otherwise, if anything."""
        reserved: Counter[tuple[str, str, str]] = Counter()
        for key, quantity in self._reserved.values():
            reserved[key] += quantity
        kept = {
            (row.key, row.currency, row.month): (row.spent, row.reserved)
            for row in connection.execute(select(totals))
        }
        for key in kept.keys() | self._spent.keys() | reserved.keys():
            right = (self._spent[key], reserved[key])
            if kept.get(key, (0, 0)) != right:
                return (
                    f"the sums of key {key[0] or '(none)'} in {key[2]} are {kept.get(key)}, its "
                    f"lines add up to {right} nano-units, spent and reserved"
                )
        return ""


def _unwritten(connection: Connection) -> str:
    """What is wrong with the requests, if anything: each has its first line."""
    first = select(lines.c.request).where(lines.c.item == RESERVED)
    query = select(requests.c.id).where(requests.c.number.not_in(first)).limit(1)
    found = connection.execute(query).scalar()
    return "" if found is None else f"request {found} stands there without a line"


def _tables(connection: Connection) -> dict[bytes, PriceTable]:
    tables = {}
    for row in connection.execute(select(prices)):
        table = read_prices(row.text, f"the price table {row.sha256.hex()[:12]}")
        said = (bytes(row.sha256), row.name, row.currency)
        if said != (table.sha256, table.name, table.currency):
            raise PriceRejected(f"the price table {row.sha256.hex()[:12]} was changed")
        tables[table.sha256] = table
    return tables


def _rows(connection: Connection) -> Iterator[Row[Any]]:
    asked = [one for one in requests.c if one.name not in ("number", "prices", "at")]
    query = (
        select(
            lines, *asked, requests.c.prices.label("opened_prices"), requests.c.at.label("opened")
        )
        .join(requests, requests.c.number == lines.c.request, isouter=True)
        .order_by(lines.c.sequence)
    )
    return iter(connection.execution_options(yield_per=5_000).execute(query))


def _wrong(row: Row[Any], expected: int, before: bytes, tables: dict[bytes, PriceTable]) -> str:
    """What is wrong with a line, if anything."""
    if row.sequence != expected:
        return f"line {expected} is missing: line {row.sequence} follows line {expected - 1}"
    if row.id is None:
        return f"line {expected} is of a request that is no more"
    link = Link(
        row.sequence, row.id, row.item, row.correction, row.quantity, row.price, row.per, row.cost,
        bytes(row.prices), row.note, row.at,
    )  # fmt: skip
    if link.hash(before) != bytes(row.hash):
        return f"line {expected} ({row.item} of {row.id}) was changed, or stands out of its order"
    table = tables.get(bytes(row.prices))
    if table is None:
        return f"line {expected} ({row.item} of {row.id}) names a price table that is not there"
    if row.item == RESERVED and row.note != facts_digest(facts_of(row)):
        return f"line {expected}: what it says of request {row.id} was changed"
    return ""
