"""The report: one look at the ledger, every answer reckoned from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from eval.costs.elsewhere import Bill, Service, bill_of
from eval.costs.errors import LedgerMissing
from eval.costs.opening import ledger_name, reading
from eval.costs.question import Question
from eval.costs.reprice import Repriced, repriced
from eval.costs.savings import Saving, savings_of
from eval.costs.stages import StageRow, stages_of
from eval.costs.tally import Tally, tallies_of, together
from eval.costs.unfinished import Redrawn, Unfinished, redrawn_of, unfinished_of
from fusion import (
    Dimension,
    Ending,
    PriceTable,
    Sums,
    corrections_of,
    kept_prices,
    read_prices,
    sums_of,
)

_DONE: Final = str(Ending.DONE)
_STACKED: Final[tuple[Dimension, ...]] = ("tenant", "bundle", "source", "key", "kind")


@dataclass(frozen=True)
class InForce:
    """A price table, and from which to which day requests were opened with it."""

    name: str
    sha256: str
    currency: str
    first: str
    last: str
    requests: int
    bill_unfinished: bool


@dataclass(frozen=True)
class Day:
    """Of a part of a day's requests: delivered pictures, and cost in nano-units by currency."""

    day: str
    part: str
    pictures: int
    cost: dict[str, int]


@dataclass(frozen=True)
class GroupRow:
    """What the requests of a group have in common, what they add up to, what they saved."""

    tally: Tally
    savings: tuple[Saving, ...]
    stages: tuple[StageRow, ...]


@dataclass(frozen=True)
class CostReport:
    """parts: what days are divided by; first, last: days with requests. cores: of the machine that
    CPU shares are of.
    """

    ledger: str
    question: Question
    made_at: datetime
    cores: int
    total: Tally
    groups: tuple[GroupRow, ...]
    days: tuple[Day, ...]
    parts: str
    tables: tuple[InForce, ...]
    savings: tuple[Saving, ...]
    stages: tuple[StageRow, ...]
    unfinished: tuple[Unfinished, ...]
    redrawn: Redrawn
    bills: tuple[Bill, ...]
    repriced: Repriced | None = None

    @property
    def currencies(self) -> tuple[str, ...]:
        """Those of the price tables, in order."""
        return tuple(self.total.cost())


def read_report(
    where: str | Path | None,
    question: Question,
    *,
    prices: PriceTable | None = None,
    services: Sequence[Service] = (),
    cores: int = 1,
) -> CostReport:
    """Ask a ledger. prices: another table of ours; services: elsewhere; cores: a machine's.

    Raises LedgerMissing, also where nothing fits the question; DatabaseUnusable, QuestionRejected.
    """
    with reading(where) as connection:
        tables = {
            kept.sha256: read_prices(kept.text, f"the price table {kept.name}")
            for kept in kept_prices(connection)
        }
        by, days_by = question.dimensions, ("day", "ending", *_dividing(question))
        daily = _sums(connection, question, days_by)
        if not daily.counts:
            raise LedgerMissing(_nothing(where, question))
        known = set(by) <= set(days_by)  # then the lines need not be read twice
        groups = tallies_of(daily if known else _sums(connection, question, (*by, "ending")), by)
        corrected = corrections_of(
            connection, since=question.since, until=question.until, tenant=question.tenant
        )
    total = together(groups)
    parts = _parts(question, daily)
    days = tallies_of(daily, ("day", parts))
    report = CostReport(
        ledger=ledger_name(where),
        question=question,
        made_at=datetime.now(UTC),
        cores=cores,
        total=total,
        groups=tuple(_row(group, tables) for group in groups) if question.by else (),
        days=tuple(
            Day(one.values[0], one.values[1], one.quantity("images", _DONE), one.cost())
            for one in days
        ),
        parts=parts,
        tables=_in_force(days, tables),
        savings=savings_of(total, tables),
        stages=stages_of(total),
        unfinished=unfinished_of(total, tables),
        redrawn=redrawn_of(total, corrected),
        bills=tuple(
            bill_of(
                one,
                pictures=total.quantity("images", _DONE),
                text_tokens=total.quantity("baseline_tokens", _DONE),
                photos=total.quantity("faces_analysed", _DONE)
                + total.quantity("faces_reused", _DONE),
            )
            for one in services
        ),
    )
    return report if prices is None else replace(report, repriced=repriced(total, prices))


def _row(group: Tally, tables: Mapping[str, PriceTable]) -> GroupRow:
    return GroupRow(group, savings_of(group, tables), stages_of(group))


def _sums(connection: Connection, question: Question, by: Sequence[Dimension]) -> Sums:
    return sums_of(
        connection, by, since=question.since, until=question.until, tenant=question.tenant
    )


def _dividing(question: Question) -> tuple[Dimension, ...]:
    """What days may be divided by: what was asked for first, then tenants, then bundles."""
    asked = [one for one in question.dimensions if one in _STACKED][:1]
    usual = _STACKED[:2]
    if not asked or asked[0] in usual:
        return tuple(dict.fromkeys((*asked, *usual)))
    return (asked[0],)


def _parts(question: Question, daily: Sums) -> Dimension:
    """What was asked for; else tenants, or bundles where there is one tenant only."""
    first, *others = _dividing(question)
    several = len({getattr(count.group, first) for count in daily.counts}) > 1
    return first if several or first in question.dimensions else others[0]


def _in_force(days: Sequence[Tally], tables: Mapping[str, PriceTable]) -> tuple[InForce, ...]:
    seen: dict[str, list[str]] = defaultdict(list)
    requests: dict[str, int] = defaultdict(int)
    for one in days:
        for (sha, _), count in one.requests.items():
            seen[sha].append(one.values[0])
            requests[sha] += count
    found = [
        InForce(
            tables[sha].name, sha, tables[sha].currency, min(when), max(when), requests[sha],
            tables[sha].bill_unfinished,
        )
        for sha, when in seen.items()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.first, one.last, one.name)))


def _nothing(where: str | Path | None, question: Question) -> str:
    said = f"the ledger {ledger_name(where)} has no requests"
    if question.tenant is not None:
        said += f" of tenant {question.tenant}"
    if question.since is not None:
        said += f" since {question.since:%Y-%m-%d %H:%M} UTC"
    if question.until is not None:
        said += f" until {question.until:%Y-%m-%d %H:%M} UTC"
    return said
