"""What reports group requests by, and which requests they look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

from sqlalchemy import ColumnElement, RowMapping, func, literal, select

from fusion.ledger.book import RESERVED, SETTLED
from fusion.ledger.errors import LedgerError
from fusion.ledger.schema import lines, requests

Dimension = Literal[
    "tenant", "key", "day", "bundle", "source", "kind", "template", "ending", "request"
]
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
OPEN: Final = "open"  # the ending of a request that is reserved and not settled
IS_COUNTED: Final = lines.c.item.not_in((RESERVED, SETTLED))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 24 * 3600 * 10**6


@dataclass(frozen=True)
class Group:
    """What requests have in common; "" for what was not asked for.

    day: of the reservation, UTC, 2026-11-25. template: names of attributes, with spaces between.
    ending: as in Ending, or "open". request: its id.
    """

    tenant: str = ""
    key: str = ""
    day: str = ""
    bundle: str = ""
    source: str = ""
    kind: str = ""
    template: str = ""
    ending: str = ""
    request: str = ""


@dataclass(frozen=True)
class Chosen:
    """Requests reserved from `since` on and before `until`, a tenant's, a key's, or all."""

    since: datetime | None = None
    until: datetime | None = None
    tenant: str | None = None
    key: str | None = None

    def where(self) -> list[ColumnElement[bool]]:
        """Conditions on the requests. Raises LedgerError for a time without its zone."""
        wanted: list[ColumnElement[bool]] = []
        if self.since is not None:
            wanted.append(requests.c.at >= microseconds(self.since))
        if self.until is not None:
            wanted.append(requests.c.at < microseconds(self.until))
        if self.tenant is not None:
            wanted.append(requests.c.tenant == self.tenant)
        if self.key is not None:
            wanted.append(requests.c.key == self.key)
        return wanted


def asked_for(by: Sequence[str]) -> tuple[Dimension, ...]:
    """Dimensions in their order. Raises LedgerError for one that is not known."""
    if unknown := set(by) - set(DIMENSIONS):
        raise LedgerError(f"no sums by {', '.join(sorted(unknown))}: give {', '.join(DIMENSIONS)}")
    return tuple(name for name in DIMENSIONS if name in by)


def columns_of(by: Sequence[Dimension]) -> list[ColumnElement[Any]]:
    """Of the requests, to group by."""
    settled = lines.alias()
    ending = (
        select(settled.c.note)
        .where(settled.c.request == requests.c.number, settled.c.item == SETTLED)
        .correlate(requests)
        .scalar_subquery()
    )
    special: dict[Dimension, ColumnElement[Any]] = {
        "day": requests.c.at // literal(_DAY),
        "request": requests.c.id,
        "ending": func.coalesce(ending, OPEN),
    }
    return [special[name] if name in special else requests.c[name] for name in by]


def labelled(by: Sequence[Dimension]) -> list[ColumnElement[Any]]:
    """The same columns, for `group_of`."""
    return [one.label(f"by_{name}") for name, one in zip(by, columns_of(by), strict=True)]


def group_of(row: RowMapping, by: Sequence[Dimension]) -> Group:
    """From columns that are `labelled`."""
    named = {name: row[f"by_{name}"] for name in by}
    if "day" in named:
        named["day"] = (_EPOCH + timedelta(days=named["day"])).date().isoformat()
    return Group(**named)


def place(group: Group) -> tuple[str, ...]:
    """Where a group stands among others."""
    return tuple(getattr(group, name) for name in DIMENSIONS)


def microseconds(when: datetime) -> int:
    """Since the epoch. Raises LedgerError for a time without its zone."""
    if when.tzinfo is None:
        raise LedgerError(f"{when} is in no time zone: give one, such as UTC")
    return (when - _EPOCH) // timedelta(microseconds=1)


def time_of(since_epoch: int) -> datetime:
    """From microseconds, UTC."""
    return _EPOCH + timedelta(microseconds=since_epoch)
