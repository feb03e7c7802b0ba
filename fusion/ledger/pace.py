"""How fast a bundle was drawn lately, by what the ledger holds: reservations reckon with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from fusion.ledger.schema import lines, requests

_LATEST: Final = 200  # requests that are looked at
_EVALUATIONS: Final = ("denoiser_evaluations", "shallow_evaluations")


@dataclass(frozen=True)
class RecentPace:
    """evaluations of the denoiser, whole and shallow, and the nanoseconds they took."""

    evaluations: int
    nanoseconds: int


def recent_pace(connection: Connection, bundle: str) -> RecentPace:
    """Of the bundle's latest requests; zeros where there are none."""
    latest = (
        select(requests.c.number)
        .where(requests.c.bundle == bundle)
        .order_by(requests.c.number.desc())
        .limit(_LATEST)
        .subquery()
    )
    rows = connection.execute(
        select(lines.c.item, func.sum(lines.c.quantity))
        .join(latest, latest.c.number == lines.c.request)
        .where(lines.c.item.in_((*_EVALUATIONS, "denoiser_time")))
        .group_by(lines.c.item)
    )
    sums = {item: int(quantity) for item, quantity in rows}
    return RecentPace(sum(sums.get(item, 0) for item in _EVALUATIONS), sums.get("denoiser_time", 0))
