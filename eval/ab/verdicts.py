"""From intervals to verdicts: what may be said of a metric, and of an arm as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eval.ab.catalogue import CATALOGUE
from eval.ab.config import Gate
from eval.ab.results import Comparison, GateLine, Metric, Overall, Verdict


@dataclass(frozen=True)
class Judgement:
    """A verdict, and the line that says how it came about."""

    verdict: Verdict
    why: str


def of_difference(
    metric: Metric, low: float, high: float, mean: float, margin: float | None, differs: bool
) -> Judgement:
    """low, high, mean: of arm less reference; differs: whether a test says it is not zero.

    Better: it differs, for the better. Not worse: the whole interval lies within the margin. Worse:
    it differs, for the worse, and is not shown to stay within the margin.
    """
    sign = 1 if metric.more_is == "better" else -1
    gain = sign * mean
    worst = min(sign * low, sign * high)
    shown = f"{shown_value(metric, low)} to {shown_value(metric, high)}"
    if low == high == 0:
        return Judgement(Verdict.NOT_WORSE, "the same in every case")
    within = margin is not None and worst >= -margin
    if differs and gain > 0:
        return Judgement(Verdict.BETTER, f"{shown}, more than chance, and for the better")
    if within:
        less = ", though measurably less" if differs else ""
        least = "" if not margin else f", within {shown_value(metric, margin, signed=False)}"
        return Judgement(Verdict.NOT_WORSE, f"{shown}{least}{less}")
    if differs:
        return Judgement(Verdict.WORSE, f"{shown}, more than chance, and for the worse")
    beyond = ""
    if margin is not None:
        beyond = f", and may be worse by more than {shown_value(metric, margin, signed=False)}"
    return Judgement(Verdict.UNDECIDED, f"{shown}: it may be chance{beyond}")


def of_floor(metric: Metric, low: float, high: float, floor: float) -> Judgement:
    """Agreement with the reference, whose mean must reach a floor."""
    low_shown, high_shown, least = (
        shown_value(metric, value, signed=False) for value in (low, high, floor)
    )
    if low >= floor:
        return Judgement(Verdict.NOT_WORSE, f"at least {low_shown}, {least} was asked for")
    if high < floor:
        return Judgement(Verdict.WORSE, f"at most {high_shown}, {least} was asked for")
    return Judgement(
        Verdict.UNDECIDED, f"{low_shown} to {high_shown}: {least} is neither reached nor missed"
    )


def overall(
    arm: str, gate: Gate, comparisons: Iterable[Comparison], left_out: Sequence[str]
) -> Overall:
    """The gate of an arm. left_out: gate metrics of the default that could not be measured."""
    found: Mapping[str, Comparison] = {c.metric: c for c in comparisons if c.arm == arm}
    lines = []
    for key in gate.not_worse:
        if key not in left_out:
            verdict = found[key].verdict if key in found else Verdict.UNDECIDED
            holds = verdict in (Verdict.BETTER, Verdict.NOT_WORSE)
            lines.append(GateLine(metric=key, wanted=Verdict.NOT_WORSE, found=verdict, holds=holds))
    for key in gate.better:
        verdict = found[key].verdict if key in found else Verdict.UNDECIDED
        if verdict is Verdict.NOT_WORSE and _may_gain(found[key]):
            verdict = Verdict.UNDECIDED  # whether it is better, which is what was asked
        holds = verdict is Verdict.BETTER
        lines.append(GateLine(metric=key, wanted=Verdict.BETTER, found=verdict, holds=holds))
    verdict, why = _together(lines)
    outside = [
        key
        for key, one in found.items()
        if one.verdict is Verdict.WORSE and key not in {line.metric for line in lines}
        if "." not in key
    ]
    if outside:
        why += f"; outside the gate worse on {_listed(outside)}"
    return Overall(arm=arm, verdict=verdict, gate=tuple(lines), why=why)


def _may_gain(one: Comparison) -> bool:
    """Whether the interval leaves room for the arm to be better."""
    known = CATALOGUE.get(one.metric)
    return one.high > 0 if known is None or known.metric.more_is == "better" else one.low < 0


def _together(lines: Sequence[GateLine]) -> tuple[Verdict, str]:
    worse = [line.metric for line in lines if line.found is Verdict.WORSE]
    if worse:
        return Verdict.WORSE, f"worse on {_listed(worse)}"
    open_ = [line.metric for line in lines if line.found is Verdict.UNDECIDED]
    if open_:
        return Verdict.UNDECIDED, f"undecided on {_listed(open_)}"
    missed = [line.metric for line in lines if not line.holds]
    if missed:  # not worse, where better was wanted, and no better can be
        return Verdict.NOT_WORSE, f"not worse, but not better on {_listed(missed)}, as was wanted"
    better = [line.metric for line in lines if line.found is Verdict.BETTER]
    others = [line.metric for line in lines if line.found is Verdict.NOT_WORSE]
    if any(line.wanted is Verdict.BETTER for line in lines):
        rest = f", not worse on {_listed(others)}" if others else ""
        return Verdict.BETTER, f"better on {_listed(better)}{rest}"
    told = f"; better on {_listed(better)}" if better else ""
    return Verdict.NOT_WORSE, f"not worse on {_listed([line.metric for line in lines])}{told}"


def shown_value(metric: Metric, value: float, signed: bool = True) -> str:
    """A value as people read it: shares in per cent, their differences in points, bytes in MiB."""
    number, unit = shown_number(metric, value, signed), unit_of(metric, signed)
    return f"{number} {unit}" if unit else number


def shown_number(metric: Metric, value: float, signed: bool = True) -> str:
    """The same without its unit; a difference has its sign, but for none at all."""
    scale = {"share": 100.0, "bytes": 2.0**-20}.get(metric.unit, 1.0)
    text = f"{scale * value:.{metric.digits}f}"
    if not float(text):
        return f"{0:.{metric.digits}f}"  # no sign: it is nobody's gain
    text = text.replace("-", "−")
    return text if not signed or value < 0 else f"+{text}"


def unit_of(metric: Metric, signed: bool = False) -> str:
    """The unit as it is written; signed: of differences, where shares are points."""
    named = {"share": "points" if signed else "%", "bytes": "MiB", "money": ""}
    return named.get(metric.unit, metric.unit)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
