"""After the last step: the result of a request, with a plain account of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusion.drawing import DrawingSpent
from fusion.gate import Attempt
from fusion.ground import Ground
from fusion.memory import peak_device_bytes, peak_resident_bytes
from fusion.resolved import ResolvedRequest
from fusion.result import FusionResult, IdentitySimilarity, PictureReport
from fusion.source import ModelSource
from fusion.stages.verify import Verified
from fusion.task import FusionTask, TaskState
from fusion.trace import Trace
from fusion.usage import Usage, added, whole

_NEAR_SIZE = 1.6  # times a model's own side, or its share


@dataclass(frozen=True)
class Candidate:
    """A picture as drawn in one attempt: uint8 [height, width, 3]. look: None if nobody looked."""

    pixels: NDArray[np.uint8]
    seed: int
    attempt: Attempt
    look: Verified | None

    @property
    def score(self) -> float:
        """Likeness to the wished face; the least there is where no face was seen."""
        if self.look is None or not self.look.face_found:
            return -1.0
        return self.look.wished


def account_of(
    best: Sequence[Candidate],
    tried: Sequence[int],
    *,
    resolved: ResolvedRequest,
    ground: Ground,
    spent: Sequence[DrawingSpent],
    warnings: Sequence[str],
    task: FusionTask,
    trace: Trace,
    source: ModelSource,
    connections: int,
) -> FusionResult:
    """The result. best: of each picture; tried: how often each was drawn; spent: by attempt;
    connections: opened by the engine's threads meanwhile.
    """
    return FusionResult(
        images=tuple(Image.fromarray(one.pixels) for one in best),
        pictures=tuple(
            _report(one, times, resolved) for one, times in zip(best, tried, strict=True)
        ),
        plan=ground.plan,
        usage=_usage(len(best), sum(tried), ground, spent, trace, connections),
        trace=trace,
        warnings=(
            *warnings,
            *_unusual_size(resolved, source.defaults.size),
            *_warnings(best, tried, resolved),
        ),
        request=resolved,
        task=task.traced(trace).now(TaskState.DONE),
        model=source.name,
        model_digest=source.digest,
    )


def _usage(
    images: int,
    drawings: int,
    ground: Ground,
    spent: Sequence[DrawingSpent],
    trace: Trace,
    connections: int,
) -> Usage:
    seconds = trace.seconds_by_stage()
    conditioned = ground.conditioned
    return Usage(
        images=images,
        attempts=drawings,
        steps=spent[0].steps,
        tokens=ground.plan.tokens,
        baseline_tokens=ground.plan.baseline_tokens,
        positions_computed=sum(text.computed for text in conditioned.encoded),
        positions_reused=sum(text.reused for text in conditioned.encoded),
        projections_computed=conditioned.projections_computed,
        projections_reused=conditioned.projections_reused,
        denoiser_evaluations=sum(one.evaluations for one in spent),
        shallow_evaluations=sum(one.shallow_evaluations for one in spent),
        denoiser_seconds=whole(sum(one.busy_seconds for one in spent)),
        faces_analysed=ground.analysed.analysed,
        faces_reused=ground.analysed.reused,
        seconds=whole(sum(seconds.values())),
        seconds_by_stage=seconds,
        cpu_seconds_by_stage=trace.cpu_seconds_by_stage(),
        connections=connections,
        peak_memory_bytes=peak_resident_bytes(),
        peak_device_bytes=peak_device_bytes(ground.drawer.device),
        energy_millijoules=added(one.energy_millijoules for one in spent),
    )


def _unusual_size(resolved: ResolvedRequest, own: tuple[int, int]) -> list[str]:
    """A model draws what it has not learnt to: several heads, or a face nobody knows."""
    (width, height), (usual_width, usual_height) = resolved.size, own
    apart = (width / usual_width, height / usual_height)
    if resolved.fuses or max(*apart, *(1 / share for share in apart)) < _NEAR_SIZE:
        return []
    return [
        f"drawn at {width}×{height}, and this model learnt {usual_width}×{usual_height}: look at "
        "it, or draw at its own size and enlarge that"
    ]


def _warnings(
    best: Sequence[Candidate], tried: Sequence[int], resolved: ResolvedRequest
) -> list[str]:
    warnings = []
    least = resolved.min_identity
    for number, (picture, times) in enumerate(zip(best, tried, strict=True), 1):
        if picture.look is not None and not picture.look.face_found:
            warnings.append(f"picture {number}: no face was found in it")
        if resolved.gated and picture.look is None:
            warnings.append(
                f"picture {number}: it could not be verified, {least:.2f} was asked for"
            )
        elif resolved.gated and picture.score < least:
            warnings.append(
                f"picture {number}: identity {max(picture.score, 0):.2f} after {times} "
                f"attempts, {least:.2f} was asked for"
            )
    return warnings


def _report(picture: Candidate, tried: int, resolved: ResolvedRequest) -> PictureReport:
    look = picture.look
    similarity: tuple[IdentitySimilarity, ...] = ()
    if look is not None and resolved.identities:
        similarity = tuple(
            IdentitySimilarity(identity.name, identity.weight, cosine)
            for identity, cosine in zip(resolved.identities, look.parts, strict=True)
        )
    return PictureReport(
        seed=picture.seed,
        identity_scale=picture.attempt.identity_scale,
        attempts=tried,
        verified=look is not None,
        face_found=look is not None and look.face_found,
        wished_cosine=0.0 if look is None else look.wished,
        similarity=similarity,
    )
