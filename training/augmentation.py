"""Ways a picture gets worse on its journey: resampling, blur, JPEG, light. All on uint8 RGB."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Degradation:
    """Chances of each damage. A decoder's output is softer than a render, so softness is common."""

    resample: float = 0.35
    blur: float = 0.2
    jpeg: float = 0.15
    smallest_scale: float = 0.45


def degrade(
    image: NDArray[np.uint8], rng: np.random.Generator, chances: Degradation
) -> NDArray[np.uint8]:
    """One of: down- and upscaled, blurred, JPEG-coded, or untouched. Shape is kept."""
    height, width = image.shape[:2]
    draw = rng.random()
    if draw < chances.resample:
        scale = rng.uniform(chances.smallest_scale, 0.9)
        small = (max(8, round(width * scale)), max(8, round(height * scale)))
        smaller = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(smaller, (width, height), interpolation=cv2.INTER_LINEAR))
    draw -= chances.resample
    if draw < chances.blur:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2)))
    draw -= chances.blur
    if draw < chances.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 90))]
        _, encoded = cv2.imencode(".jpg", image, quality)
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return image


def relight(images: NDArray[np.uint8], rng: np.random.Generator, strength: float) -> Tensor:
    """Random contrast, brightness and tint per picture, then the network's range.

    images: uint8 [batch, height, width, 3]. strength: largest relative change.
    Returns float32 [batch, 3, height, width] in about -1 to 1: (x - 127.5) / 127.5.
    """
    batch = len(images)
    gain = (
        1.0
        + strength * rng.uniform(-1, 1, (batch, 1))
        + 0.3 * strength * rng.uniform(-1, 1, (batch, 3))
    )
    offset = strength * rng.uniform(-1, 1, (batch, 1))
    pixels = to_network(images)
    pixels.mul_(torch.from_numpy(gain).float()[:, :, None, None])
    pixels.add_(torch.from_numpy(offset).float()[:, :, None, None])
    return pixels.clamp_(-1.0, 1.0)


def to_network(images: NDArray[np.uint8]) -> Tensor:
    """uint8 [batch, height, width, 3] to float32 [batch, 3, height, width], (x - 127.5) / 127.5."""
    # A view: the memory stays channels-last, as the convolutions want it.
    pixels = torch.from_numpy(np.require(images, requirements=["C", "W"])).permute(0, 3, 1, 2)
    return pixels.float().sub_(127.5).div_(127.5)
