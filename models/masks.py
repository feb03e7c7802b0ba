"""Masks from anywhere: where a picture is to be drawn anew, by lightness or by transparency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from models.images import MAX_PIXELS, ImageSource, decoded, in_eight_bits


def read_mask(
    source: ImageSource, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """How much of each pixel is meant, uint8 [height, width]: 0 none of it, 255 all; a copy.

    A picture that is transparent somewhere means what is transparent there, whatever its colours;
    any other means what is white. Sources and checks are those of `read_image`; an array may be of
    bool too. Raises ImageRejected.
    """
    if isinstance(source, np.ndarray) and source.dtype == np.bool_:
        source = source.astype(np.uint8) * 255
    meant: NDArray[np.uint8] = np.array(decoded(source, name, max_pixels, _meant), dtype=np.uint8)
    return meant


def _meant(image: Image.Image, name: str) -> Image.Image:
    image = in_eight_bits(image, name)
    if image.has_transparency_data:
        opaque = image.convert("RGBA").getchannel("A")
        if np.asarray(opaque).min() < 255:
            return ImageChops.invert(opaque)
    return image.convert("RGB").convert("L")
