"""Days as the page draws them: one bar for each, stacked by tenants or whatever divides them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from eval.costs.report import CostReport, Day

OTHERS: Final = "\n"  # no name has a line's end
_MOST_PARTS: Final = 4
_MOST_DAYS: Final = 400  # beyond, months are drawn


@dataclass(frozen=True)
class Calendar:
    """steps: days or months without gaps; parts: the largest first, OTHERS last where there are.

    pictures: [step][part]; costs: by currency [step][part], nano-units.
    """

    steps: tuple[str, ...]
    parts: tuple[str, ...]
    pictures: tuple[tuple[int, ...], ...]
    costs: dict[str, tuple[tuple[int, ...], ...]]


def calendar_of(report: CostReport) -> Calendar:
    """From the report's days; the quiet ones are there, too."""
    first, last = report.days[0].day, report.days[-1].day
    monthly = (date.fromisoformat(last) - date.fromisoformat(first)).days > _MOST_DAYS
    steps = _months(first, last) if monthly else _days(first, last)
    parts = _parts(report.days)
    place = {step: number for number, step in enumerate(steps)}
    part_of = {name: number for number, name in enumerate(parts)}
    pictures = [[0] * len(parts) for _ in steps]
    costs = {one: [[0] * len(parts) for _ in steps] for one in report.currencies}
    for day in report.days:
        at = place[day.day[:7] if monthly else day.day]
        part = part_of.get(day.part, len(parts) - 1)
        pictures[at][part] += day.pictures
        for currency, cost in day.cost.items():
            costs[currency][at][part] += cost
    return Calendar(
        tuple(steps),
        parts,
        tuple(map(tuple, pictures)),
        {
            currency: tuple(map(tuple, rows))
            for currency, rows in costs.items()
            if any(map(any, rows))
        },
    )


def _parts(days: Sequence[Day]) -> tuple[str, ...]:
    counted: Counter[str] = Counter()
    for day in days:
        counted[day.part] += day.pictures
    ranked = [name for name, _ in counted.most_common()]
    if len(ranked) <= _MOST_PARTS:
        return tuple(ranked)
    return (*ranked[:_MOST_PARTS], OTHERS)


def _days(first: str, last: str) -> list[str]:
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(begin + timedelta(days=one)).isoformat() for one in range((end - begin).days + 1)]


def _months(first: str, last: str) -> list[str]:
    year, month = int(first[:4]), int(first[5:7])
    made = []
    while (step := f"{year:04d}-{month:02d}") <= last[:7]:
        made.append(step)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return made
