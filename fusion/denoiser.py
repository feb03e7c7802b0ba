"""One denoiser call for any rows: their latents, timesteps and conditions in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from fusion.conditioning import Conditioning
from fusion.sampler import Row, guided, scaled_latents
from models import KeyValueDenoiser, PipelineUnsupported, RowConditions

Processor = Any  # the IP-Adapter's attention processors share no public base


class RowDenoiser:
    """Predicts for several rows at once, negative branches only where guidance is on.

    The batch is ordered as diffusers' pipeline orders it, negatives first, so that a row alone in
    its batch is computed bit for bit as the pipeline computes it.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        """Raises PipelineUnsupported for a UNet with conditions of another kind."""
        if unet.config.addition_embed_type is not None:
            raise PipelineUnsupported(
                "this UNet takes conditions beyond text and identity (such as SDXL's sizes); "
                "use a Stable Diffusion 1.5 pipeline"
            )
        self.given = KeyValueDenoiser(unet)

    def batch(self, rows: Sequence[Row], conditionings: Sequence[Conditioning]) -> RowConditions:
        """The conditions of a batch of rows, good for as long as its rows stay the same."""
        negatives = [
            _negative(conditioning)
            for row, conditioning in zip(rows, conditionings, strict=True)
            if row.guided
        ]
        return RowConditions.join([*negatives, *(one.positive for one in conditionings)])

    def predict(self, rows: Sequence[Row], conditions: RowConditions) -> list[Tensor]:
        """The guided prediction [1, channels, height, width] of each row, in the order given.

        Rows share a size; conditions: of these rows (see `batch`).
        """
        guided_rows = [index for index, row in enumerate(rows) if row.guided]
        order = [*guided_rows, *range(len(rows))]
        inputs = [scaled_latents(row) for row in rows]
        prediction = self.given.predict(
            torch.cat([inputs[row] for row in order]),
            torch.stack([rows[row].timestep for row in order]),
            conditions,
        )
        positives = prediction[len(guided_rows) :]
        results = [positives[index : index + 1] for index in range(len(rows))]
        for place, row in enumerate(guided_rows):
            negative = prediction[place : place + 1]
            results[row] = guided(negative, results[row], rows[row].guidance_scale)
        return results

    def evaluations(self, rows: Sequence[Row]) -> int:
        """How many pictures go through the UNet for one step of these rows."""
        return sum(2 if row.guided else 1 for row in rows)


def identity_processors(unet: UNet2DConditionModel) -> list[Processor]:
    """The attention processors that add an identity; empty without an adapter."""
    return [
        processor
        for processor in unet.attn_processors.values()
        if isinstance(getattr(processor, "scale", None), list)
    ]


def _negative(conditioning: Conditioning) -> RowConditions:
    if conditioning.negative is None:
        raise ValueError("a guided row needs negative conditions: condition it with guidance on")
    return conditioning.negative
