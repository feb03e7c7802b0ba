"""A request in the engine's hands, and how busy the engine is."""

from __future__ import annotations

import time
from dataclasses import dataclass

from fusion.errors import FusionCancelled, TaskExpired
from fusion.progress import Handle
from fusion.request import FusionRequest
from fusion.resolved import ResolvedRequest
from fusion.run import Run
from fusion.stages.photos import references_of
from fusion.task import FusionTask, TaskState
from fusion.trace import Stage


@dataclass(frozen=True, eq=False)
class Job:
    """What the engine keeps of a request from its submission to its end."""

    handle: Handle
    run: Run


@dataclass(frozen=True)
class Occupancy:
    """How busy an engine is at one moment.

    waiting: requests in the queue; active: those in work, from their photos to their result; rows:
    pictures in the denoising loop, each a row of its batches.
    """

    waiting: int
    active: int
    rows: int


def task_of(
    request: FusionRequest,
    resolved: ResolvedRequest,
    ttl_seconds: float,
    namespace: str,
    task_id: str | None,
) -> FusionTask:
    """A request's queued task. Raises InvalidRequest for an empty id."""
    return FusionTask.new(
        references_of(request),
        _operations(resolved),
        ttl_seconds,
        namespace=namespace,
        task_id=task_id,
    )


def check_age(handle: Handle) -> None:
    """Raises FusionCancelled, and TaskExpired for a request that waited longer than it may."""
    handle.check()
    if handle.task.expired(time.time()):
        raise TaskExpired(
            f"request {handle.task.id} waited longer than {handle.task.ttl_seconds:g} seconds: "
            "submit it again"
        )


def state_after(error: BaseException) -> TaskState:
    """What has become of a task that was ended by an error."""
    if isinstance(error, FusionCancelled):
        return TaskState.CANCELLED
    return TaskState.EXPIRED if isinstance(error, TaskExpired) else TaskState.FAILED


def _operations(resolved: ResolvedRequest) -> tuple[Stage, ...]:
    """The stages this request goes through."""
    left_out = {Stage.LOAD}
    if not resolved.fuses:
        left_out.add(Stage.COMPOSE)
    if not resolved.verify:
        left_out.add(Stage.VERIFY)
    return tuple(stage for stage in Stage if stage not in left_out)
