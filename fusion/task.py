"""The task token: the immutable state packet that travels through the stages."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field, replace
from enum import StrEnum

from fusion.errors import InvalidRequest
from fusion.trace import Stage, Trace


class Role(StrEnum):
    """What a reference is for."""

    IDENTITY = "identity"
    TARGET = "target"
    MASK = "mask"


class TaskState(StrEnum):
    """Where a task is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to the task any more."""
        return self not in (TaskState.QUEUED, TaskState.RUNNING)


@dataclass(frozen=True)
class Reference:
    """A picture or an embedding by name and content, never the thing itself.

    name: how messages call it; digest: of its content, empty until it was read.
    """

    role: Role
    name: str
    digest: str = ""


@dataclass(frozen=True)
class FusionTask:
    """What travels: references, the operations to do, state, trace, time to live.

    created: seconds since the epoch; ttl_seconds: how long the task may wait to be started.
    namespace: whose task it is: what is remembered of it, others do not share; "" is everyone's.
    """

    id: str
    references: tuple[Reference, ...]
    operations: tuple[Stage, ...]
    created: float
    ttl_seconds: float
    state: TaskState = TaskState.QUEUED
    trace: Trace = field(default_factory=Trace)
    namespace: str = ""

    @classmethod
    def new(
        cls,
        references: tuple[Reference, ...],
        operations: tuple[Stage, ...],
        ttl_seconds: float,
        *,
        namespace: str = "",
        task_id: str | None = None,
    ) -> FusionTask:
        """A queued task, created now. task_id: None for one that nobody else has.

        Raises InvalidRequest for an id that says nothing.
        """
        if task_id is not None and not task_id.strip():
            raise InvalidRequest("task_id is empty: give a name of your own, or leave it out")
        return cls(
            id=uuid.uuid4().hex if task_id is None else task_id,
            references=references,
            operations=operations,
            created=time.time(),
            ttl_seconds=ttl_seconds,
            namespace=namespace,
        )

    def now(self, state: TaskState) -> FusionTask:
        """The task in another state. Raises ValueError if its life has ended."""
        if self.state.ended:
            raise ValueError(f"task {self.id} is {self.state}, it cannot become {state}")
        return replace(self, state=state)

    def referring(self, references: tuple[Reference, ...]) -> FusionTask:
        """The task with its references resolved to content."""
        return replace(self, references=references)

    def traced(self, trace: Trace) -> FusionTask:
        """The task with what has happened to it so far."""
        return replace(self, trace=trace)

    def expired(self, at: float) -> bool:
        """Whether at that time (seconds since the epoch) the task has outlived its ttl."""
        return at - self.created > self.ttl_seconds
