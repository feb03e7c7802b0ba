"""The forest plot: one row for each metric, better to the right, drawn as SVG without a script.

Places are per cent of a row's width, so that a row is as wide as there is room and its marks stay
in shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eval.ab.results import Comparison, Metric
from eval.ab.verdicts import shown_number

_PAD: Final = 4.0  # per cent of the width that stays free at either side
_APART: Final = 17.0  # per cent between two labels, at least


@dataclass(frozen=True)
class Bar:
    """A row's geometry; zone: where an arm is not worse; edge: where that begins, None: nowhere.

    labels: place and text of what the row is scaled by.
    """

    low: float
    high: float
    mean: float
    zero: float
    zone: tuple[float, float] | None
    edge: float | None
    labels: tuple[tuple[float, str], ...]


def bar_of(metric: Metric, found: Comparison) -> Bar:
    """Each row is scaled on its own, for units differ; the middle is no difference, or the floor.

    A row whose interval is tiny beside its margin is drawn by the margin, so that one sees that.
    """
    agreement = metric.kind == "agreement"
    centre = (found.margin or 0.0) if agreement else 0.0
    sign = 1 if metric.more_is == "better" else -1
    ends = sorted(sign * (end - centre) for end in (found.low, found.high))
    margin = None if agreement else found.margin
    reach = max(abs(ends[0]), abs(ends[1]), 1.6 * (margin or 0.0), 1e-12) * 1.12
    if not any(ends) and not margin:
        reach = 1.0

    def place(value: float) -> float:
        return round(50 + value / reach * (50 - _PAD), 2)

    labels = [(place(0.0), shown_number(metric, centre, signed=False) if agreement else "0")]
    edge = 0.0 if agreement else None if margin is None else -margin
    if edge and labels[0][0] - place(edge) >= _APART:
        labels.insert(0, (place(edge), shown_number(metric, sign * edge)))
    zone = None if edge is None else (place(edge), 100.0)
    return Bar(
        low=place(ends[0]), high=place(ends[1]), mean=place(sign * (found.mean - centre)),
        zero=place(0.0), zone=zone, edge=None if edge is None else place(edge),
        labels=tuple(labels),
    )  # fmt: skip
