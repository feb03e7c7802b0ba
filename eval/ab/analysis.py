"""From the table to comparisons: paired differences by person, corrected for how many there are.

A run that is looked at once, at its planned end, is judged by BCa intervals and tests under
false-discovery control. One that may have been looked at before, because it stopped early or is not
done, is judged by confidence sequences and e-values, which hold at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from eval.ab.catalogue import Entry
from eval.ab.config import Config
from eval.ab.kernel_distance import mean_of_pairs
from eval.ab.results import Comparison, Estimate, Look, Verdict
from eval.ab.sequential import MINIMUM_UNITS, confidence_sequence, e_bh, e_value
from eval.ab.statistics import (
    false_discovery,
    jackknife_difference,
    more_units,
    one_sample,
    p_value,
    paired,
    tally,
)
from eval.ab.table import Row, Table, means_by
from eval.ab.verdicts import Judgement, of_difference, of_floor
from eval.metrics import MOST_DB

ALPHA: Final = 0.05
MOST_LOOKS: Final = 24  # points of the sequential test that are kept for the report
_COSINES: Final = ("identity", "identity_conditioner", "text_agreement")
Distances = Mapping[str, NDArray[np.float64]]  # by arm: KID's terms, [cases, cases]


@dataclass(frozen=True)
class _Found:
    """A comparison before its verdict, oriented as the metric is; differs is decided over all."""

    arm: str
    entry: Entry
    mean: float
    low: float
    high: float
    units: int
    test: str
    p: float | None
    e: float | None
    wins: int = 0
    ties: int = 0
    losses: int = 0
    effect: float | None = None
    deviation: float = 0.0


def compare(
    table: Table, entries: Sequence[Entry], config: Config, anytime: bool, distances: Distances
) -> tuple[Comparison, ...]:
    """Every metric of every arm against the reference.

    anytime: whether one may have looked before; distances: of metrics of whole sets.
    """
    found = [
        one
        for arm in table.arms[1:]
        for entry in entries
        if table.has(entry.key) or entry.metric.kind == "set"
        if (one := _found(table, entry, arm, anytime, distances)) is not None
    ]
    differs, q_values = _over_families(found, anytime)
    return tuple(
        _comparison(table, one, differs[index], q_values[index], config, distances)
        for index, one in enumerate(found)
    )


def estimates(table: Table, entries: Iterable[Entry], arm: str) -> tuple[Estimate, ...]:
    """An arm's own means with their intervals."""
    made = []
    for entry in entries:
        if (arm, entry.key) not in table.values:
            continue
        values = table.by_unit(entry, arm)
        values = values[~np.isnan(values)]
        if not len(values):
            continue
        mean, low, high = one_sample(values) if len(values) > 1 else (float(values[0]),) * 3
        made.append(Estimate(metric=entry.key, mean=mean, low=low, high=high, units=len(values)))
    return tuple(made)


def looks(table: Table, entries: Sequence[Entry], keys: Iterable[str]) -> tuple[Look, ...]:
    """What the sequential test would have said on the way, of the metrics named."""
    wanted = [entry for entry in entries if entry.key in set(keys) and entry.unit == "people"]
    people = int(table.people.max()) + 1 if len(table) else 0
    points = np.unique(np.linspace(MINIMUM_UNITS, people, MOST_LOOKS).astype(int))
    made = []
    for arm in table.arms[1:]:
        for entry in wanted:
            if not table.has(entry.key) or entry.metric.kind == "set":
                continue
            values = _samples(table, entry, arm)
            for point in points[points <= len(values)]:
                mean, low, high = confidence_sequence(
                    values[:point],
                    alpha=ALPHA,
                    planned=table.planned_people,
                    bound=_bound(entry),
                )
                if np.isfinite([low, high]).all():
                    made.append(
                        Look(arm=arm, metric=entry.key, units=int(point), mean=mean, low=low,
                             high=high)
                    )  # fmt: skip
    return tuple(made)


def _samples(table: Table, entry: Entry, arm: str) -> Row:
    """What is independent of a metric, one number for each unit."""
    if entry.metric.kind == "agreement":
        values = table.by_unit(entry, arm)
        return np.asarray(values[~np.isnan(values)])
    return table.differences(entry, arm)


def _found(
    table: Table, entry: Entry, arm: str, anytime: bool, distances: Distances
) -> _Found | None:
    """None where there is too little to say anything."""
    if entry.metric.kind == "set":
        return None if anytime else _of_sets(table, entry, arm, distances)
    values = _samples(table, entry, arm)
    if len(values) < 2:
        return None
    found = _looked_at if anytime else _at_the_end
    return found(entry, arm, values, table.planned(entry))


def _looked_at(entry: Entry, arm: str, values: Row, planned: int) -> _Found | None:
    """What holds however often one has looked; None before there is an interval."""
    mean, low, high = confidence_sequence(values, alpha=ALPHA, planned=planned, bound=_bound(entry))
    if entry.metric.kind == "cost" and np.ptp(values) == 0 and len(values) >= MINIMUM_UNITS:
        low = high = mean  # an arm costs what it costs: that is no sample of anything
    if not np.isfinite([low, high]).all():
        return None
    centred = values - _centre(entry)
    counted = tally(_sign(entry) * centred)
    return _Found(
        arm, entry, mean, low, high, len(values), "none", None, e_value(centred, planned=planned),
        counted.wins, counted.ties, counted.losses, counted.effect, float(np.std(values, ddof=1)),
    )  # fmt: skip


def _at_the_end(entry: Entry, arm: str, values: Row, planned: int) -> _Found:
    """What holds where one looks once."""
    sign, agreement = _sign(entry), entry.metric.kind == "agreement"
    said = paired(sign * (values - _centre(entry)), test=entry.test)
    low, high = sorted((sign * said.low, sign * said.high))
    centre = _centre(entry)  # adding it makes 0 of −0 besides
    return _Found(
        arm, entry, sign * said.mean + centre, low + centre, high + centre, len(values),
        "none" if agreement else said.test,
        None if agreement or said.test == "none" else said.p,
        e_value(values - centre, planned=planned),
        said.wins, said.ties, said.losses, said.effect, float(np.std(values, ddof=1)),
    )  # fmt: skip


def _sign(entry: Entry) -> int:
    """1 where more of the metric is better, else −1."""
    return 1 if entry.metric.more_is == "better" else -1


def _centre(entry: Entry) -> float:
    """Where neither arm is better: no difference, or the floor of an agreement."""
    return (entry.margin or 0.0) if entry.metric.kind == "agreement" else 0.0


def _bound(entry: Entry) -> float | None:
    """The largest size a metric's samples can have; None where there is no largest."""
    if entry.metric.unit == "share" or entry.key == "ssim":
        return 1.0
    if entry.key == "psnr":
        return MOST_DB
    return 2.0 if entry.key in _COSINES else None


def _of_sets(table: Table, entry: Entry, arm: str, distances: Distances) -> _Found | None:
    """A distance of all pictures, with the jackknife over people."""
    people = [np.flatnonzero(table.people == person) for person in np.unique(table.people)]
    if arm not in distances or len(people) < MINIMUM_UNITS:
        return None
    matrix = distances[arm] - distances[table.reference]

    def statistic(chosen: NDArray[np.intp]) -> float:
        rows = np.concatenate([people[index] for index in chosen])
        return mean_of_pairs(matrix[np.ix_(rows, rows)])

    value, low, high = jackknife_difference(statistic, len(people))
    freedom = len(people) - 1
    error = (high - low) / 2 / float(stats.t.ppf(1 - ALPHA / 2, freedom))
    p = float(2 * stats.t.sf(abs(value) / error, freedom)) if error > 0 else None
    return _Found(arm, entry, value, low, high, len(people), "jackknife", p, None, deviation=0.0)


def differing(
    columns: Sequence[Row],
    tests: Sequence[Literal["Wilcoxon", "sign"]] | None,
    *,
    anytime: bool,
    planned: int,
) -> list[bool]:
    """Which of a family's differences are not chance. columns: by metric, one value per unit.

    tests: of each metric, where one looks once; planned: units of the whole run.
    """
    if anytime:
        return e_bh([e_value(column, planned=planned) for column in columns], alpha=ALPHA)
    assert tests is not None
    pairs = zip(columns, tests, strict=True)
    q_values = false_discovery([p_value(column, test=test) for column, test in pairs])
    return [q is not None and q < ALPHA for q in q_values]


def _over_families(found: Sequence[_Found], anytime: bool) -> tuple[list[bool], list[float | None]]:
    """Which differences are not chance, over all metrics of a family and all arms; and q.

    Quality and cost are families of their own: the certain differences of cost would make those of
    quality look less many.
    """
    differs, q_values = [False] * len(found), list[float | None]([None] * len(found))
    for cost in (False, True):
        family = [
            index
            for index, one in enumerate(found)
            if (one.entry.metric.kind == "cost") is cost and one.entry.metric.kind != "agreement"
        ]
        if anytime:
            certain = e_bh([found[index].e or 0.0 for index in family], alpha=ALPHA)
            for index, sure in zip(family, certain, strict=True):
                differs[index] = sure
            continue
        corrected = false_discovery([found[index].p for index in family])
        for index, q in zip(family, corrected, strict=True):
            q_values[index], differs[index] = q, q is not None and q < ALPHA
    return differs, q_values


def _comparison(
    table: Table,
    one: _Found,
    differs: bool,
    q: float | None,
    config: Config,
    distances: Distances,
) -> Comparison:
    entry, metric = one.entry, one.entry.metric
    reference_mean, arm_mean = _means(table, one, distances)
    margin = config.gate.not_worse.get(entry.key)
    if margin is None and entry.margin is not None:
        scale = abs(reference_mean or 0.0) if entry.relative else 1.0
        margin = entry.margin * scale
    said = _judgement(one, margin, differs)
    more = None
    if said.verdict is Verdict.UNDECIDED:
        if metric.kind == "set":
            more = None  # its spread is no deviation of units
        elif one.low == one.high:
            more = max(MINIMUM_UNITS - one.units, 0) or None
        elif metric.kind == "agreement":
            more = more_units(one.mean - (margin or 0.0), one.deviation, one.units, 0.0)
        else:
            more = more_units(_sign(entry) * one.mean, one.deviation, one.units, margin)
    return Comparison(
        arm=one.arm, metric=entry.key, mean=one.mean, low=one.low, high=one.high, units=one.units,
        unit_name=entry.unit, test=one.test, p=one.p, q=q, e_value=one.e, wins=one.wins,
        ties=one.ties, losses=one.losses, effect=one.effect, margin=margin, verdict=said.verdict,
        more_units=more, reference_mean=reference_mean, arm_mean=arm_mean, why=said.why,
    )  # fmt: skip


def _judgement(one: _Found, margin: float | None, differs: bool) -> Judgement:
    if one.low == one.high and one.units < MINIMUM_UNITS:
        return Judgement(Verdict.UNDECIDED, f"the same in {one.units}: too few to say more")
    if one.entry.metric.kind == "agreement":
        return of_floor(one.entry.metric, one.low, one.high, margin or 0.0)
    return of_difference(one.entry.metric, one.low, one.high, one.mean, margin, differs)


def _means(table: Table, one: _Found, distances: Distances) -> tuple[float | None, float]:
    """Of the reference and the arm, over the cases both have."""
    entry = one.entry
    if entry.metric.kind == "set":
        reference, arm = (mean_of_pairs(distances[a]) for a in (table.reference, one.arm))
        return reference, arm
    if entry.metric.kind == "agreement":
        return None, one.mean
    pair = [table.values[arm, entry.key] for arm in (table.reference, one.arm)]
    both = ~np.isnan(pair[0]) & ~np.isnan(pair[1])
    units = table.blocks if entry.unit == "blocks" else table.people
    means = [means_by(units, np.where(both, values, np.nan)) for values in pair]
    return float(np.nanmean(means[0])), float(np.nanmean(means[1]))
