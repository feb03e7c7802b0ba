"""Steps that fit: how much a request asks of the drawing, measured, and how many steps that takes.

What was measured on the mini bundle (benchmarks/steps.py): the more of a target stays, the fewer
steps a picture needs; and the more words say, the fewer, for they settle early what it becomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# Where a measure counts as full: a prompt of so many tokens leaves nothing open; edges as strong as
# this all over the head.
MANY_TOKENS: Final = 24
STRONG_EDGES: Final = 24.0  # grey levels per pixel, on average


@dataclass(frozen=True)
class StepSettings:
    """What each measure counts for steps="auto", in any unit.

    openness: of what the words leave open; strength: of how much is drawn anew; detail: of the
    target under its mask. A free portrait has no target: all of it is drawn anew.
    """

    openness: float = 1.0
    strength: float = 2.0
    detail: float = 1.0

    def __post_init__(self) -> None:
        if min(self.openness, self.strength, self.detail) < 0 or not self.openness + self.strength:
            raise ValueError(f"{self}: weights are not negative, nor all of them 0")


@dataclass(frozen=True)
class Complexity:
    """A request's measures, 0 to 1 each. detail: None where there is no target."""

    openness: float
    strength: float = 1.0
    detail: float | None = None

    def weighted(self, settings: StepSettings) -> float:
        """All of them as one number, 0 to 1."""
        parts = [(self.openness, settings.openness), (self.strength, settings.strength)]
        if self.detail is not None:
            parts.append((self.detail, settings.detail))
        return sum(value * weight for value, weight in parts) / sum(weight for _, weight in parts)

    def __str__(self) -> str:
        measures = f"openness {self.openness:.2f}, strength {self.strength:.2f}"
        return measures if self.detail is None else f"{measures}, detail {self.detail:.2f}"


def openness(tokens: int) -> float:
    """What a prompt of so many tokens leaves open, 1 to 0."""
    return 1 - min(tokens / MANY_TOKENS, 1.0)


def detail(picture: NDArray[np.uint8], mask: NDArray[np.float32]) -> float:
    """Of what lies under the mask: its mean edge strength by Scharr's operator, 0 to 1.

    picture: uint8 [height, width, 3]; mask: float [height, width].
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = (cv2.Scharr(grey, cv2.CV_32F, *axis) / 32 for axis in ((1, 0), (0, 1)))
    weight = float(mask.sum())
    if weight <= 0:
        return 0.0
    return min(float((np.hypot(across, down) * mask).sum()) / weight / STRONG_EDGES, 1.0)


def choose_steps(
    complexity: Complexity, fewest: int, most: int, settings: StepSettings
) -> tuple[int, str]:
    """How many steps, from fewest to most, and why."""
    share = complexity.weighted(settings)
    steps = round(fewest + (most - fewest) * share)
    return steps, f"steps: {steps} of {fewest} to {most}, complexity {share:.2f} ({complexity})"
