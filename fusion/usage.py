"""What a portrait cost, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fusion.trace import Stage

_NANO = 10**9
COUNTED: Final = (
    "tokens", "baseline_tokens", "positions_computed", "positions_reused", "projections_computed",
    "projections_reused", "faces_analysed", "faces_reused",
)  # fmt: skip


def nanoseconds(seconds: float) -> int:
    """Whole nanoseconds, not below 0: what the ledger counts times in."""
    return max(round(seconds * _NANO), 0)


def whole(seconds: float) -> float:
    """Seconds rounded to a whole nanosecond, which `nanoseconds` gives back exactly."""
    return nanoseconds(seconds) / _NANO


def added(amounts: Iterable[int | None]) -> int | None:
    """The sum of what was measured; None where nothing was."""
    measured = [amount for amount in amounts if amount is not None]
    return sum(measured) if measured else None


@dataclass(frozen=True)
class Spent:
    """What a request has taken so far, however it ends; numbers as in Usage.

    Whole once it has ended; until then without the attempt that is in the denoising loop.
    counts: of what was done before it, by its name in Usage: COUNTED, those that were reached.
    """

    denoiser_evaluations: int = 0
    shallow_evaluations: int = 0
    denoiser_seconds: float = 0.0
    seconds_by_stage: Mapping[Stage, float] = field(default_factory=dict)
    cpu_seconds_by_stage: Mapping[Stage, float] = field(default_factory=dict)
    energy_millijoules: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """In all stages together."""
        return sum(self.seconds_by_stage.values())


@dataclass(frozen=True)
class Usage:
    """The account of one request, every attempt and every picture together.

    tokens, baseline_tokens: of the prompt, and of the same wish in ordinary words.
    positions_computed, positions_reused: of the text encoder, for the prompt and the negative one.
    projections_computed, projections_reused: texts and identities (both branches) that became the
    denoiser's keys and values, once for all steps, and those that were remembered.
    steps: denoising steps of one picture, as drawn (a fusion into a target skips the first ones).
    denoiser_evaluations: pictures through the whole UNet: pictures × steps, twice that under
    guidance; shallow_evaluations: through its outermost blocks only, in fast mode.
    denoiser_seconds: of the denoiser's time, shared with the requests drawn in the same batches;
    seconds_by_stage has the time that passed meanwhile, cpu_seconds_by_stage what the processors
    worked for the whole process meanwhile. All are whole nanoseconds.
    faces_analysed, faces_reused: pictures given whose faces were computed, or were remembered.
    attempts: drawings made, those the identity gate rejected included.
    peak_memory_bytes: the most the process has held; peak_device_bytes: on the accelerator.
    connections: to elsewhere that were opened while it was drawn. energy_millijoules: of the GPU,
    shared as denoiser_seconds is; None where nothing measures it.
    """

    images: int
    attempts: int
    steps: int
    tokens: int
    baseline_tokens: int
    positions_computed: int
    positions_reused: int
    projections_computed: int
    projections_reused: int
    denoiser_evaluations: int
    shallow_evaluations: int
    denoiser_seconds: float
    faces_analysed: int
    faces_reused: int
    seconds: float
    seconds_by_stage: Mapping[Stage, float]
    peak_memory_bytes: int
    peak_device_bytes: int
    cpu_seconds_by_stage: Mapping[Stage, float] = field(default_factory=dict)
    connections: int = 0
    energy_millijoules: int | None = None
