"""Where a face is worked on: a square of the target in which it lies as in training pictures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class FacePlacement:
    """Where the face's box lies in the pictures a model was trained on, in shares of their side."""

    centre_x: float = 0.5
    centre_y: float = 0.52
    height: float = 0.56


@dataclass(frozen=True)
class Square:
    """A square of the target in pixels; it may reach beyond the target."""

    left: int
    top: int
    side: int

    def inside(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Its part within a picture of `size` (width, height): x0, y0, x1, y1."""
        right, bottom = self.left + self.side, self.top + self.side
        return max(self.left, 0), max(self.top, 0), min(right, size[0]), min(bottom, size[1])

    def open_sides(self, size: tuple[int, int]) -> tuple[bool, bool, bool, bool]:
        """Left, top, right, bottom: True where the picture goes on beyond that side."""
        right, bottom = self.left + self.side, self.top + self.side
        return self.left > 0, self.top > 0, right < size[0], bottom < size[1]


def square_around(
    box: NDArray[np.float32],
    size: tuple[int, int],
    model_side: int,
    placement: FacePlacement | None = None,
    usual: FacePlacement | None = None,
) -> Square:
    """The square to work on. box: x0, y0, x1, y1 of the face; size: (width, height) of the target.

    placement None: a target of the model's own size is taken whole, any other by `usual`, the
    model's own placement, or by FacePlacement() where that is not known either.
    """
    if placement is None and size == (model_side, model_side):
        return Square(0, 0, model_side)
    placement = placement or usual or FacePlacement()
    x0, y0, x1, y1 = (float(value) for value in box)
    side = max(round(max(y1 - y0, 1.0) / placement.height), 8)
    left = round((x0 + x1) / 2 - placement.centre_x * side)
    top = round((y0 + y1) / 2 - placement.centre_y * side)
    return Square(left, top, side)


def cut(picture: Picture, square: Square, side: int) -> Picture:
    """The square's pixels as [side, side, 3]; beyond the picture its border is repeated."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = square.inside((width, height))
    part = cv2.copyMakeBorder(
        np.ascontiguousarray(picture[y0:y1, x0:x1]),
        y0 - square.top,
        square.top + square.side - y1,
        x0 - square.left,
        square.left + square.side - x1,
        cv2.BORDER_REPLICATE,
    )
    return resized(part, side)


def resized(picture: Picture, side: int) -> Picture:
    """A square picture at another side: area averages when smaller, Lanczos when larger."""
    if picture.shape[0] == side:
        return picture
    how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_LANCZOS4
    result: Picture = cv2.resize(picture, (side, side), interpolation=how)
    return result


def to_square(points: NDArray[np.float32], square: Square, side: int) -> NDArray[np.float32]:
    """Points [n, 2] of the target in the coordinates of its square at `side` pixels."""
    corner = np.array([square.left, square.top], dtype=np.float32)
    return ((points - corner) * (side / square.side)).astype(np.float32)
