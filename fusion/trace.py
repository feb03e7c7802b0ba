"""The trace: what each stage did to a task, in time, memory, decisions and downgrades."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from fusion.memory import resident_bytes


class Stage(StrEnum):
    """The stages of a fusion, in their order."""

    LOAD = "load"  # the models themselves, on the first request only
    PHOTOS = "photos"
    ANALYSE = "analyse"
    BLEND = "blend"
    PROMPT = "prompt"
    CONDITION = "condition"
    PREPARE = "prepare"
    DENOISE = "denoise"
    DECODE = "decode"
    COMPOSE = "compose"
    VERIFY = "verify"


@dataclass(frozen=True)
class StageRecord:
    """One visit to one stage.

    memory_delta_bytes: resident memory of the process after the visit less that before it.
    cpu_seconds: what the processors worked for the process meanwhile, other requests included.
    decisions: what was chosen and why; downgrades: what was given less than was asked, and why.
    """

    stage: Stage
    seconds: float
    memory_delta_bytes: int
    decisions: tuple[str, ...] = ()
    downgrades: tuple[str, ...] = ()
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Trace:
    """What happened to a task, in order; a retry visits its stages again."""

    records: tuple[StageRecord, ...] = ()

    def followed_by(self, record: StageRecord) -> Trace:
        """This trace with one record more."""
        return Trace((*self.records, record))

    def seconds_by_stage(self) -> dict[Stage, float]:
        """Seconds spent in each stage that was visited, all its visits together."""
        return self._by_stage([(record.stage, record.seconds) for record in self.records])

    def cpu_seconds_by_stage(self) -> dict[Stage, float]:
        """What the processors worked for the process in each of them."""
        return self._by_stage([(record.stage, record.cpu_seconds) for record in self.records])

    def _by_stage(self, visits: list[tuple[Stage, float]]) -> dict[Stage, float]:
        """Sums in whole nanoseconds, so that whoever adds them up comes to the same."""
        sums: dict[Stage, int] = {}
        for stage, seconds in visits:
            sums[stage] = sums.get(stage, 0) + max(round(seconds * 1e9), 0)
        return {stage: spent / 1e9 for stage, spent in sums.items()}

    @property
    def decisions(self) -> tuple[str, ...]:
        """Every decision, in order."""
        return tuple(text for record in self.records for text in record.decisions)

    @property
    def downgrades(self) -> tuple[str, ...]:
        """Every downgrade, in order; empty if the request got all it asked for."""
        return tuple(text for record in self.records for text in record.downgrades)


class Notes:
    """What a stage says about itself while it runs."""

    def __init__(self) -> None:
        self.decisions: list[str] = []
        self.downgrades: list[str] = []

    def decided(self, text: str) -> None:
        """Note a choice and its reason."""
        self.decisions.append(text)

    def downgraded(self, text: str) -> None:
        """Note that less was given than was asked, and why."""
        self.downgrades.append(text)

    def extend(self, other: Notes) -> None:
        """Note all that another has noted."""
        self.decisions += other.decisions
        self.downgrades += other.downgrades


class TraceRecorder:
    """Collects the records of one task as its stages run."""

    def __init__(self) -> None:
        self.trace = Trace()

    @contextmanager
    def visit(self, stage: Stage) -> Iterator[Notes]:
        """Time one visit to `stage`; a visit that raises is recorded as well."""
        notes = Notes()
        before = resident_bytes()
        started, worked = time.perf_counter(), time.process_time()
        try:
            yield notes
        finally:
            self.add(
                stage,
                time.perf_counter() - started,
                resident_bytes() - before,
                notes,
                time.process_time() - worked,
            )

    def add(
        self,
        stage: Stage,
        seconds: float,
        memory_delta_bytes: int,
        notes: Notes,
        cpu_seconds: float = 0.0,
    ) -> None:
        """Record a visit that was not made within one block, such as one shared with others."""
        record = StageRecord(
            stage=stage,
            seconds=seconds,
            memory_delta_bytes=memory_delta_bytes,
            decisions=tuple(notes.decisions),
            downgrades=tuple(notes.downgrades),
            cpu_seconds=cpu_seconds,
        )
        self.trace = self.trace.followed_by(record)
