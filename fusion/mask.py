"""The soft mask of a head, from five landmarks alone.

Geometry is measured in eye distances in the face's own frame: x along the line of the eyes, y down
the face, origin between the eyes. So a mask turns and grows with the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BORDER_FADE_SHARE: Final = 0.12  # of the side of the square that is worked on


@dataclass(frozen=True)
class MaskShape:
    """How far the head reaches from the middle of the eyes, in eye distances.

    centre_down: where the ellipse is widest, below the eyes; half_width: to either side of it;
    reach_up: from there over the hair, reach_down: from there under the chin; feather: the width of
    the soft border, outside the ellipse; edge: of that within a mask that was given. eyes_to_mouth:
    this distance in a frontal face, by which a face in profile, its eyes close together, is
    measured.
    """

    centre_down: float = 0.25
    half_width: float = 1.8
    reach_up: float = 2.35
    reach_down: float = 1.85
    feather: float = 0.35
    edge: float = 0.15
    eyes_to_mouth: float = 1.05


@dataclass(frozen=True)
class FaceFrame:
    """A face's own coordinates: origin between the eyes, unit vectors, eye distance in pixels."""

    origin: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    eye_distance: float


def face_frame(landmarks: NDArray[np.float32], shape: MaskShape) -> FaceFrame:
    """The frame of a face. landmarks: [5, 2] pixels, eyes left and right, nose, mouth corners."""
    points = landmarks.astype(np.float64)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    between = points[1] - points[0]
    measured = float(np.hypot(*between))
    height = float(np.hypot(*(mouth - eyes)))
    distance = max(measured, height / shape.eyes_to_mouth, 1.0)
    across = between / measured if measured > 1e-6 else np.array([1.0, 0.0])
    if across[0] < 0:  # left and right exchanged: the face is not upside down
        across = -across
    down = np.array([-across[1], across[0]])
    return FaceFrame(eyes, across, down, distance)


def soft_mask(
    landmarks: NDArray[np.float32], size: tuple[int, int], shape: MaskShape | None = None
) -> NDArray[np.float32]:
    """The mask of a head: float32 [height, width], 1 inside, 0 outside, smooth between.

    landmarks: [5, 2] in pixels of the picture; size: (width, height) of it.
    """
    shape = shape or MaskShape()
    frame = face_frame(landmarks, shape)
    width, height = size
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float64)
    offset_x, offset_y = xs - frame.origin[0], ys - frame.origin[1]
    u = (offset_x * frame.across[0] + offset_y * frame.across[1]) / frame.eye_distance
    v = (offset_x * frame.down[0] + offset_y * frame.down[1]) / frame.eye_distance
    v = v - shape.centre_down
    vertical = np.where(v < 0, shape.reach_up, shape.reach_down)
    radius = np.hypot(u / shape.half_width, v / vertical)
    softness = max(shape.feather / shape.half_width, 1e-6)
    inside = np.clip((1 + softness - radius) / softness, 0, 1)
    return smooth(inside)


def border_fade(
    size: int, open_sides: tuple[bool, bool, bool, bool], width: int
) -> NDArray[np.float32]:
    """A square window [size, size] that falls to 0 over `width` pixels at its open sides.

    open_sides: left, top, right, bottom; True where the target goes on beyond the square.
    """
    distance = np.arange(size, dtype=np.float64)
    rise = smooth(np.clip(distance / max(width, 1), 0, 1))
    fall = rise[::-1]
    full = np.ones(size, dtype=np.float32)
    left, top, right, bottom = open_sides
    columns = (rise if left else full) * (fall if right else full)
    rows = (rise if top else full) * (fall if bottom else full)
    window: NDArray[np.float32] = rows[:, None] * columns[None, :]
    return window


def latent_mask(mask: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Which latents may be drawn anew: 1 wherever any of their pixels is in the mask, else 0.

    mask: [height, width], sides multiples of `factor`. Hard on purpose: blending two noisy latents
    by halves lowers their variance; the soft border is laid in pixels instead.
    """
    height, width = mask.shape
    cells = mask.reshape(height // factor, factor, width // factor, factor)
    free: NDArray[np.float32] = (cells.max(axis=(1, 3)) > 0).astype(np.float32)
    return free


def smooth(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Hermite's smooth step of values in [0, 1]."""
    return (values * values * (3 - 2 * values)).astype(np.float32)


def mask_share(mask: NDArray[np.float32]) -> float:
    """How much of the picture the mask covers, from 0 to 1."""
    return float(mask.mean(dtype=np.float64))
