"""Sums for reports: what the lines of many requests add up to, by whatever is asked for."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    func,
    literal,
    null,
    select,
)

from fusion.ledger.book import RESERVED, SETTLED
from fusion.ledger.errors import LedgerError
from fusion.ledger.groups import (
    IS_COUNTED,
    OPEN,
    Chosen,
    Dimension,
    Group,
    asked_for,
    columns_of,
    group_of,
    labelled,
    place,
)
from fusion.ledger.items import ITEMS
from fusion.ledger.schema import IS_CORRECTION, lines, prices, requests

_HALF: Final = 32  # bits: SQLite adds halves, so that no sum is too large for it
_CORRECTED: Final = select(lines.c.request).where(IS_CORRECTION)


class Sum(NamedTuple):
    """An item of a group, by price table, so that currencies are never added.

    prices: the table's sha256, hex. quantity: all together, corrections included, or the largest of
    a peak. cost: nano-units of the currency. requests: how many have such a line.
    """

    group: Group
    prices: str
    currency: str
    item: str
    quantity: int
    cost: int
    requests: int


class Count(NamedTuple):
    """How many requests of a group ended in this way. ending: as in Ending, or "open".

    reserved: what those still open may cost, in nano-units of the currency.
    """

    group: Group
    prices: str
    currency: str
    ending: str
    requests: int
    reserved: int


@dataclass(frozen=True)
class Sums:
    """What a ledger adds up to, sorted by group; its items as ITEMS are."""

    by: tuple[Dimension, ...]
    items: tuple[Sum, ...]
    counts: tuple[Count, ...]


def sums_of(
    connection: Connection,
    by: Sequence[Dimension] = (),
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tenant: str | None = None,
    key: str | None = None,
) -> Sums:
    """Add up requests reserved from `since` on and before `until`, a tenant's or a key's or all.

    connection: one to read with, which sees one moment. since, until: with a time zone.
    Raises LedgerError for an unknown dimension and a time without its zone.
    """
    asked = asked_for(by)
    chosen = _chosen(asked, Chosen(since, until, tenant, key))
    groups = _groups(connection, chosen, asked)
    items: dict[int, dict[str, Sum]] = {first: {} for first in groups}
    _check_whole(connection, chosen, groups)
    for query in (_untouched(connection, chosen), _corrected(connection, chosen)):
        for first, item, count, peak, high, low, cost_high, cost_low in connection.execute(query):
            quantity = _whole(high, low) if peak is None else peak
            mine, cost = items[first], _whole(cost_high, cost_low)
            if item in mine:
                mine[item] = _together(mine[item], quantity, cost, count)
            else:
                mine[item] = Sum(*groups[first], item, quantity, cost, count)
    counts: dict[int, list[Count]] = {first: [] for first in groups}
    for first, ending, count, high, low in connection.execute(_endings(connection, chosen)):
        counts[first].append(Count(*groups[first], ending, count, _whole(high, low)))
    in_order = (mine[item] for mine in items.values() for item in ITEMS if item in mine)
    return Sums(asked, tuple(in_order), tuple(chain.from_iterable(counts.values())))


def _check_whole(connection: Connection, chosen: CTE, groups: Container[int]) -> None:
    """Raises LedgerError where requests have lost their price table."""
    firsts = connection.execute(select(chosen.c.first).distinct()).scalars()
    if any(first not in groups for first in firsts):
        raise LedgerError(
            "requests of this ledger name price tables that are gone: it was changed; see limner "
            "costs verify"
        )


def _chosen(by: Sequence[Dimension], which: Chosen) -> CTE:
    """The requests, each with the first of its group: one number to group lines by."""
    first = func.min(requests.c.number).over(partition_by=[*columns_of(by), requests.c.prices])
    return select(requests.c.number, first.label("first")).where(*which.where()).cte("chosen")


def _untouched(connection: Connection, chosen: CTE) -> Select[Any]:
    """Sums of the requests that nobody corrected."""
    peaks = [name for name, item in ITEMS.items() if item.peak]
    return (
        select(
            chosen.c.first, lines.c.item, func.count(),
            case((lines.c.item.in_(peaks), func.max(lines.c.quantity))),
            *_halves(connection, lines.c.quantity), *_halves(connection, lines.c.cost),
        )
        .join_from(chosen, lines, lines.c.request == chosen.c.number)
        .where(IS_COUNTED, chosen.c.number.not_in(_CORRECTED))
        .group_by(chosen.c.first, lines.c.item)
    )  # fmt: skip


def _corrected(connection: Connection, chosen: CTE) -> Select[Any]:
    """The others, one by one: the largest of a peak is one of the corrected values."""
    return (
        select(
            chosen.c.first, lines.c.item, literal(1), null(),
            *_halves(connection, lines.c.quantity), *_halves(connection, lines.c.cost),
        )
        .join_from(chosen, lines, lines.c.request == chosen.c.number)
        .where(IS_COUNTED, chosen.c.number.in_(_CORRECTED))
        .group_by(chosen.c.first, chosen.c.number, lines.c.item)
    )  # fmt: skip


def _endings(connection: Connection, chosen: CTE) -> Select[Any]:
    """How the requests of each group ended."""
    settled, reserved = lines.alias(), lines.alias()
    ending = func.coalesce(settled.c.note, OPEN)
    held = case((settled.c.note.is_(None), reserved.c.quantity), else_=0)
    is_settled = and_(settled.c.request == chosen.c.number, settled.c.item == SETTLED)
    is_reserved = and_(reserved.c.request == chosen.c.number, reserved.c.item == RESERVED)
    return (
        select(chosen.c.first, ending, func.count(), *_halves(connection, held))
        .join_from(chosen, reserved, is_reserved)
        .join(settled, is_settled, isouter=True)
        .group_by(chosen.c.first, ending)
        .order_by(ending)
    )


def _groups(
    connection: Connection, chosen: CTE, by: Sequence[Dimension]
) -> dict[int, tuple[Group, str, str]]:
    """Each group by its first request, with its price table's sha256 and currency; sorted."""
    query = (
        select(requests.c.number, prices.c.sha256, prices.c.currency, *labelled(by))
        .join_from(requests, prices, prices.c.sha256 == requests.c.prices)
        .where(requests.c.number.in_(select(chosen.c.first)))
    )
    found = {
        row.number: (group_of(row._mapping, by), bytes(row.sha256).hex(), row.currency)
        for row in connection.execute(query)
    }
    return dict(sorted(found.items(), key=lambda one: (place(one[1][0]), one[1][1])))


def _halves(connection: Connection, column: ColumnElement[int]) -> list[ColumnElement[Any]]:
    """A high and a low half of a sum, so that it does not overflow; see `_whole`."""
    if connection.dialect.name != "sqlite":  # sums there are wider than integers
        return [literal(0), func.sum(column)]
    return [func.sum(column.op(">>")(_HALF)), func.sum(column.op("&")((1 << _HALF) - 1))]


def _whole(high: int, low: int | Decimal) -> int:
    return (high << _HALF) + int(low)


def _together(one: Sum, quantity: int, cost: int, count: int) -> Sum:
    """A sum with one more."""
    both = (one.quantity, quantity)
    return one._replace(
        quantity=max(both) if ITEMS[one.item].peak else sum(both),
        cost=one.cost + cost,
        requests=one.requests + count,
    )
