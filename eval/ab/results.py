"""What an A/B run found: `result.json`, and the cases a report shows beside it.

Differences are always arm less reference, in the metric's own unit; whether more is better is the
metric's to say. A verdict is never about the sign alone: "not worse" is shown by an interval that
stays within the margin, and what shows neither is undecided.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.files import complaint, write_whole

RESULT_FILE = "result.json"
REPORT_FILE = "report.html"
SCHEMA = 1


class ResultNotFound(ValueError):
    """There is no result where one was looked for."""


class ResultInvalid(ValueError):
    """The file is no result this version can read."""


class Verdict(StrEnum):
    """What may be said of an arm beside the reference."""

    BETTER = "better"
    NOT_WORSE = "not worse"
    WORSE = "worse"
    UNDECIDED = "undecided"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Metric(_Part):
    """What is measured of every picture.

    kind: "quality" and "cost" are compared between arms; "agreement" (PSNR, SSIM) is measured of a
    picture beside the reference's own, and is held against a floor instead of zero; "set" (KID) is
    of all pictures of an arm at once. parent: the metric this one is a part of, as
    "attributes.glasses" is of "attributes"; "" for none. unit "share" is shown in per cent and its
    differences in points; "bytes" in MiB.
    """

    key: str
    title: str
    unit: Literal["", "share", "dB", "s", "bytes", "tokens", "positions", "evaluations", "money"]
    kind: Literal["quality", "cost", "agreement", "set"]
    more_is: Literal["better", "worse"]
    digits: Annotated[int, Field(ge=0, le=9)]
    parent: str = ""
    note: str = ""


class Estimate(_Part):
    """An arm's own mean of a metric with its 95 % interval, over `units` people (or blocks)."""

    metric: str
    mean: float
    low: float
    high: float
    units: int


class Arm(_Part):
    """An arm as it was drawn. settings: every setting that was given, as text.

    bundle_digest: of the bundle's files. estimates: one for each metric it has values of.
    failures: cases in which no picture came.
    """

    name: str
    settings: dict[str, str]
    bundle: str
    bundle_digest: str
    licence: str
    estimates: tuple[Estimate, ...]
    failures: int = 0


class Comparison(_Part):
    """One metric of one arm against the reference.

    mean: of the paired differences by unit (for agreement: of the values themselves); low, high:
    its 95 % interval, BCa for a run looked at once, a confidence sequence where one may look at any
    time. test: what p is of; q: p after false-discovery control over all metrics and arms.
    e_value: of the sequential test that the difference is zero. wins, ties, losses: units in which
    the arm was better, the same, worse. margin: how much worse is still not worse, in the metric's
    unit and never negative (for agreement: the floor itself); None where nothing was stated.
    more_units: how many units more would decide it if the truth is as seen; None where it is
    decided, or where no number would. reference_mean, arm_mean: of the compared units.
    """

    arm: str
    metric: str
    mean: float
    low: float
    high: float
    units: int
    unit_name: Literal["people", "blocks", "pictures"]
    test: str
    p: float | None
    q: float | None
    e_value: float | None
    wins: int
    ties: int
    losses: int
    effect: float | None  # standardised: mean over standard deviation of the differences
    margin: float | None
    verdict: Verdict
    more_units: int | None
    reference_mean: float | None
    arm_mean: float
    why: str  # one line that says how the verdict came about


class Look(_Part):
    """What the sequential test said after so many units: the interval of one metric of one arm."""

    arm: str
    metric: str
    units: int
    mean: float
    low: float
    high: float


class GateLine(_Part):
    """One condition of the gate and whether it holds: "not worse" or "better" was wanted."""

    metric: str
    wanted: Verdict
    found: Verdict
    holds: bool


class Overall(_Part):
    """The whole verdict on an arm: worse if a gate metric is, undecided if one is."""

    arm: str
    verdict: Verdict
    gate: tuple[GateLine, ...]
    why: str

    @property
    def holds(self) -> bool:
        """Whether every condition of the gate is shown to hold."""
        return all(line.holds for line in self.gate)


class SuiteFacts(_Part):
    """What was drawn: its name and digest, and how many of what."""

    name: str
    title: str
    digest: str
    people: int
    cases: int
    seed: int


class Result(_Part):
    """Everything an A/B run found but the single cases.

    state: "complete", "stopped early" (the sequential test had decided), "unfinished" (broken off;
    intervals are those of the sequential test then). cases_done: of suite.cases, in every arm.
    config: the TOML text as it was read. commit: of the source tree, "" where there is none.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

    schema_version: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)] = SCHEMA
    name: str
    title: str
    state: Literal["complete", "stopped early", "unfinished"]
    measured_at: str  # UTC, ISO 8601
    seconds: float
    command: str
    version: str
    commit: str
    machine: str
    config: str
    suite: SuiteFacts
    cases_done: int
    reference: str
    arms: tuple[Arm, ...]  # the reference first
    metrics: tuple[Metric, ...]
    comparisons: tuple[Comparison, ...]
    looks: tuple[Look, ...]
    overall: tuple[Overall, ...]  # one for each arm but the reference
    notes: tuple[str, ...] = ()

    def metric(self, key: str) -> Metric:
        """The metric of that key. Raises KeyError."""
        for metric in self.metrics:
            if metric.key == key:
                return metric
        raise KeyError(key)

    def comparison(self, arm: str, metric: str) -> Comparison:
        """The comparison of that arm and metric. Raises KeyError."""
        for comparison in self.comparisons:
            if (comparison.arm, comparison.metric) == (arm, metric):
                return comparison
        raise KeyError((arm, metric))

    def write(self, folder: Path) -> Path:
        """Write result.json into a folder, whole or not at all; gives its path."""
        text = self.model_dump_json(indent=1, by_alias=True) + "\n"
        return write_whole(folder / RESULT_FILE, text)


class StageVisit(_Part):
    """One visit to a stage, as the engine's trace has it."""

    stage: str
    seconds: float
    decisions: tuple[str, ...] = ()
    downgrades: tuple[str, ...] = ()


class Drawing(_Part):
    """A case in one arm.

    picture: the PNG, relative to the run's folder; "" where drawing failed, and `failure` says why.
    values: by metric; a metric that does not apply to this case is missing. seen: what the judge
    answered for each attribute it knows. size: (width, height).
    """

    arm: str
    picture: str
    failure: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    size: tuple[int, int] = (0, 0)
    values: dict[str, float] = Field(default_factory=dict)
    seen: dict[str, str] = Field(default_factory=dict)
    trace: tuple[StageVisit, ...] = ()
    warnings: tuple[str, ...] = ()


class Case(_Part):
    """One person, wish and seed, in every arm (the reference first).

    photo: the source, wished: a real picture of the wish, relative to the run's folder; "" where
    there is none. asked: attribute to what a judge should answer. wish: the attributes or words.
    """

    number: int
    person: str
    style: str = ""
    wish: str
    seed: int
    photo: str
    wished: str = ""
    asked: dict[str, str] = Field(default_factory=dict)
    drawings: tuple[Drawing, ...]


def read_result(path: Path) -> Result:
    """A result from its file or the folder of it. Raises ResultNotFound, ResultInvalid."""
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        return Result.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultNotFound(
            f"{file} does not exist: limner ab CONFIG.toml makes one, and goes on where it stopped"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ResultInvalid(f"{file} cannot be read: {error}") from error
    except ValidationError as error:
        raise ResultInvalid(
            f"{file} is no result of schema {SCHEMA} ({complaint(error)}): "
            "run limner ab on its config again, which keeps what was drawn"
        ) from error
