"""The same arm twice, with other noise: whatever is found then is found by chance.

Real runs are drawn; simulated ones take the real differences of people, each with a sign of chance,
so that the truth is nothing while metrics stay as many, as correlated and as tied as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eval.ab.analysis import differing
from eval.ab.arms import ArmSettings
from eval.ab.catalogue import Entry
from eval.ab.config import ReadConfig, parse_config, read_config
from eval.ab.errors import RunDiffers
from eval.ab.journal import Journal
from eval.ab.outcome import table_so_far
from eval.ab.plan import plan_of
from eval.ab.results import Verdict
from eval.ab.run import Listener, run_plan
from eval.ab.sequential import MINIMUM_UNITS
from eval.ab.table import Table
from eval.metrics import share_interval

LOOKS: Final = 19
ALLOWED: Final = 0.05
SIMULATED_PEOPLE: Final = 96
NULL_FILE: Final = "aa.json"
_FIRST_PERSON: Final = 500_000  # of the held-out: nobody else is drawn from here on
_OTHER_NOISE: Final = 1_000_003  # added to the seeds of the second arm
_NULL_CONFIG: Final = """name = "aa-{number:02d}"
title = "The same arm twice, run {title}"
suite = "suite.toml"
bundle = {bundle}
seed = {number}
block = 1000

[arms.one]
{first}

[arms."the same, other noise"]
{second}

[gate.not_worse]
identity = 0.01
attributes = 0.02
"""


class NullLine(BaseModel):
    """How many of so many runs found something: a rate with its 95 % interval by Wilson."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    runs: int
    found: int
    rate: float
    low: float
    high: float


class NullResult(BaseModel):
    """What was found where there is nothing. findings: each, in words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: dict[str, str]
    people: int
    lines: tuple[NullLine, ...]
    findings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether no more than one run in twenty found something, of every kind of run."""
        return all(line.found <= ALLOWED * line.runs for line in self.lines)


def null_ab(
    config: Path | None,
    folder: Path,
    listener: Listener | None = None,
    *,
    runs: int = 20,
    people: int = 12,
    simulated: int = 200,
    fresh: bool = False,
) -> NullResult:
    """Draw `runs` small runs of other people each, and simulate others from what they gave.

    config: whose reference arm is taken; None is an arm as a user gets it. Goes on where it was
    stopped. Raises what run_ab raises.
    """
    told = listener or Listener()
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "run-00").exists():
        raise RunDiffers(
            f"{folder} holds other things than such runs: give -o a folder that is empty or new"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.toml").write_text(_suite_text(people), encoding="utf-8")
    tables, findings, fixed, watched = [], [], 0, 0
    arm: dict[str, str] = {}
    entries: tuple[Entry, ...] = ()
    for number in range(runs):
        read = _null_config(config, folder, number)
        where = folder / f"run-{number:02d}"
        plan = plan_of(read)
        result = run_plan(
            plan, where, _numbered(told, number, runs), command="limner ab aa", fresh=fresh
        )
        arm = result.arms[0].settings
        table, entries = table_so_far(plan, Journal.read(where)), plan.entries
        tables.append(table)
        found = [
            one
            for one in result.comparisons
            if one.verdict in (Verdict.BETTER, Verdict.WORSE)
            and result.metric(one.metric).kind in ("quality", "cost", "set")
        ]
        fixed += bool(found)
        findings += [f"run {number + 1}: {one.metric} {one.verdict} ({one.why})" for one in found]
        watched += _found_under_looks(_columns(table, entries), people)
    pooled = np.concatenate([_columns(table, entries) for table in tables])
    lines = [
        _line(f"{people} people, at the end", runs, fixed),
        _line(f"{people} people, a look at every person", runs, watched),
        _line(f"all {len(pooled)} together, {LOOKS} looks", 1, _found_under_looks(pooled)),
    ]
    if simulated:
        told.stage("simulating")
        lines += _simulated(pooled, entries, simulated, told)
    outcome = NullResult(arm=arm, people=people, lines=tuple(lines), findings=tuple(findings))
    (folder / NULL_FILE).write_text(outcome.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return outcome


def _simulated(
    pooled: NDArray[np.float64], entries: Sequence[Entry], count: int, told: Listener
) -> Iterator[NullLine]:
    rng = np.random.default_rng(0)
    fixed = watched = 0
    tests = [entry.test for entry in _compared(entries)]
    for number in range(count):
        rows = pooled[rng.integers(0, len(pooled), SIMULATED_PEOPLE)]
        signed = rows * rng.choice((-1.0, 1.0), (len(rows), 1))
        fixed += any(differing([*signed.T], tests, anytime=False, planned=len(rows)))
        watched += _found_under_looks(signed)
        told.drawn(number + 1, count)
    yield _line(f"simulated, {SIMULATED_PEOPLE} people, at the end", count, fixed)
    yield _line(f"simulated, {SIMULATED_PEOPLE} people, {LOOKS} looks", count, watched)


def _found_under_looks(columns: NDArray[np.float64], planned: int | None = None) -> bool:
    """Whether the sequential test finds something at any look. columns: [people, metrics]."""
    count = len(columns)
    points = np.unique(np.linspace(1, count, LOOKS + 1)[1:].astype(int))
    return any(
        any(differing([*columns[:point].T], None, anytime=True, planned=planned or count))
        for point in points
        if point >= MINIMUM_UNITS
    )


def _compared(entries: Sequence[Entry]) -> list[Entry]:
    """What is compared person by person and is not certain beforehand."""
    return [e for e in entries if e.metric.kind == "quality" and e.unit == "people"]


def _columns(table: Table, entries: Sequence[Entry]) -> NDArray[np.float64]:
    """Differences [people, metrics]; 0 where a metric does not apply to a person."""
    first, second = table.arms
    made = []
    for entry in _compared(entries):
        difference = table.by_unit(entry, second) - table.by_unit(entry, first)
        made.append(np.nan_to_num(difference, nan=0.0))
    return np.stack(made, axis=1)


def _null_config(config: Path | None, folder: Path, number: int) -> ReadConfig:
    """A run of the reference arm against itself, of people no other run has."""
    settings, bundle = ArmSettings(), "mini"
    if config is not None:
        given = read_config(config).config
        settings, bundle = given.arms[given.order[0]], given.bundle
    other = settings.model_copy(update={"seed_offset": settings.seed_offset + _OTHER_NOISE})
    text = _NULL_CONFIG.format(
        number=number, title=number + 1, bundle=json.dumps(bundle),
        first=_toml(settings), second=_toml(other),
    )  # fmt: skip
    return parse_config(text, "the same arm twice", folder)


def _toml(settings: ArmSettings) -> str:
    """What is not as it always is, as lines of TOML, which takes JSON's values as they are."""
    given = settings.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    fast = given.pop("fast", None)
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    if fast:
        lines.append(
            "fast = {" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in fast.items()) + "}"
        )
    return "\n".join(lines)


def _numbered(told: Listener, number: int, runs: int) -> Listener:
    """A listener that hears which run it is, and nothing of verdicts on so few."""
    return Listener(
        stage=lambda text: told.stage(f"run {number + 1} of {runs}: {text}"),
        drawn=told.drawn,
        remark=told.remark,
    )


def _line(title: str, runs: int, found: int) -> NullLine:
    low, high = share_interval(found, runs)
    return NullLine(title=title, runs=runs, found=found, rate=found / runs, low=low, high=high)


def _suite_text(people: int) -> str:
    return (
        f'schema = 1\ntitle = "{people} drawn people nobody trained on"\n\n'
        f"[drawn]\npeople = {people}\nfirst = {_FIRST_PERSON}\n"
    )
