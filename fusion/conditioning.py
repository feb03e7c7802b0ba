"""What a picture is drawn from: keys and values of words and face, for both branches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from models import RowConditions


@dataclass(frozen=True)
class Conditioning:
    """What one picture's row is given, of one row each. negative is None where guidance is off.

    The identity is None where the model knows none; the negative branch's is the projection of
    zeros, as FaceID was trained. The sizes that SDXL is told are those of the drawing: see `sized`.
    """

    positive: RowConditions
    negative: RowConditions | None

    def scaled(self, identity_scale: float) -> Conditioning:
        """The same with the identity's attention added so strongly."""
        return Conditioning(
            _scaled(self.positive, identity_scale),
            None if self.negative is None else _scaled(self.negative, identity_scale),
        )

    def sized(self, size: tuple[int, int]) -> Conditioning:
        """The same for a picture of (width, height) pixels, uncropped: what SDXL wants to know."""
        return Conditioning(
            _sized(self.positive, size),
            None if self.negative is None else _sized(self.negative, size),
        )


def _scaled(conditions: RowConditions, scale: float) -> RowConditions:
    if conditions.identity_scales is None:
        return conditions
    scales = torch.full_like(conditions.identity_scales, scale)
    return replace(conditions, identity_scales=scales)


def _sized(conditions: RowConditions, size: tuple[int, int]) -> RowConditions:
    if conditions.text_embeds is None:
        return conditions
    width, height = size
    # Height and width before and after cropping, and between them where the crop begins.
    sizes = [height, width, 0, 0, height, width]
    time_ids = torch.tensor([sizes] * conditions.rows, dtype=conditions.text_embeds.dtype)
    return replace(conditions, time_ids=time_ids.to(conditions.text_embeds.device))
