"""How long a picture takes, from the ledger's own lines."""

from __future__ import annotations

from pathlib import Path

from eval.costs.errors import PlanRejected
from eval.costs.opening import reading
from eval.costs.plan import Pace
from eval.costs.question import Question
from eval.costs.tally import tallies_of, together
from fusion import Ending, Stage, sums_of

_NANO = 10**9
_WHOLE_PROCESS = (Stage.LOAD, Stage.DENOISE)  # loading is done once, denoising is shared


def read_pace(where: str | Path | None, question: Question, bundle: str | None = None) -> Pace:
    """Of all pictures delivered, or of a bundle's; what was not delivered takes its time, too.

    Raises LedgerMissing, DatabaseUnusable, PlanRejected where nothing was delivered.
    """
    with reading(where) as connection:
        sums = sums_of(
            connection, ("bundle", "ending"),
            since=question.since, until=question.until, tenant=question.tenant,
        )  # fmt: skip
    tallies = tallies_of(sums, ("bundle",))
    known = [one.values[0] for one in tallies]
    if bundle is not None and bundle not in known:
        raise PlanRejected(
            f"the ledger has no requests of bundle {bundle}: it has {', '.join(known) or 'none'}"
        )
    tally = together(one for one in tallies if bundle in (None, one.values[0]))
    pictures = tally.quantity("images", str(Ending.DONE))
    evaluations = tally.quantity("denoiser_evaluations") + tally.quantity("shallow_evaluations")
    if not pictures or not evaluations:
        raise PlanRejected(
            "nothing was delivered that could be measured: give --evaluations, "
            "--evaluation-seconds and --other-seconds"
        )
    other = sum(tally.quantity(f"time.{one}") for one in Stage if one not in _WHOLE_PROCESS)
    return Pace(
        evaluations=evaluations / pictures,
        evaluation_seconds=tally.quantity("denoiser_time") / evaluations / _NANO,
        other_seconds=other / pictures / _NANO,
        pictures=pictures,
        drawings=tally.quantity("attempts", str(Ending.DONE)) / pictures,
    )
