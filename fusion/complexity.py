"""Steps that fit: how complex a request is, measured, and how many steps that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# Where a measure counts as full: a prompt of so many tokens; edges this strong all over the head.
MANY_TOKENS: Final = 24
STRONG_EDGES: Final = 24.0  # grey levels per pixel, on average


@dataclass(frozen=True)
class StepSettings:
    """What each measure counts for steps="auto"; shares of what is measured, summing to any total.

    words: of the prompt's length; detail: of the target under its mask; strength: of how much is
    drawn anew. A free portrait has no target, so only its words count.
    """

    words: float = 1.0
    detail: float = 1.0
    strength: float = 1.0


@dataclass(frozen=True)
class Complexity:
    """A request's measures, 0 to 1 each; None where there is no target."""

    words: float
    detail: float | None = None
    strength: float | None = None

    def weighted(self, settings: StepSettings) -> float:
        """All of them as one number, 0 to 1."""
        parts = [(self.words, settings.words)]
        if self.detail is not None:
            parts.append((self.detail, settings.detail))
        if self.strength is not None:
            parts.append((self.strength, settings.strength))
        total = sum(weight for _, weight in parts)
        return sum(value * weight for value, weight in parts) / total if total > 0 else 1.0


def words_complexity(tokens: int) -> float:
    """Of a prompt of so many tokens."""
    return min(tokens / MANY_TOKENS, 1.0)


def detail_complexity(picture: NDArray[np.uint8], mask: NDArray[np.float32]) -> float:
    """Of what lies under the mask: its mean edge strength, by Scharr's operator.

    picture: uint8 [height, width, 3]; mask: float [height, width].
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across = cv2.Scharr(grey, cv2.CV_32F, 1, 0) / 32
    down = cv2.Scharr(grey, cv2.CV_32F, 0, 1) / 32
    weight = float(mask.sum())
    if weight <= 0:
        return 0.0
    edges = float((np.hypot(across, down) * mask).sum()) / weight
    return min(edges / STRONG_EDGES, 1.0)


def choose_steps(
    complexity: Complexity, fewest: int, most: int, settings: StepSettings
) -> tuple[int, str]:
    """How many steps, from fewest to most, and why."""
    share = complexity.weighted(settings)
    steps = round(fewest + (most - fewest) * share)
    measures = [f"words {complexity.words:.2f}"]
    if complexity.detail is not None:
        measures.append(f"detail {complexity.detail:.2f}")
    if complexity.strength is not None:
        measures.append(f"strength {complexity.strength:.2f}")
    reason = f"steps: {steps} of {fewest} to {most}, complexity {share:.2f} ({', '.join(measures)})"
    return steps, reason
