"""Proof of the book: every line read again, from the first, until one does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select

from fusion.ledger.book import FACTS, RESERVED, SETTLED
from fusion.ledger.budgets import month_of
from fusion.ledger.chain import Link, facts_digest
from fusion.ledger.errors import PriceRejected
from fusion.ledger.prices import PriceTable, read_prices
from fusion.ledger.schema import GENESIS, head, lines, prices, requests, totals

_OWN: Final = len(Link._fields)
_ALL: Final[
    Select[Any]
] = (  # lines as they were hashed, their hashes, and what is said of their requests
    select(
        *(requests.c.id if name == "request" else lines.c[name] for name in Link._fields),
        lines.c.hash,
        requests.c.key,
        requests.c.at.label("opened"),
        requests.c.prices.label("opened_prices"),
        *(requests.c[name].label(f"said_{name}") for name in FACTS),
    )
    .join_from(lines, requests, requests.c.number == lines.c.request, isouter=True)
    .order_by(lines.c.sequence)
)
_Key = tuple[str, str, str]  # of a sum: key, currency, month


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
    before, count, sums = GENESIS, 0, _Sums(tables)
    with connection.execute(_ALL, execution_options={"yield_per": 5_000}) as rows:
        for row in rows:
            link = Link(*row[:_OWN])
            why = _wrong(link, row, count + 1, before, tables)
            if not why and known is not None and known[0] == link.sequence:
                same = row.hash.hex() == known[1].strip().lower()
                why = "" if same else f"line {link.sequence} is not the one noted"
            if why:
                return Verdict(count, before.hex(), count + 1, why)
            before, count = row.hash, count + 1
            sums.add(link, row.key, row.opened)
    why = _cut_off(connection, count, before, 0 if known is None else known[0])
    if why:
        return Verdict(count, before.hex(), count + 1, why)
    return Verdict(count, before.hex(), why=_unwritten(connection) or sums.wrong(connection))


class _Sums:
    """What budgets look at, added up from the lines."""

    def __init__(self, tables: Mapping[bytes, PriceTable]) -> None:
        self._tables = tables
        self._spent: Counter[_Key] = Counter()
        self._reserved: dict[str, tuple[_Key, int]] = {}

    def add(self, line: Link, key: str, opened: int) -> None:
        """Take a line into account, of a key's request that was opened then."""
        if line.item == SETTLED:
            self._reserved.pop(line.request, None)
        elif line.item == RESERVED or line.cost:
            of = (key, self._tables[line.prices].currency, month_of(opened))
            if line.item == RESERVED:
                self._reserved[line.request] = of, line.quantity
            else:
                self._spent[of] += line.cost

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


def _cut_off(connection: Connection, count: int, last: bytes, known: int) -> str:
    """What is wrong with the end of the chain, if anything."""
    newest = connection.execute(select(head.c.sequence, head.c.hash)).first()
    if newest is None:
        return "which line is the newest is not said"
    if not isinstance(newest.sequence, int):
        return f"the newest line is said to be {newest.sequence!r}, and is {count}"
    there = max(newest.sequence, known)
    if there > count:
        return f"there were {there} lines, {count} are left: those at the end are missing"
    if newest.sequence != count:
        return f"the newest line is said to be {newest.sequence}, and is {count}"
    return "" if newest.hash == last else f"line {count} is the newest, and another hash is noted"


def _tables(connection: Connection) -> dict[bytes, PriceTable]:
    tables = {}
    for row in connection.execute(select(prices)):
        named = f"the price table {_hex(row.sha256)[:12]}"
        if not isinstance(row.text, str):
            raise PriceRejected(f"{named} was changed")
        table = read_prices(row.text, named)
        said = (row.sha256, row.name, row.currency)
        if said != (table.sha256, table.name, table.currency):
            raise PriceRejected(f"{named} was changed")
        tables[table.sha256] = table
    return tables


def _wrong(
    line: Link, row: Row[Any], expected: int, before: bytes, tables: Mapping[bytes, PriceTable]
) -> str:
    """What is wrong with a line, if anything."""
    if line.sequence != expected:
        return f"line {expected} is missing: line {line.sequence} follows line {expected - 1}"
    if row.id is None:
        return f"line {expected} is of a request that is no more"
    named = f"line {expected} ({line.item} of {line.request})"
    if not _fits(line, before, row.hash):
        return f"{named} was changed, or stands out of its order"
    if line.prices not in tables:
        return f"{named} names a price table that is not there"
    if line.item == RESERVED:
        facts = [getattr(row, f"said_{name}") for name in FACTS]
        if line.note != _digest([*facts, _hex(row.opened_prices), row.opened]):
            return f"line {expected}: what it says of request {line.request} was changed"
    return ""


def _fits(line: Link, before: bytes, noted: object) -> bool:
    try:
        return line.hash(before) == noted
    except (AttributeError, TypeError):  # SQLite holds a value of any type in any column
        return False


def _digest(facts: Sequence[object]) -> str:
    try:
        return facts_digest(facts)
    except TypeError:  # bytes where there was text
        return ""


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
