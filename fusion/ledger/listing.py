"""All that the book has of one request, line by line: for who wants to see for himself."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from fusion.ledger.errors import RequestUnknown
from fusion.ledger.schema import lines, prices, requests


class WrittenLine(NamedTuple):
    """A line as it is in the chain, the reservation and the settlement too.

    at: microseconds since the epoch; price, cost: nano-units of the currency; hash, prices: hex.
    """

    sequence: int
    item: str
    correction: int
    quantity: int
    price: int
    per: int
    cost: int
    note: str
    at: int
    hash: str
    prices: str


class WrittenRequest(NamedTuple):
    """A request's facts, as in Opening, with its price table's name and its lines in order."""

    id: str
    tenant: str
    key: str
    source: str
    kind: str
    bundle: str
    bundle_digest: str
    template: str
    at: int
    currency: str
    prices_name: str
    lines: tuple[WrittenLine, ...]


def written_request(connection: Connection, request_id: str) -> WrittenRequest:
    """What the book has of a request. Raises RequestUnknown."""
    query = (
        select(requests, prices.c.currency, prices.c.name)
        .join(prices, prices.c.sha256 == requests.c.prices)
        .where(requests.c.id == request_id)
    )
    found = connection.execute(query).first()
    if found is None:
        raise RequestUnknown(f"the ledger has no request {request_id}")
    rows = connection.execute(
        select(lines).where(lines.c.request == found.number).order_by(lines.c.sequence)
    )
    written = tuple(
        WrittenLine(
            row.sequence, row.item, row.correction, row.quantity, row.price, row.per, row.cost,
            row.note, row.at, bytes(row.hash).hex(), bytes(row.prices).hex(),
        )
        for row in rows
    )  # fmt: skip
    return WrittenRequest(
        found.id, found.tenant, found.key, found.source, found.kind, found.bundle,
        found.bundle_digest, found.template, found.at, found.currency, found.name, written,
    )  # fmt: skip


class KeptPrices(NamedTuple):
    """A price table as the ledger keeps it. added: microseconds since the epoch; sha256: hex."""

    sha256: str
    name: str
    currency: str
    text: str
    added: int


def kept_prices(connection: Connection) -> tuple[KeptPrices, ...]:
    """Every price table that was ever in force, oldest first."""
    query = select(prices).order_by(prices.c.added, prices.c.name)
    return tuple(
        KeptPrices(bytes(row.sha256).hex(), row.name, row.currency, row.text, row.added)
        for row in connection.execute(query)
    )
