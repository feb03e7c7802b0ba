"""The page: verdict first, then how it came about, then every picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eval.ab.report.data import data_of
from eval.ab.report.forest import Bar, bar_of
from eval.ab.report.words import WORDS_FILE, of_result, sentences
from eval.ab.results import REPORT_FILE, Case, Comparison, Metric, Overall, Result
from eval.ab.verdicts import shown_number, unit_of
from eval.files import write_whole
from eval.report import read_words, render_page

MOST_PICTURED: Final = 600  # cases whose pictures a page has: more and no phone would open it
_HERE: Final = Path(__file__).parent
_SCRIPTS: Final = ("values.js", "charts.js", "cases.js", "script.js")
_GROUPS: Final = ("gate", "quality", "agreement", "set", "parts", "cost")


@dataclass(frozen=True)
class Row:
    """A comparison as the table shows it; numbers as text."""

    metric: Metric
    found: Comparison
    bar: Bar
    unit: str
    reference: str
    arm: str
    low: str
    high: str
    mean: str
    margin: str
    p: str
    q: str
    e: str


@dataclass(frozen=True)
class Group:
    """Rows that belong together; parts are shown when they are asked for."""

    key: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """One arm beside the reference."""

    overall: Overall
    groups: tuple[Group, ...]


def render_report(
    result: Result, cases: Sequence[Case], folder: Path, *, most_cases: int | None = None
) -> str:
    """One HTML page with everything in it; no part of it is fetched from anywhere.

    folder: of the run, against which the pictures' paths are read. most_cases: show the pictures of
    so many only, those that lost most; None shows all.
    """
    words = of_result(read_words(WORDS_FILE), result)
    values: dict[str, object] = {
        "result": result,
        "words": words["en"],
        "sentences": [sentences(words, one, result.reference) for one in result.overall],
        "sections": [_section(result, one) for one in result.overall],
        "licences": dict.fromkeys(
            (arm.bundle, arm.bundle_digest, arm.licence) for arm in result.arms
        ),
        "shown_number": shown_number,
        "unit_of": unit_of,
    }
    return render_page(_HERE, _SCRIPTS, data_of(result, cases, folder, words, most_cases), values)


def write_report(result: Result, cases: Sequence[Case], folder: Path) -> Path:
    """Write the page into the run's folder, whole or not at all; gives its path.

    Of a very large run only the cases that lost most have their pictures.
    """
    text = render_report(result, cases, folder, most_cases=MOST_PICTURED)
    return write_whole(folder / REPORT_FILE, text)


def _section(result: Result, overall: Overall) -> Section:
    gate = {line.metric for line in overall.gate}
    rows: dict[str, list[Row]] = {key: [] for key in _GROUPS}
    for found in result.comparisons:
        if found.arm != overall.arm:
            continue
        metric = result.metric(found.metric)
        group = "parts" if metric.parent else metric.kind
        rows["gate" if metric.key in gate else group].append(_row(metric, found))
    groups = tuple(Group(key, tuple(rows[key])) for key in _GROUPS if rows[key])
    return Section(overall, groups)


def _row(metric: Metric, found: Comparison) -> Row:
    signed = metric.kind != "agreement"
    margin = "" if found.margin is None else shown_number(metric, found.margin, signed=False)
    reference = found.reference_mean
    return Row(
        metric=metric,
        found=found,
        bar=bar_of(metric, found),
        unit=unit_of(metric, signed=False),
        reference="" if reference is None else shown_number(metric, reference, signed=False),
        arm=shown_number(metric, found.arm_mean, signed=False),
        low=shown_number(metric, found.low, signed),
        high=shown_number(metric, found.high, signed),
        mean=shown_number(metric, found.mean, signed),
        margin=margin,
        p="" if found.p is None else _small(found.p),
        q="" if found.q is None else _small(found.q),
        e="" if found.e_value is None or found.q is not None else _e_value(found.e_value),
    )


def _small(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _e_value(e: float) -> str:
    return f"= {e:.2f}" if e < 1000 else "> 1000"
