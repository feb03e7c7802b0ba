"""decode: latents become pixels."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.errors import DrawingFailed
from fusion.trace import Notes
from models import Runner


def decode(
    vae: Any,
    latents: Tensor,
    notes: Notes | None = None,
    *,
    upcasts: bool = False,
    runner: Runner | None = None,
) -> NDArray[np.uint8]:
    """The picture uint8 [height, width, 3] of latents [1, channels, height / 8, width / 8].

    vae: any diffusers autoencoder. Rounds as diffusers does. upcasts: it overflows in its own
    precision, so float32 is used at once; any other is decoded again in float32 where it gave
    numbers that are not finite, and `notes` are told. runner: an engine in the autoencoder's place.
    Raises DrawingFailed where that does not
    help.
    """
    image = None if upcasts else _decoded(vae, latents, runner)
    if image is None or not _finite(image):
        if image is not None and notes is not None:
            notes.decided(f"decode: not finite in {_name(vae.dtype)}, so done again in float32")
        image = _decoded(in_float32(vae, latents.device), latents)
        if not _finite(image):
            raise DrawingFailed(
                "the decoded picture is not made of finite numbers, in float32 neither: verify the "
                "bundle's autoencoder"
            )
    return to_pixels(image)


def in_float32(vae: Any, device: torch.device) -> Any:
    """A copy of an autoencoder that computes there in float32; the given one stays as it is, for
    others may use it meanwhile.
    """
    hook = getattr(vae, "_hf_hook", None)  # accelerate's, which holds other models too
    twin = copy.deepcopy(vae, {} if hook is None else {id(hook): None})
    for name in ("encode", "decode", "_tiled_encode"):
        twin.__dict__.pop(name, None)  # a memory mode's own, which call the original
    return twin.to(device).float()  # `to` with a dtype makes diffusers talk


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


def _decoded(vae: Any, latents: Tensor, runner: Runner | None = None) -> Tensor:
    scaled = latents.to(vae.dtype) / vae.config.scaling_factor
    if runner is not None:
        return runner([scaled])[0]
    image: Tensor = vae.decode(scaled, return_dict=False)[0]
    return image


def _finite(image: Tensor) -> bool:
    return bool(image.isfinite().all())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
