"""decode: latents become pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def decode(vae: Any, latents: Tensor) -> NDArray[np.uint8]:
    """The picture uint8 [height, width, 3] of latents [1, channels, height / 8, width / 8].

    vae: any diffusers autoencoder. Rounds as diffusers does.
    """
    scaled = (latents / vae.config.scaling_factor).to(dtype=vae.dtype)
    image = vae.decode(scaled, return_dict=False)[0]
    return to_pixels(image)


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """A picture in [-1, 1], [1, 3, height, width], as uint8 [height, width, 3]."""
    unit = (image * 0.5 + 0.5).clamp(0, 1)
    values = unit[0].permute(1, 2, 0).float().cpu().numpy()
    pixels: NDArray[np.uint8] = (values * 255).round().astype(np.uint8)
    return pixels


def to_image(pixels: NDArray[np.uint8], device: torch.device, dtype: torch.dtype) -> Tensor:
    """A picture uint8 [height, width, 3] as the autoencoder reads it: [1, 3, h, w] in [-1, 1]."""
    values = torch.from_numpy(np.ascontiguousarray(pixels)).to(device=device)
    return (values.permute(2, 0, 1)[None].float() / 127.5 - 1).to(dtype)
