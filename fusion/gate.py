"""The identity gate: pictures that are not like enough are drawn again, otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fusion.resolved import MAX_IDENTITY_SCALE, ResolvedRequest

SEED_STRIDE: Final = 1_000_003  # a prime far above any count, so that no two drawings share a seed


@dataclass(frozen=True)
class Attempt:
    """One round of drawing. number: counted from 1; identity_scale: of all its pictures."""

    number: int
    first_seed: int
    identity_scale: float

    def seed(self, index: int) -> int:
        """Of picture `index`, counted from 0."""
        return self.first_seed + index


def attempts(request: ResolvedRequest, scale_growth: float) -> tuple[Attempt, ...]:
    """The rounds a request may take: one, and with a gate max_retries more.

    Each further round has other seeds and an identity scale greater by scale_growth times what was
    asked, up to MAX_IDENTITY_SCALE.
    """
    rounds = request.max_retries + 1 if request.gated else 1
    return tuple(
        Attempt(
            number=number + 1,
            first_seed=request.seed + number * SEED_STRIDE,
            identity_scale=min(
                request.identity_scale * (1 + number * scale_growth), MAX_IDENTITY_SCALE
            ),
        )
        for number in range(rounds)
    )
