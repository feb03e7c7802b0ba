"""/v1/usage: what a tenant has used, added up from the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Annotated, Final, Literal, NamedTuple, get_args

from anyio import to_thread
from fastapi import APIRouter, Query
from pydantic import BeforeValidator
from starlette.responses import Response

from fusion import Count, Sum, Sums, decimal_of, sums_of
from serving.context import Here, Reader
from serving.database import Database
from serving.errors import BadRequest
from serving.wire import Answer

router = APIRouter(prefix="/v1", tags=["Usage"])
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _day(given: object) -> object:
    """A date as ISO 8601 has it; pydantic alone would take seconds for one, too."""
    if isinstance(given, str) and not _DAY.fullmatch(given):
        raise ValueError('a day is "YEAR-MONTH-DAY" such as "2026-11-25"')
    return given


Day = Annotated[date, BeforeValidator(_day)]
By = Literal["key", "day", "bundle", "source", "kind", "template", "ending"]


class UsageSums(Answer):
    """What requests used under one price table. group: what they have in common, by dimension.

    requests: how many ended in which way, "open" those under way. items: quantities by item of the
    ledger, times in nanoseconds; costs: of those that cost something. cost: all of them; reserved:
    what the open ones may still cost. Amounts are decimal numbers, exact.
    """

    group: dict[By, str]
    currency: str
    prices: str
    requests: dict[str, int]
    items: dict[str, int]
    costs: dict[str, str]
    cost: str
    reserved: str


class UsageReport(Answer):
    """A tenant's usage. total, groups: once for each price table and currency there was."""

    object: Literal["usage"] = "usage"
    since: date | None
    until: date | None
    by: tuple[By, ...]
    total: tuple[UsageSums, ...]
    groups: tuple[UsageSums, ...]


@router.get("/usage", response_model=UsageReport)
async def usage(
    here: Here,
    key: Reader,
    since: Annotated[Day | None, Query(description="The first day, UTC")] = None,
    until: Annotated[Day | None, Query(description="The day after the last, UTC")] = None,
    by: Annotated[list[By] | None, Query(max_length=8, description="Group by")] = None,
) -> Response:
    """What the key's tenant has used: all together, and by what is asked for.

    A request counts on the day it was accepted.
    """
    if since is not None and until is not None and since >= until:
        raise BadRequest(
            "invalid_request", f"since {since} is not before until {until}", param="until"
        )
    # In the ledger's order, whatever order they came in.
    wanted = tuple(name for name in get_args(By) if name in (by or ()))
    report = await to_thread.run_sync(
        partial(_report, here.database, key.tenant, wanted, since, until)
    )
    return Response(report.model_dump_json(), media_type="application/json")


def _report(
    database: Database, tenant: str, by: tuple[By, ...], since: date | None, until: date | None
) -> UsageReport:
    with database.reading() as connection:
        added = partial(
            sums_of, connection, since=_midnight(since), until=_midnight(until), tenant=tenant
        )
        total, groups = added(), added(by) if by else None
    return UsageReport(
        since=since,
        until=until,
        by=by,
        total=_shown(total, ()),
        groups=() if groups is None else _shown(groups, by),
    )


class _Place(NamedTuple):
    group: tuple[str, ...]
    prices: str
    currency: str


def _shown(sums: Sums, by: tuple[By, ...]) -> tuple[UsageSums, ...]:
    """One for each group and price table, in the ledger's order."""

    def place(one: Sum | Count) -> _Place:
        return _Place(tuple(getattr(one.group, name) for name in by), one.prices, one.currency)

    counts: dict[_Place, list[Count]] = {}
    for count in sums.counts:  # every request has an ending, or is open
        counts.setdefault(place(count), []).append(count)
    items: dict[_Place, list[Sum]] = {}
    for item in sums.items:
        items.setdefault(place(item), []).append(item)
    return tuple(_one(where, by, items.get(where, []), mine) for where, mine in counts.items())


def _one(
    where: _Place, by: tuple[By, ...], items: Iterable[Sum], counts: Iterable[Count]
) -> UsageSums:
    items, counts = tuple(items), tuple(counts)
    return UsageSums(
        group=dict(zip(by, where.group, strict=True)),
        currency=where.currency,
        prices=where.prices,
        requests={one.ending: one.requests for one in counts},
        items={one.item: one.quantity for one in items},
        costs={one.item: decimal_of(one.cost) for one in items if one.cost},
        cost=decimal_of(sum(one.cost for one in items)),
        reserved=decimal_of(sum(one.reserved for one in counts)),
    )


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
