"""Stage by stage: how long, how busy the processors were, what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eval.costs.tally import Tally
from fusion import ITEMS, Stage

TIME: Final = "time."
CPU: Final = "cpu."
WHOLE: Final = ""  # what belongs to no stage
_STAGE_OF: Final = {
    "tokens": Stage.PROMPT,
    "baseline_tokens": Stage.PROMPT,
    "positions_computed": Stage.CONDITION,
    "positions_reused": Stage.CONDITION,
    "projections_computed": Stage.CONDITION,
    "projections_reused": Stage.CONDITION,
    "faces_analysed": Stage.ANALYSE,
    "faces_reused": Stage.ANALYSE,
    "denoiser_evaluations": Stage.DENOISE,
    "shallow_evaluations": Stage.DENOISE,
    "denoiser_time": Stage.DENOISE,
    "energy": Stage.DENOISE,
}


@dataclass(frozen=True)
class StageRow:
    """nanoseconds: that passed; cpu: that processors worked meanwhile, for the whole process.

    share: of the time of all stages; cost: nano-units by currency, of all that belongs to it.
    """

    stage: str
    nanoseconds: int
    cpu: int
    share: float
    cost: dict[str, int]

    def cpu_share(self, cores: int) -> float | None:
        """Of so many processors, at most 1. None: no time passed, or not all of it is the stage's,
        for what else the process did meanwhile is counted, too.
        """
        possible = self.nanoseconds * cores
        return self.cpu / possible if possible and self.cpu <= possible else None


def stage_of(item: str) -> str:
    """The stage an item belongs to, WHOLE for pictures, bytes and peaks."""
    for prefix in (TIME, CPU):
        if item.startswith(prefix):
            return item.removeprefix(prefix)
    return str(_STAGE_OF.get(item, WHOLE))


def stages_of(tally: Tally) -> tuple[StageRow, ...]:
    """A row for each stage that was visited or cost something, and one for what has no stage where
    that cost something: the costs add up to the tally's.
    """
    times = {str(stage): tally.quantity(TIME + stage) for stage in Stage}
    whole = sum(times.values()) or 1
    rows = []
    for stage in (*map(str, Stage), WHOLE):
        names = {item for item in ITEMS if stage_of(item) == stage}
        cost = tally.cost(lambda item, _, names=names: item in names)  # type: ignore[misc]
        passed = times.get(stage, 0)
        if passed or any(cost.values()):
            cpu = tally.quantity(CPU + stage) if stage else 0
            rows.append(StageRow(stage, passed, cpu, passed / whole, cost))
    return tuple(rows)
