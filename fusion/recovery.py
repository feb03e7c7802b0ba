"""What happens when a stage fails by a fault that is not the user's.

Bad input and cancelled requests are told at once, whatever the policy: to try again would change
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from fusion.errors import FusionCancelled, FusionError
from fusion.trace import Stage
from models import ModelsError
from prompting import PromptingError


@dataclass(frozen=True)
class StagePolicy:
    """How often a stage is tried again, after a pause, and what is done when that did not help.

    then: "report" ends the request with the fault; "skip" goes on without the stage, and says so.
    """

    retries: int = 0
    pause_seconds: float = 0.1
    then: Literal["report", "skip"] = "report"

    def __post_init__(self) -> None:
        if self.retries < 0 or not 0 <= self.pause_seconds <= LONGEST_PAUSE_SECONDS:
            raise ValueError(
                f"{self.retries} retries, {self.pause_seconds:g} seconds apart: give none or more, "
                f"at most {LONGEST_PAUSE_SECONDS:g} seconds apart, for others wait meanwhile"
            )


LONGEST_PAUSE_SECONDS: Final = 5.0
REPORTED: Final = StagePolicy()
DEFAULT_RECOVERY: Final[Mapping[Stage, StagePolicy]] = MappingProxyType(
    {
        Stage.LOAD: StagePolicy(retries=2, pause_seconds=0.25),  # a disk or a network file system
        Stage.DECODE: StagePolicy(retries=1),
        Stage.COMPOSE: StagePolicy(retries=1),
        Stage.VERIFY: StagePolicy(retries=1, then="skip"),
    }
)
"""What an engine does unless it is told otherwise; stages that are not named are reported."""


def check_recovery(recovery: Mapping[Stage, StagePolicy]) -> None:
    """Raises ValueError for a policy that cannot be kept."""
    for stage, policy in recovery.items():
        if stage is Stage.DENOISE and policy != REPORTED:
            raise ValueError("denoise has a recovery of its own, in the loop: leave it out")
        if stage is not Stage.VERIFY and policy.then == "skip":
            raise ValueError(f"{stage} cannot be skipped, a picture needs it: only verify can")


def is_fault(error: Exception) -> bool:
    """Whether an error is neither bad input nor a request's cancelling."""
    return not isinstance(error, FusionError | ModelsError | PromptingError | FusionCancelled)
