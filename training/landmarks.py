"""Landmarks as wrong as a detector's, so that what is trained on them forgives it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def jitter_landmarks(
    landmarks: NDArray[np.floating], rng: np.random.Generator, relative_error: float
) -> NDArray[np.float64]:
    """Landmarks as a detector would report them: each point off by a Gaussian error.

    relative_error: the largest standard deviation, in eye distances; the one used is drawn.
    """
    points = np.asarray(landmarks, np.float64)
    eye_distance = float(np.linalg.norm(points[1] - points[0]))
    deviation = eye_distance * relative_error * rng.random()
    return points + rng.normal(0.0, 1.0, points.shape) * deviation
