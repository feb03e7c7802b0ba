"""Pictures of several people, or of one among empty space: what a face detector has to meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from world.background import draw_background
from world.geometry import FloatArray, float32
from world.look import BACKGROUNDS, Look
from world.person import Person
from world.renderer import SMALLEST_SIDE, render

# The least side of a portrait, as a share of the largest that fits its column and the height.
SMALLEST_SHARE = 0.55


@dataclass(frozen=True)
class Group:
    """image uint8 [height, width, 3]; landmarks float32 [n, 5, 2]; boxes float32 [n, 4]."""

    image: NDArray[np.uint8]
    landmarks: FloatArray
    boxes: FloatArray


def render_group(
    people: Sequence[Person],
    looks: Sequence[Look],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Group:
    """Portraits of several people side by side, at random scales, in one picture.

    size: (width, height) in pixels; each person gets a column of at least 32 pixels.
    Raises ValueError when they do not fit. No people: the background alone.
    """
    width, height = size
    if len(people) != len(looks):
        raise ValueError(f"{len(people)} people but {len(looks)} looks")
    backdrop = draw_background(str(rng.choice(BACKGROUNDS)), max(width, height))
    image = (backdrop[:height, :width] * 255 + 0.5).astype(np.uint8)
    landmarks, boxes = [], []
    columns = np.linspace(0, width, len(people) + 1).astype(int) if people else np.zeros(1, int)
    for person, look, left, right in zip(people, looks, columns[:-1], columns[1:], strict=True):
        room = min(int(right - left), height)
        if room < SMALLEST_SIDE:
            raise ValueError(f"{len(people)} people do not fit into {width} x {height} pixels")
        side = max(SMALLEST_SIDE, int(room * rng.uniform(SMALLEST_SHARE, 1.0)))
        x = int(left + rng.integers(0, right - left - side + 1))
        y = int(rng.integers(0, height - side + 1))
        portrait = render(person, look, side)
        image[y : y + side, x : x + side] = portrait.image
        landmarks.append(portrait.landmarks + float32([x, y]))
        boxes.append(portrait.box + float32([x, y, x, y]))
    return Group(
        image=image,
        landmarks=np.array(landmarks, np.float32).reshape(-1, 5, 2),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
    )
