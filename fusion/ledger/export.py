"""Single lines for exports, each with what the book says of its request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from fusion.ledger.groups import (
    DIMENSIONS,
    IS_COUNTED,
    Chosen,
    Group,
    group_of,
    labelled,
    time_of,
)
from fusion.ledger.schema import lines, prices, requests

_BATCHES: Final = {"yield_per": 500}  # requests at a time, so that memory stays small


class LedgerLine(NamedTuple):
    """A line. group: all that there is of its request; correction: 0 for the line itself.

    price, cost: nano-units of the currency, the price for `per` units; prices: the table's sha256,
    hex. at: when it was written; opened: when its request was reserved.
    """

    sequence: int
    group: Group
    bundle_digest: str
    item: str
    correction: int
    quantity: int
    price: int
    per: int
    cost: int
    currency: str
    prices: str
    note: str
    at: datetime
    opened: datetime


def lines_between(
    connection: Connection,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    tenant: str | None = None,
    key: str | None = None,
) -> Iterator[LedgerLine]:
    """The lines that `sums_of` adds up for the same arguments, one by one, request by request.

    Raises LedgerError for a time without its zone.
    """
    asked = (
        select(
            requests.c.number, requests.c.bundle_digest, requests.c.at, requests.c.prices,
            prices.c.currency, *labelled(DIMENSIONS),
        )
        .join(prices, prices.c.sha256 == requests.c.prices)
        .where(*Chosen(since, until, tenant, key).where())
        .order_by(requests.c.number)
    )  # fmt: skip
    for batch in connection.execute(asked, execution_options=_BATCHES).partitions():
        known = {row.number: _Known(row) for row in batch}
        query = (
            select(lines)
            .where(lines.c.request.in_(known), IS_COUNTED)
            .order_by(lines.c.request, lines.c.sequence)
        )
        for row in connection.execute(query):
            request = known[row.request]
            yield LedgerLine(
                row.sequence, request.group, request.bundle_digest, row.item, row.correction,
                row.quantity, row.price, row.per, row.cost, request.currency, request.prices,
                row.note, time_of(row.at), request.opened,
            )  # fmt: skip


class _Known:
    """What lines of a request share."""

    def __init__(self, row: Row[Any]) -> None:
        self.group = group_of(row._mapping, DIMENSIONS)
        self.bundle_digest: str = row.bundle_digest
        self.currency: str = row.currency
        self.prices = bytes(row.prices).hex()
        self.opened = time_of(row.at)
