"""The engine's own settings: limits, and the shape of a fusion into a target."""

from __future__ import annotations

from dataclasses import dataclass, field

from fusion.colour import ColourMatch
from fusion.mask import MaskShape
from fusion.placement import FacePlacement
from fusion.prompt_memory import PromptSettings


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is told once.

    capacity: requests that may wait. ttl_seconds: how long one may wait. largest_batch: pictures of
    a request drawn together. face_store_max_bytes: for remembered faces. key_values_max_bytes:
    for the denoiser's keys and values of texts and identities. prompts: how prompts are remembered.
    placement: where faces lie in training pictures; None takes a target of the model's own size
    whole, others as the bundle says. retry_scale_growth: by how much the identity gate raises the
    identity scale at each further attempt, as a share of what was asked.
    """

    capacity: int = 16
    ttl_seconds: float = 600.0
    largest_batch: int = 4
    face_store_max_bytes: int = 8 << 20
    key_values_max_bytes: int = 256 << 20
    prompts: PromptSettings = field(default_factory=PromptSettings)
    placement: FacePlacement | None = None
    mask: MaskShape = field(default_factory=MaskShape)
    colour: ColourMatch = field(default_factory=ColourMatch)
    retry_scale_growth: float = 0.15
