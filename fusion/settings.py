"""The engine's own settings: limits, and the shape of a fusion into a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fusion.colour import ColourMatch
from fusion.complexity import StepSettings
from fusion.fast import FastSettings
from fusion.mask import MaskShape
from fusion.placement import FacePlacement
from fusion.pressure import PressureSettings
from fusion.prompt_memory import PromptSettings
from fusion.recovery import DEFAULT_RECOVERY, StagePolicy, check_recovery
from fusion.trace import Stage


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is told once.

    capacity: requests that may wait. ttl_seconds: how long one may wait. active_requests: those in
    work at once, from their photos to their result. largest_batch: pictures drawn together, whoever
    asked for them. face_store_max_bytes: for remembered faces. key_values_max_bytes: for the
    denoiser's keys and values of texts and identities. prompts: how prompts are remembered. fast:
    what mode="fast" approximates. steps: how steps="auto" chooses. pressure: when less is given.
    placement: where faces lie in training pictures; None takes a target of the model's own size
    whole, others as the bundle says. retry_scale_growth: by how much the identity gate raises the
    identity scale at each further attempt, as a share of what was asked. recovery: what is done
    where a stage fails by a fault that is not the user's; a stage left out reports it.
    """

    capacity: int = 16
    ttl_seconds: float = 600.0
    active_requests: int = 12  # more than a batch, so that it stays full while some are decoded
    largest_batch: int = 8
    face_store_max_bytes: int = 8 << 20
    key_values_max_bytes: int = 256 << 20
    prompts: PromptSettings = field(default_factory=PromptSettings)
    fast: FastSettings = field(default_factory=FastSettings)
    steps: StepSettings = field(default_factory=StepSettings)
    pressure: PressureSettings = field(default_factory=PressureSettings)
    placement: FacePlacement | None = None
    mask: MaskShape = field(default_factory=MaskShape)
    colour: ColourMatch = field(default_factory=ColourMatch)
    retry_scale_growth: float = 0.15
    recovery: Mapping[Stage, StagePolicy] = field(default_factory=lambda: DEFAULT_RECOVERY)

    def __post_init__(self) -> None:
        check_recovery(self.recovery)
        for name in ("capacity", "active_requests", "largest_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
