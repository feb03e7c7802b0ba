"""All sizes and budgets of the bundle's recipes, in one frozen object.

`MINI` is what ships. `TEST` is the same house as a doll's house: every stage runs in seconds and
means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from .autoencoder import AutoencoderConfig
from .clip import ClipConfig
from .denoiser import DenoiserConfig
from .tokenizer import TokenizerConfig

# Parts of the total budget, by what each is worth: the denoiser decides what people see.
SHARES: Mapping[str, float] = MappingProxyType(
    {
        "clip": 0.03,
        "recogniser": 0.07,
        "autoencoder": 0.21,
        "denoiser": 0.48,
        "judge-recogniser": 0.075,
        "judge-attributes": 0.045,
        "detector": 0.09,
    }
)


@dataclass(frozen=True)
class TrainingConfig:
    """A whole bundle. size: pixels of a side; minutes: of all trained stages together, rendering
    not counted.
    """

    name: str = "mini"
    size: int = 128
    people: int = 10_000
    pictures: int = 6
    held_out_people: int = 300
    held_out_pictures: int = 6
    minutes: float = 130.0
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)

    def stage_minutes(self, stage: str) -> float:
        """The stage's part of the budget."""
        return self.minutes * self.shares[stage]


MINI = TrainingConfig()
TEST = replace(
    MINI,
    name="test",
    size=64,
    people=6,
    pictures=3,
    held_out_people=3,
    held_out_pictures=2,
    minutes=0.1,
    tokenizer=TokenizerConfig(vocabulary=600),
    clip=ClipConfig(
        width=32, layers=1, heads=2, vision_width=32, vision_layers=1, image_size=32,
        schedule=replace(ClipConfig().schedule, batch_size=8, warmup_steps=2),
    ),
    autoencoder=AutoencoderConfig(
        width=8, encoder_blocks=(0, 0, 0, 1), decoder_blocks=(1, 0, 0, 0),
        schedule=replace(AutoencoderConfig().schedule, batch_size=4, warmup_steps=2),
    ),
    denoiser=DenoiserConfig(
        channels=(16, 32), heads=2, norm_groups=8,
        schedule=replace(DenoiserConfig().schedule, batch_size=4, warmup_steps=2),
    ),
)  # fmt: skip
PRESETS: Mapping[str, TrainingConfig] = MappingProxyType({"mini": MINI, "test": TEST})
