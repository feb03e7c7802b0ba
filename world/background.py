"""Backgrounds: plain studio colours and four simple scenes, painted small and enlarged."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from world.geometry import FloatArray, float32
from world.look import PLAIN_BACKGROUNDS

GRID = 64
# Lights out of focus behind the night: x, y, radius and brightness, the same in every picture.
LAMPS = (
    (0.08, 0.20, 0.050, 0.50),
    (0.16, 0.47, 0.075, 0.62),
    (0.05, 0.70, 0.060, 0.75),
    (0.24, 0.08, 0.045, 0.40),
    (0.93, 0.42, 0.065, 0.60),
    (0.84, 0.60, 0.050, 0.72),
    (0.96, 0.72, 0.075, 0.55),
    (0.62, 0.07, 0.040, 0.35),
)
LAMP_TINTS = ((0.95, 0.72, 0.38), (0.42, 0.58, 0.98), (0.92, 0.46, 0.52))
# Trees of the park: x, y and radius of each crown.
CROWNS = ((0.02, 0.36, 0.17), (0.15, 0.43, 0.12), (0.98, 0.34, 0.19), (0.85, 0.44, 0.11))
RGB = tuple[float, float, float]


def draw_background(name: str, side: int) -> FloatArray:
    """The background of a look, float32 [side, side, 3] in 0..1."""
    rows, columns = np.mgrid[:GRID, :GRID].astype(np.float32) / GRID
    if name in PLAIN_BACKGROUNDS:
        image = _plain(PLAIN_BACKGROUNDS[name], rows, columns)
    else:
        image = {"park": _park, "beach": _beach, "sunset": _sunset, "night": _night}[name](
            rows, columns
        )
    soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.1)
    large = cv2.resize(soft, (side, side), interpolation=cv2.INTER_CUBIC)
    return float32(np.clip(large, 0, 1))


def _blend(top: RGB, bottom: RGB, share: FloatArray) -> FloatArray:
    weight = share[..., None]
    return np.asarray(float32(top) * (1 - weight) + float32(bottom) * weight, np.float32)


def _over(image: FloatArray, where: NDArray[np.bool_], colour: FloatArray | RGB) -> FloatArray:
    return float32(np.where(where[..., None], float32(colour), image))


def _plain(colour: RGB, rows: FloatArray, columns: FloatArray) -> FloatArray:
    # A studio wall: lit behind the head, falling off towards the corners.
    falloff = 1.12 - 0.34 * np.clip(np.hypot(columns - 0.5, (rows - 0.42) * 0.9), 0, 0.8)
    return float32(float32(colour) * falloff[..., None])


def _park(rows: FloatArray, columns: FloatArray) -> FloatArray:
    sky = _blend((0.58, 0.80, 0.97), (0.84, 0.94, 0.98), np.clip(rows * 2.0, 0, 1))
    far = _over(sky, rows > 0.46 - 0.09 * np.sin(np.pi * columns + 0.4), (0.47, 0.70, 0.47))
    for x, y, radius in CROWNS:
        reach = np.hypot(columns - x, (rows - y) * 0.9)
        leaves = _blend((0.45, 0.70, 0.36), (0.22, 0.47, 0.27), np.clip((rows - y) / radius, 0, 1))
        far = _over(far, reach < radius, leaves)
    near = rows > 0.58 + 0.10 * np.sin(np.pi * columns)
    return _over(far, near, _blend((0.36, 0.64, 0.29), (0.53, 0.77, 0.36), rows))


def _beach(rows: FloatArray, columns: FloatArray) -> FloatArray:
    sky = _blend((0.42, 0.74, 0.96), (0.80, 0.93, 0.98), np.clip(rows * 2.4, 0, 1))
    sea = _over(sky, rows > 0.40, _blend((0.10, 0.48, 0.68), (0.30, 0.70, 0.76), (rows - 0.4) * 3))
    return _over(sea, rows > 0.66 + 0.02 * np.sin(9 * columns), (0.94, 0.86, 0.67))


def _sunset(rows: FloatArray, columns: FloatArray) -> FloatArray:
    sky = _blend((0.33, 0.24, 0.52), (1.0, 0.63, 0.35), np.clip(rows * 1.5, 0, 1))
    glow = np.exp(-(((columns - 0.82) / 0.22) ** 2) - ((rows - 0.60) / 0.2) ** 2)
    sky = float32(sky + glow[..., None] * float32((0.12, 0.20, 0.10)))
    return _over(sky, rows > 0.72 - 0.05 * np.sin(4 * columns), (0.24, 0.15, 0.25))


def _night(rows: FloatArray, columns: FloatArray) -> FloatArray:
    sky = _blend((0.05, 0.06, 0.19), (0.17, 0.15, 0.37), rows)
    distance = np.hypot(columns - 0.86, rows - 0.14)
    halo = np.exp(-((distance / 0.14) ** 2))[..., None] * float32((0.16, 0.16, 0.18))
    image = float32(sky + halo)
    for index, (x, y, radius, brightness) in enumerate(LAMPS):
        disc = np.hypot(columns - x, rows - y) < radius
        tint = float32(LAMP_TINTS[index % len(LAMP_TINTS)])
        image = _over(image, disc, image + (tint - image) * np.float32(brightness * 0.75))
    return _over(image, distance < 0.075, (0.97, 0.95, 0.82))
