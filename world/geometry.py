"""Curves, and the frame that carries head coordinates into the picture.

Head coordinates: x to the image's right, y down, z towards the viewer; the face reaches from
about -1 (crown) to +1 (chin) around the point between and a little below the eyes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float32]

HEAD_DEPTH = 0.72
HEAD_HALF_HEIGHT = 1.08


def float32(values: ArrayLike) -> FloatArray:
    """Numbers as a float32 array."""
    return np.asarray(values, np.float32)


def curve(points: ArrayLike, samples: int = 8, closed: bool = True) -> FloatArray:
    """A uniform Catmull-Rom spline through points [n, 2 or 3], `samples` per segment."""
    knots = np.asarray(points, np.float32)
    if closed:
        padded = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    p0, p1, p2, p3 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, samples, endpoint=False, dtype=np.float32)[:, None, None]
    line = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    flat = line.transpose(1, 0, 2).reshape(-1, knots.shape[1])
    return np.asarray(flat if closed else np.concatenate([flat, knots[-1:]]), np.float32)


def mirrored(half: ArrayLike) -> FloatArray:
    """A closed outline from its right half: the half, then its mirror image backwards."""
    points = np.asarray(half, np.float32)
    flip = np.ones(points.shape[1], np.float32)
    flip[0] = -1
    return np.concatenate([points, (points * flip)[::-1]])


def flipped(points: ArrayLike, side: int) -> FloatArray:
    """Points for the image's right (side 1) or, mirrored, for its left (side -1)."""
    array = np.array(points, np.float32)
    array[:, 0] *= side
    return array


def ellipse(
    centre: tuple[float, float], radii: tuple[float, float], corners: int = 28
) -> FloatArray:
    """A polygon round an ellipse."""
    t = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    points = np.stack([centre[0] + radii[0] * np.cos(t), centre[1] + radii[1] * np.sin(t)], 1)
    return points.astype(np.float32)


def superellipse(
    centre: tuple[float, float], radii: tuple[float, float], squareness: float, corners: int = 44
) -> FloatArray:
    """An ellipse at squareness 1 that nears a rectangle as squareness falls to 0."""
    t = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    cos, sin = np.cos(t), np.sin(t)
    x = np.sign(cos) * np.abs(cos) ** squareness
    y = np.sign(sin) * np.abs(sin) ** squareness
    return np.stack([centre[0] + radii[0] * x, centre[1] + radii[1] * y], 1).astype(np.float32)


def stroke(points: ArrayLike, width: float, tapered: bool = True) -> FloatArray:
    """The outline of a brush stroke along an open curve, thin at its ends when tapered."""
    line = curve(points, 6, closed=False)
    t = np.linspace(0.02, 0.98, len(line))
    breadth = width * (np.sin(np.pi * t) ** 0.6 if tapered else np.ones(len(line)))
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-6
    across = np.stack([-along[:, 1], along[:, 0]], 1) * breadth[:, None] / 2
    return np.concatenate([line + across, (line - across)[::-1]]).astype(np.float32)


@dataclass(frozen=True)
class Frame:
    """Where a head stands in a picture and how it is turned (radians), weak perspective."""

    centre_x: float
    centre_y: float
    unit: float
    yaw: float
    pitch: float
    roll: float
    half_width: float

    def project(
        self, points: ArrayLike, depth: ArrayLike | None = None, lift: float = 0.0
    ) -> FloatArray:
        """Head coordinates [n, 2] to pixels [n, 2].

        depth: z of the points; None puts them on the head's ellipsoid, `lift` in front of it.
        """
        flat = np.asarray(points, np.float32).reshape(-1, 2)
        x, y = flat[:, 0], flat[:, 1]
        if depth is None:
            inside = 1 - (x / self.half_width) ** 2 - (y / HEAD_HALF_HEIGHT) ** 2
            z = HEAD_DEPTH * np.sqrt(np.clip(inside, 0, 1)) + lift
        else:
            z = np.asarray(depth, np.float32)
        turned_x = x * math.cos(self.yaw) + z * math.sin(self.yaw)
        turned_z = z * math.cos(self.yaw) - x * math.sin(self.yaw)
        nodded_y = y * math.cos(self.pitch) - turned_z * math.sin(self.pitch)
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        pixels = np.stack(
            [
                self.centre_x + self.unit * (turned_x * cos - nodded_y * sin),
                self.centre_y + self.unit * (turned_x * sin + nodded_y * cos),
            ],
            1,
        )
        return pixels.astype(np.float32)
