"""A small anti-aliased painter: filled polygons with opacity, soft edges, clipping and shading."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from world.geometry import FloatArray

# cv2 takes polygon corners in fixed point; four fractional bits are a sixteenth of a pixel.
FRACTION_BITS = 4
# Above this radius in pixels a blur is done on a smaller copy: the same look, much faster.
LARGE_BLUR_PIXELS = 5.0


@dataclass(frozen=True)
class Patch:
    """Coverage of a shape: alpha float32 [h, w] in 0..1 whose top left pixel is (left, top)."""

    alpha: FloatArray
    left: int
    top: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Row and column slices of the patch in its canvas."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


class Canvas:
    """A float RGB image in 0..1 on which shapes are painted in pixel coordinates.

    resolution: side in pixels. unit: pixels in one head unit; blurs are given in head units.
    """

    def __init__(self, image: FloatArray, unit: float) -> None:
        self.image = image
        self.resolution = int(image.shape[0])
        self.unit = unit

    def cover(self, polygons: list[FloatArray], blur: float = 0.0) -> Patch | None:
        """Coverage of the union of polygons (pixels, [n, 2]); None when it lies off the canvas."""
        radius = blur * self.unit
        corners = np.concatenate(polygons)
        pad = int(radius * 3) + 3
        left, top = np.maximum(np.floor(corners.min(0)).astype(int) - pad, 0)
        right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + pad + 1, self.resolution)
        if right <= left or bottom <= top:
            return None
        mask = np.zeros((bottom - top, right - left), np.uint8)
        for polygon in polygons:
            fixed = np.round((polygon - [left, top]) * (1 << FRACTION_BITS)).astype(np.int32)
            cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, FRACTION_BITS)
        return Patch(_soften(mask, radius).astype(np.float32) / 255.0, int(left), int(top))

    def fill(
        self,
        polygons: FloatArray | list[FloatArray],
        colour: FloatArray | tuple[float, float, float],
        opacity: float = 1.0,
        blur: float = 0.0,
        clip: FloatArray | None = None,
        shade: FloatArray | None = None,
    ) -> Patch | None:
        """Paint polygons; `clip` [R, R] multiplies the coverage, `shade` [R, R] the colour."""
        patch = self.cover(polygons if isinstance(polygons, list) else [polygons], blur)
        if patch is None:
            return None
        rows, columns = patch.window
        weight = patch.alpha * opacity
        if clip is not None:
            weight = weight * clip[rows, columns]
        paint = np.asarray(colour, np.float32)
        if shade is not None:
            paint = paint * shade[rows, columns, None]
        under = self.image[rows, columns]
        under += (paint - under) * weight[..., None]
        return patch

    def ring(
        self, outer: FloatArray, inner: FloatArray, colour: FloatArray | tuple[float, float, float]
    ) -> None:
        """Paint what lies inside `outer` and outside `inner`."""
        patch = self.cover([outer])
        if patch is None:
            return
        hole = self.spread(self.cover([inner]))
        rows, columns = patch.window
        weight = np.clip(patch.alpha - hole[rows, columns], 0, 1)[..., None]
        under = self.image[rows, columns]
        under += (np.asarray(colour, np.float32) - under) * weight

    def spread(self, patch: Patch | None) -> FloatArray:
        """The patch's alpha on a full canvas [R, R], zero elsewhere."""
        full = np.zeros((self.resolution, self.resolution), np.float32)
        if patch is not None:
            full[patch.window] = patch.alpha
        return full

    def multiply(self, factor: FloatArray, within: FloatArray) -> None:
        """Multiply the image by `factor` [R, R, 3] where `within` [R, R] says so."""
        self.image *= 1.0 + (factor - 1.0) * within[..., None]


def _soften(mask: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    if radius <= 0:
        return mask
    if radius <= LARGE_BLUR_PIXELS:
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), radius), np.uint8)
    height, width = mask.shape
    factor = int(min(8, max(2, radius // 2)))
    small_size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(mask, small_size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), radius / factor)
    return np.asarray(
        cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8
    )
