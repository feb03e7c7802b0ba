"""One denoiser call for any rows: their latents, timesteps and conditions in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from fusion.conditioning import Conditioning
from fusion.sampler import Row, guided, scaled_latents
from models import DenoiserEngines, KeyValueDenoiser, RowConditions

Processor = Any  # the IP-Adapter's attention processors share no public base


class RowDenoiser:
    """Predicts for several rows at once, negative branches only where guidance is on.

    The batch is ordered as diffusers' pipeline orders it, negatives first, so that a row alone in
    its batch is computed bit for bit as the pipeline computes it.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        pack: bool = False,
        engines: DenoiserEngines | None = None,
    ) -> None:
        """pack, engines: see KeyValueDenoiser. Raises PipelineUnsupported for a UNet with
        conditions of another kind.
        """
        self.given = KeyValueDenoiser(unet, pack, engines)

    def batch(self, rows: Sequence[Row], conditionings: Sequence[Conditioning]) -> RowConditions:
        """The conditions of a batch of rows, good for as long as its rows and their guidance stay
        the same.
        """
        negatives = [
            _negative(conditioning)
            for row, conditioning in zip(rows, conditionings, strict=True)
            if row.guided
        ]
        return RowConditions.join([*negatives, *(one.positive for one in conditionings)])

    def predict(self, rows: Sequence[Row], conditions: RowConditions) -> list[Tensor]:
        """The guided prediction [1, channels, height, width] of each row, in the order given.

        Rows share a size, and are all `whole` or none; conditions: of these rows (see `batch`).
        Rows that reuse features keep those of a whole step.
        """
        guided_rows = [index for index, row in enumerate(rows) if row.guided]
        order = [*guided_rows, *range(len(rows))]
        inputs = [scaled_latents(row) for row in rows]
        latents = torch.cat([inputs[index] for index in order])
        timesteps = torch.stack([rows[index].timestep for index in order]).to(latents.device)
        places = _places(guided_rows, len(rows))
        if rows[0].whole:
            prediction, deep = self.given.predict_whole(latents, timesteps, conditions)
            for row, own in zip(rows, places, strict=True):
                row.deep = deep[own] if row.reuses else None
        else:
            # Each row's last: a row whose guidance has ended still keeps both branches'.
            taken = [_deep(rows[index])[-1:] for index in order]
            for place, index in enumerate(guided_rows):
                taken[place] = _deep(rows[index])[:1]
            deep = torch.cat(taken)
            prediction = self.given.predict_shallow(latents, timesteps, conditions, deep)
        results = []
        for row, own in zip(rows, places, strict=True):
            positive = prediction[own[-1] : own[-1] + 1]
            if len(own) > 1:
                negative = prediction[own[0] : own[0] + 1]
                positive = guided(negative, positive, row.guidance_scale)
            results.append(positive)
        return results

    def evaluations(self, rows: Sequence[Row]) -> int:
        """How many pictures go through the UNet for one step of these rows."""
        return sum(row.branches for row in rows)


def _places(guided_rows: Sequence[int], count: int) -> list[list[int]]:
    """Where each row's branches lie in the batch, the negative one first."""
    negatives = {row: place for place, row in enumerate(guided_rows)}
    return [
        [*([negatives[row]] if row in negatives else []), len(guided_rows) + row]
        for row in range(count)
    ]


def _deep(row: Row) -> Tensor:
    if row.deep is None:
        raise ValueError("a row without features of an earlier step computes a whole one")
    return row.deep


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
