"""The values of a run as a table: metric by arm by case, and what of it is independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.ab.cases import Cases
from eval.ab.catalogue import Entry
from eval.ab.config import Price
from eval.ab.drawing import blocks_of
from eval.ab.journal import Journal

Row = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Cases that are done in every arm, in their order.

    numbers: of the cases [n]; people, blocks: which of them each belongs to [n]; values: by arm and
    metric, [n], NaN where a metric does not apply. planned_people, planned_blocks: of the whole
    suite. done: cases done, those among them that failed in every arm, which say nothing of how
    the arms differ and are no rows.
    """

    arms: tuple[str, ...]
    numbers: NDArray[np.intp]
    people: NDArray[np.intp]
    blocks: NDArray[np.intp]
    values: Mapping[tuple[str, str], Row]
    planned_people: int
    planned_blocks: int
    done: int

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def reference(self) -> str:
        """The arm all others are compared with."""
        return self.arms[0]

    def has(self, metric: str) -> bool:
        """Whether any arm has a value of the metric."""
        return any(
            metric == key and not np.isnan(row).all() for (_, key), row in self.values.items()
        )

    def planned(self, entry: Entry) -> int:
        """How many units of the metric the whole suite has."""
        return self.planned_blocks if entry.unit == "blocks" else self.planned_people

    def by_unit(self, entry: Entry, arm: str) -> Row:
        """An arm's means by person (or block), [units]; NaN where a unit has none."""
        units = self.blocks if entry.unit == "blocks" else self.people
        return means_by(units, self.values[arm, entry.key])

    def differences(self, entry: Entry, arm: str) -> Row:
        """Arm less reference by unit, of units that have both, [units]."""
        units = self.blocks if entry.unit == "blocks" else self.people
        pairs = self.values[arm, entry.key] - self.values[self.reference, entry.key]
        found = means_by(units, pairs)
        return np.asarray(found[~np.isnan(found)])


def means_by(units: NDArray[np.intp], values: Row) -> Row:
    """Mean of the values of each unit that are there, in the order of the units' numbers."""
    present = ~np.isnan(values)
    size = int(units.max()) + 1 if len(units) else 0
    counts = np.bincount(units[present], minlength=size)
    sums = np.bincount(units[present], weights=values[present], minlength=size)
    wanted = np.unique(units)
    with np.errstate(invalid="ignore"):
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return np.asarray(means[wanted])


def table_of(
    journal: Journal, cases: Cases, arms: Sequence[str], block: int, price: Price | None
) -> Table:
    """What a journal holds so far, of whole people only: half of one would lean to a side."""
    done = [
        number
        for number in range(len(cases))
        if all((number, arm) in journal.judged and (number, arm) in journal.drawn for arm in arms)
    ]
    whole: dict[int, int] = {}
    for number in range(len(cases)):
        whole[cases.unit_of(number)] = whole.get(cases.unit_of(number), 0) + 1
    found: dict[int, int] = {}
    for number in done:
        found[cases.unit_of(number)] = found.get(cases.unit_of(number), 0) + 1
    ended = [n for n in done if found[cases.unit_of(n)] == whole[cases.unit_of(n)]]
    kept = [n for n in ended if not all(journal.drawn[n, arm].failure for arm in arms)]
    blocks = blocks_of(cases, block)
    block_of = {number: index for index, numbers in enumerate(blocks) for number in numbers}
    rows = {arm: [_values(journal, number, arm, price) for number in kept] for arm in arms}
    metrics = dict.fromkeys(key for each in rows.values() for row in each for key in row)
    values = {
        (arm, metric): np.array([row.get(metric, np.nan) for row in rows[arm]], dtype=np.float64)
        for arm in arms
        for metric in metrics
    }
    return Table(
        tuple(arms),
        np.array(kept, dtype=np.intp),
        np.array([cases.unit_of(number) for number in kept], dtype=np.intp),
        np.array([block_of[number] for number in kept], dtype=np.intp),
        values,
        len(whole),
        len(blocks),
        len(ended),
    )


def _values(journal: Journal, number: int, arm: str, price: Price | None) -> dict[str, float]:
    costs = dict(journal.drawn[number, arm].costs)
    if price is not None and "seconds" in costs:
        costs["cost"] = 1000 * costs["seconds"] * price.device_hour / 3600
    return {**journal.judged[number, arm].values, **costs}
