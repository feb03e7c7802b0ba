"""One denoiser call for any rows: their latents, timesteps and conditionings in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from fusion.conditioning import Conditioning
from fusion.sampler import Row, guided, scaled_latents
from models import PipelineUnsupported

Processor = Any  # the IP-Adapter's attention processors share no public base


class UNetDenoiser:
    """Calls a diffusers UNet for several rows at once, negative branches only where guidance is on.

    The batch is ordered as diffusers' pipeline orders it, negatives first, so that a row alone in
    its batch is computed bit for bit as the pipeline computes it.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        """Raises PipelineUnsupported for a UNet with conditions of another kind."""
        check_unet(unet)
        self.unet = unet

    def predict(self, rows: Sequence[Row], conditionings: Sequence[Conditioning]) -> list[Tensor]:
        """The guided prediction [1, channels, height, width] of each row, in the order given.

        Rows share a size; their identity scales must be equal (one scale per call).
        """
        guided_rows = [index for index, row in enumerate(rows) if row.guided]
        order = [*guided_rows, *range(len(rows))]
        negatives = len(guided_rows)
        inputs = [scaled_latents(row) for row in rows]
        states = [
            _negative_states(conditionings[row]) if place < negatives else conditionings[row].states
            for place, row in enumerate(order)
        ]
        identity = self._identity(conditionings, order, negatives)
        with identity_scale(self.unet, _one_scale(conditionings)):
            prediction = self.unet(
                torch.cat([inputs[row] for row in order]),
                torch.stack([rows[row].timestep for row in order]),
                encoder_hidden_states=torch.cat(states),
                added_cond_kwargs=None if identity is None else {"image_embeds": [identity]},
                return_dict=False,
            )[0]
        positives = prediction[negatives:]
        results = [positives[index : index + 1] for index in range(len(rows))]
        for place, row in enumerate(guided_rows):
            negative = prediction[place : place + 1]
            results[row] = guided(negative, results[row], rows[row].guidance_scale)
        return results

    def evaluations(self, rows: Sequence[Row]) -> int:
        """How many pictures go through the UNet for one step of these rows."""
        return sum(2 if row.guided else 1 for row in rows)

    def _identity(
        self, conditionings: Sequence[Conditioning], order: Sequence[int], negatives: int
    ) -> Tensor | None:
        embeddings = [conditioning.identity for conditioning in conditionings]
        if embeddings[0] is None:
            return None
        parts = [embeddings[row] for row in order]
        present = [part for part in parts if part is not None]
        zeroed = [
            torch.zeros_like(part) if place < negatives else part
            for place, part in enumerate(present)
        ]
        return torch.cat(zeroed)


def check_unet(unet: UNet2DConditionModel) -> None:
    """Raises PipelineUnsupported for a UNet with conditions the engine does not give."""
    config = unet.config
    if config.time_cond_proj_dim is not None:
        raise PipelineUnsupported(
            "this UNet takes its guidance scale as an input (a distilled model); "
            "use one with classifier-free guidance"
        )
    if config.addition_embed_type is not None or config.class_embed_type is not None:
        raise PipelineUnsupported(
            "this UNet takes conditions beyond text and identity (such as SDXL's sizes); "
            "use a Stable Diffusion 1.5 pipeline"
        )
    if config.encoder_hid_dim_type not in (None, "ip_image_proj"):
        raise PipelineUnsupported(
            f"this UNet projects its conditions by {config.encoder_hid_dim_type!r}; "
            "use one with plain text states, with or without a FaceID adapter"
        )


def identity_processors(unet: UNet2DConditionModel) -> list[Processor]:
    """The attention processors that add an identity; empty without an adapter."""
    return [
        processor
        for processor in unet.attn_processors.values()
        if isinstance(getattr(processor, "scale", None), list)
    ]


@contextmanager
def identity_scale(unet: UNet2DConditionModel, scale: float) -> Iterator[None]:
    """The UNet with every identity attention at `scale`; afterwards each is as it was."""
    processors = identity_processors(unet)
    before = [list(processor.scale) for processor in processors]
    try:
        for processor in processors:
            processor.scale = [scale] * len(processor.scale)
        yield
    finally:
        for processor, scales in zip(processors, before, strict=True):
            processor.scale = scales


def _negative_states(conditioning: Conditioning) -> Tensor:
    if conditioning.negative_states is None:
        raise ValueError("a guided row needs negative states: condition it with guidance on")
    return conditioning.negative_states


def _one_scale(conditionings: Sequence[Conditioning]) -> float:
    scales = {conditioning.identity_scale for conditioning in conditionings}
    if len(scales) != 1:
        raise ValueError(f"rows of one call share an identity scale, these have {sorted(scales)}")
    return scales.pop()
