"""Under pressure a request gets less, in a stated order, and says so; with room, all of it again.

Plain numbers here: what memory and queue hold is measured by the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from fusion.resolved import SIDE_MULTIPLE_PIXELS, SMALLEST_SIDE_PIXELS, ResolvedRequest

FEWEST_STEPS: Final = 8


class Pressure(IntEnum):
    """How much less a request gets; each level includes those below it."""

    NONE = 0
    SIZE = 1  # smaller free portraits
    STEPS = 2  # fewer steps
    STAGES = 3  # no previews, no look at the result and no second drawing


Thresholds = tuple[float, float, float]  # shares in use from which SIZE, STEPS, STAGES hold


@dataclass(frozen=True)
class PressureSettings:
    """When requests get less, and how much less.

    memory: of the device, or of the machine where there is no GPU. queue: of the requests that may
    wait; None (the default) never, so that a batch job gets what it asks for: a service that would
    rather answer soon gives thresholds. recovery: by how much a share must fall under a threshold
    before its level ends. size, steps: what is left of a side and of the steps.
    """

    memory: Thresholds | None = (0.90, 0.94, 0.97)
    queue: Thresholds | None = None
    recovery: float = 0.05
    size: float = 0.75
    steps: float = 0.6

    def __post_init__(self) -> None:
        if self.recovery < 0:
            raise ValueError(f"recovery is {self.recovery}: not negative")
        for name in ("memory", "queue"):
            given: Thresholds | None = getattr(self, name)
            if given is None:
                continue
            if list(given) != sorted(given) or given[-1] > 1 or given[0] <= self.recovery:
                raise ValueError(
                    f"{name} is {given}: three rising shares up to 1, over recovery "
                    f"({self.recovery:g}), or no level would ever end"
                )
        for name in ("size", "steps"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: a share over 0 up to 1")


@dataclass(frozen=True)
class Load:
    """What is in use: shares of memory and of the queue, 0 to 1."""

    memory: float = 0.0
    queue: float = 0.0


class PressurePolicy:
    """The level in force. It rises at once, and falls when its cause has clearly passed."""

    def __init__(self, settings: PressureSettings | None = None) -> None:
        self.settings = settings or PressureSettings()
        self.level = Pressure.NONE

    def look(self, load: Load) -> Pressure:
        """The level for the next request, as things are now."""
        risen = self._level(load, 0.0)
        held = self._level(load, self.settings.recovery)
        self.level = max(risen, min(self.level, held))
        return self.level

    def _level(self, load: Load, margin: float) -> Pressure:
        shares = ((load.memory, self.settings.memory), (load.queue, self.settings.queue))
        reached = [
            sum(share >= threshold - margin for threshold in thresholds)
            for share, thresholds in shares
            if thresholds is not None
        ]
        return Pressure(max(reached, default=0))


@dataclass(frozen=True)
class Relief:
    """A request as it is drawn under pressure. downgrades: what it lost, in words."""

    request: ResolvedRequest
    downgrades: tuple[str, ...]


def relieve(
    request: ResolvedRequest, level: Pressure, load: Load, settings: PressureSettings
) -> Relief:
    """The request with what its level leaves of it; at Pressure.NONE the request itself."""
    if level is Pressure.NONE:
        return Relief(request, ())
    cause = f"memory is {load.memory:.0%} full, the queue {load.queue:.0%}"
    downgrades = []
    if not request.fuses:  # a fusion is drawn at the model's own size
        width, height = (_smaller(side, settings.size) for side in request.size)
        if (width, height) != request.size:
            asked = f"{request.size[0]}×{request.size[1]}"
            downgrades.append(f"size: {width}×{height} instead of {asked}, for {cause}")
            request = replace(request, size=(width, height))
    if level >= Pressure.STEPS:
        steps = max(round(request.steps * settings.steps), min(FEWEST_STEPS, request.steps))
        if steps < request.steps:
            downgrades.append(f"steps: {steps} instead of {request.steps}, for {cause}")
            request = replace(request, steps=steps)
    if level >= Pressure.STAGES:
        left_out = [
            name
            for name, wanted in (
                ("the look at the result", request.verify),
                ("second drawings", request.gated),
                ("previews", request.previews > 0),
            )
            if wanted
        ]
        if left_out:
            downgrades.append(f"left out: {', '.join(left_out)}, for {cause}")
            request = request.unverified()
    return Relief(request, tuple(downgrades))


def _smaller(side: int, share: float) -> int:
    """A side of the share, on the grid that can be drawn, and never larger than it was."""
    wanted = round(side * share / SIDE_MULTIPLE_PIXELS) * SIDE_MULTIPLE_PIXELS
    return min(side, max(wanted, SMALLEST_SIDE_PIXELS))
