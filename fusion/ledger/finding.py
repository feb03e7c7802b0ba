"""Requests found in the book: the latest, those that an id begins with, what corrections added."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from fusion.ledger.book import SETTLED
from fusion.ledger.errors import RequestUnknown
from fusion.ledger.groups import IS_COUNTED, OPEN, Chosen
from fusion.ledger.schema import IS_CORRECTION, lines, prices, requests

SHORTEST: Final = 6  # letters of an id's beginning
_NAMED: Final = 5  # of several that fit


class FoundRequest(NamedTuple):
    """A request in short. at: microseconds since the epoch; ending: as in Ending, or "open";
    cost: nano-units of the currency.
    """

    id: str
    at: int
    tenant: str
    ending: str
    pictures: int
    currency: str
    cost: int


def latest_requests(
    connection: Connection, most: int, *, since: datetime | None = None,
    until: datetime | None = None, tenant: str | None = None,
) -> tuple[FoundRequest, ...]:  # fmt: skip
    """The newest first. Raises LedgerError for a time without its zone."""
    settled = lines.c.item == SETTLED
    query = (
        select(
            requests.c.id, requests.c.at, requests.c.tenant,
            func.coalesce(_of_lines(func.max(lines.c.note), settled), OPEN),
            func.coalesce(_of_lines(func.sum(lines.c.quantity), lines.c.item == "images"), 0),
            prices.c.currency,
            func.coalesce(_of_lines(func.sum(lines.c.cost), IS_COUNTED), 0),
        )
        .join(prices, prices.c.sha256 == requests.c.prices)
        .where(*Chosen(since, until, tenant).where())
        .order_by(requests.c.at.desc(), requests.c.number.desc())
        .limit(most)
    )  # fmt: skip
    return tuple(
        FoundRequest(name, at, who, ending, int(pictures), currency, int(cost))
        for name, at, who, ending, pictures, currency, cost in connection.execute(query)
    )


def whole_id(connection: Connection, beginning: str) -> str:
    """The one request whose id is so, or begins so with at least SHORTEST letters.

    Raises RequestUnknown, also where several fit.
    """
    if connection.execute(select(requests.c.id).where(requests.c.id == beginning)).scalar():
        return beginning
    if len(beginning) < SHORTEST:
        raise RequestUnknown(
            f"the ledger has no request {beginning}; of an id's beginning give {SHORTEST} letters "
            "or more"
        )
    fits = requests.c.id.startswith(beginning, autoescape=True)
    query = select(requests.c.id).where(fits).order_by(requests.c.id)
    # LIKE does not tell capitals apart everywhere.
    found = [one for one in connection.execute(query).scalars() if one.startswith(beginning)]
    if not found:
        raise RequestUnknown(f"the ledger has no request {beginning}, nor one that begins so")
    if len(found) > 1:
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        raise RequestUnknown(
            f"{beginning} is the beginning of {len(found):,} requests: "
            f"{', '.join(found[:_NAMED])}{more}; give more of it"
        )
    return str(found[0])


def corrections_of(
    connection: Connection, *, since: datetime | None = None, until: datetime | None = None,
    tenant: str | None = None, ending: str = "done",
) -> dict[str, int]:  # fmt: skip
    """What corrections added to requests that ended so, by item. Raises as `latest_requests`."""
    settled = lines.alias()
    query = (
        select(lines.c.item, func.sum(lines.c.quantity))
        .join(requests, requests.c.number == lines.c.request)
        .join(settled, settled.c.request == lines.c.request)
        .where(IS_CORRECTION, settled.c.item == SETTLED, settled.c.note == ending)
        .where(*Chosen(since, until, tenant).where())
        .group_by(lines.c.item)
    )
    return {item: int(quantity) for item, quantity in connection.execute(query)}


def _of_lines(value: ColumnElement[Any], which: ColumnElement[bool]) -> ColumnElement[Any]:
    query = select(value).where(lines.c.request == requests.c.number, which)
    return query.correlate(requests).scalar_subquery()
