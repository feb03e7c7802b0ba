"""Fast mode: fewer and cheaper evaluations of the denoiser, at a cost that is measured.

Two approximations, each a decision of the row alone, so that a picture stays independent of its
batch mates: deep features are taken from an earlier step (DeepCache, arXiv:2312.00858), and late
steps may go without guidance (T-GATE, arXiv:2404.02747). benchmarks/approximations.py measures what
they cost in PSNR, identity and attributes; guidance is kept by default, for leaving it out cost
more identity than it saved time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FastSettings:
    """How much is approximated.

    interval: one step of so many computes the deep features, the others take them over. exact_first
    and exact_last: steps at the beginning and the end that compute everything. guided_until: the
    share of the drawing after which guidance is off.
    """

    interval: int = 3
    exact_first: int = 2
    exact_last: int = 0
    guided_until: float = 1.0

    def __post_init__(self) -> None:
        if self.interval < 1 or self.exact_first < 1 or self.exact_last < 0:
            raise ValueError(
                f"{self}: interval and exact_first are 1 or more, exact_last 0 or more"
            )
        if not 0 <= self.guided_until <= 1:
            raise ValueError(f"guided_until is {self.guided_until}: a share is from 0 to 1")

    def whole(self, position: int, steps: int) -> bool:
        """Whether step `position` of so many, counted from 0, computes the deep features."""
        if position < self.exact_first or position >= steps - self.exact_last:
            return True
        return (position - self.exact_first + 1) % self.interval == 0


EXACT = FastSettings(interval=1, guided_until=1.0)
