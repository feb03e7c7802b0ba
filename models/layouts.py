"""The kinds of pipelines that can be drawn with: which parts diffusers' class has, and how it uses
them. Whatever differs between Stable Diffusion 1.5 and SDXL is said here once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from models.quiet import quiet_libraries
from models.text_forward import Output

with quiet_libraries():
    from diffusers import (
        AutoencoderKL,
        AutoencoderTiny,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

Classes = Mapping[str, type]  # what a part may be, by the name in model_index.json

TOKENIZERS: Final[Classes] = MappingProxyType(
    {"CLIPTokenizer": CLIPTokenizer, "CLIPTokenizerFast": CLIPTokenizer}
)
MODELS: Final[Mapping[str, Classes]] = MappingProxyType(
    {
        "vae": {"AutoencoderTiny": AutoencoderTiny, "AutoencoderKL": AutoencoderKL},
        "unet": {"UNet2DConditionModel": UNet2DConditionModel},
    }
)


@dataclass(frozen=True, eq=False)
class TextTower:
    """A text encoder with its tokenizer. output: which of its states the denoiser is given."""

    tokenizer: CLIPTokenizer
    encoder: CLIPTextModel | CLIPTextModelWithProjection
    output: Output

    @property
    def width(self) -> int:
        """Of its states."""
        return int(self.encoder.config.hidden_size)

    @property
    def masked(self) -> bool:
        """Whether it was trained with a padding mask; diffusers gives one to Stable Diffusion's
        only.
        """
        return self.output == Output() and bool(
            getattr(self.encoder.config, "use_attention_mask", False)
        )


@dataclass(frozen=True)
class TowerLayout:
    """Where a tower's parts lie, and what they are."""

    tokenizer: str
    encoder: str
    class_name: str
    model: type
    output: Output


@dataclass(frozen=True)
class PipelineLayout:
    """One of diffusers' pipeline classes.

    towers: its text encoders, whose states are laid side by side; the last one's pooled state
    stands for the whole prompt. added: the kind of conditions its denoiser takes beside text
    (`addition_embed_type`): None, or "text_time", the pooled text and the picture's sizes.
    upcasts: whether an autoencoder that overflows in fp16 decodes in float32 (its `force_upcast`).
    zeroes: whether the negative branch may be zeros where nothing is said against
    (`force_zeros_for_empty_prompt`). guidance_scale: what it guides by when nothing is said.
    options: what is given to the class beside its parts.
    """

    pipeline: type
    towers: tuple[TowerLayout, ...]
    guidance_scale: float
    added: str | None = None
    upcasts: bool = False
    zeroes: bool = False
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the class, as model_index.json has it."""
        return self.pipeline.__name__

    @property
    def parts(self) -> Mapping[str, Classes]:
        """All parts but the scheduler, and what each may be; the smaller ones first, so that what
        is wrong with them is found early.
        """
        parts: dict[str, Classes] = {tower.tokenizer: TOKENIZERS for tower in self.towers}
        for tower in self.towers:
            parts[tower.encoder] = {tower.class_name: tower.model}
        return {**parts, **MODELS}

    def towers_of(self, parts: Mapping[str, Any]) -> tuple[TextTower, ...]:
        """The towers made of loaded parts."""
        return tuple(
            TextTower(parts[tower.tokenizer], parts[tower.encoder], tower.output)
            for tower in self.towers
        )

    def assemble(
        self, towers: tuple[TextTower, ...], unet: Any, vae: Any, scheduler: Any, zeroes: bool
    ) -> Any:
        """diffusers' own pipeline over these models."""
        parts: dict[str, object] = {"unet": unet, "vae": vae, "scheduler": scheduler}
        for layout, tower in zip(self.towers, towers, strict=True):
            parts[layout.tokenizer] = tower.tokenizer
            parts[layout.encoder] = tower.encoder
        if self.zeroes:
            parts["force_zeros_for_empty_prompt"] = zeroes
        return self.pipeline(**parts, **self.options)


STABLE_DIFFUSION: Final = PipelineLayout(
    pipeline=StableDiffusionPipeline,
    towers=(TowerLayout("tokenizer", "text_encoder", "CLIPTextModel", CLIPTextModel, Output()),),
    guidance_scale=7.5,
    options=MappingProxyType(
        {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    ),
)
SDXL: Final = PipelineLayout(
    pipeline=StableDiffusionXLPipeline,
    towers=(
        TowerLayout("tokenizer", "text_encoder", "CLIPTextModel", CLIPTextModel, Output(1, False)),
        TowerLayout(
            "tokenizer_2",
            "text_encoder_2",
            "CLIPTextModelWithProjection",
            CLIPTextModelWithProjection,
            Output(1, False),
        ),
    ),
    guidance_scale=5.0,
    added="text_time",
    upcasts=True,
    zeroes=True,
    options=MappingProxyType({"add_watermarker": False}),
)
LAYOUTS: Final = (STABLE_DIFFUSION, SDXL)
NAMES: Final = " or ".join(layout.name for layout in LAYOUTS)
