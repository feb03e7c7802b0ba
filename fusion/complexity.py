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
_NEAR: Final = 2  # steps more or fewer than wished


@dataclass(frozen=True)
class StepSettings:
    """What steps="auto" makes of the measures.

    least: what a drawing asks for whatever is said of it; openness, detail: what each adds when it
    is full. Shares of the way from the fewest steps to the most; more than all of it is all of it.
    """

    least: float = 0.2
    openness: float = 0.9
    detail: float = 0.2

    def __post_init__(self) -> None:
        if min(self.least, self.openness, self.detail) < 0:
            raise ValueError(f"{self}: shares are not negative")


@dataclass(frozen=True)
class Complexity:
    """A request's measures, 0 to 1 each.

    openness: of what the words leave open; strength: of how much is drawn anew, all of a free
    portrait; detail: of the target under its mask, None where there is no target.
    """

    openness: float
    strength: float = 1.0
    detail: float | None = None

    def weighted(self, settings: StepSettings) -> float:
        """All of them as one number, 0 to 1. A small change settles twice: it begins with less
        noise, and it is the target that says what it becomes.
        """
        asked = settings.least + settings.openness * self.openness
        asked += settings.detail * (self.detail or 0.0)
        return self.strength**2 * min(asked, 1.0)

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
    """How many steps, from fewest to most, and why.

    With a target only the last int(steps · strength) are done: near the wished number one is taken
    whose share is nearest to the strength that was asked for.
    """
    share = complexity.weighted(settings)
    wished = round(fewest + (most - fewest) * share)
    near = range(max(wished - _NEAR, fewest), min(wished + _NEAR, most) + 1)
    steps = min(near, key=lambda n: (_lost(n, complexity.strength), abs(n - wished)))
    return steps, f"steps: {steps} of {fewest} to {most}, complexity {share:.2f} ({complexity})"


def _lost(steps: int, strength: float) -> float:
    """How much less than `strength` is drawn anew, in hundredths."""
    return round(100 * (strength - int(steps * strength) / steps))
