"""Colour match: a drawing takes the tone of the picture it is laid into."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class ColourMatch:
    """How much of the difference is made up for.

    amount: 0 none, 1 all of it; largest_shift: in Lab units per channel; largest_gain: the ratio of
    contrasts is held between its inverse and itself; same_within: pixels that differ by more Lab
    units than this show different things; fewest_pixels: of the same thing, fewer say nothing.
    """

    amount: float = 0.5
    largest_shift: float = 12.0
    largest_gain: float = 1.2
    same_within: float = 24.0
    fewest_pixels: int = 64


def match_ring(
    drawn: Picture,
    target: Picture,
    mask: NDArray[np.float32],
    settings: ColourMatch | None = None,
) -> Picture:
    """The drawing with its mean and contrast nearer to the target's, by the mask's soft ring.

    drawn, target: uint8 [height, width, 3]; mask: float [height, width]. Compared is where both
    show the same thing: in the ring (mask between 0 and 1), and there only pixels that are nearly
    alike. Hair that took a background's place says nothing about the light.
    After Reinhard et al., "Color transfer between images", 2001, held to mild corrections.
    """
    settings = settings or ColourMatch()
    if settings.amount <= 0:
        return drawn
    ours, theirs = _lab(drawn), _lab(target)
    ring = (mask > 0.02) & (mask < 0.98)
    ring &= np.linalg.norm(theirs - ours, axis=2) <= settings.same_within
    if int(ring.sum()) < settings.fewest_pixels:
        return drawn
    ours_ring, theirs_ring = ours[ring], theirs[ring]
    ours_mean, theirs_mean = ours_ring.mean(0), theirs_ring.mean(0)
    gain = (theirs_ring.std(0) + 1.0) / (ours_ring.std(0) + 1.0)
    gain = np.clip(gain, 1 / settings.largest_gain, settings.largest_gain)
    shift = np.clip(theirs_mean - ours_mean, -settings.largest_shift, settings.largest_shift)
    matched = (ours - ours_mean) * gain + ours_mean + shift
    blended = ours + settings.amount * (matched - ours)
    rgb = cv2.cvtColor(blended.astype(np.float32), cv2.COLOR_LAB2RGB)
    result: Picture = (np.clip(rgb, 0, 1) * 255).round().astype(np.uint8)
    return result


def _lab(picture: Picture) -> NDArray[np.float32]:
    lab: NDArray[np.float32] = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab
