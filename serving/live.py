"""A job that is in this server's hands."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace

from fusion import FusionRequest, FusionTask, Handle, StageRecord, Trace
from serving.feed import Feed
from serving.jobs import Job


@dataclass(eq=False)
class Live:
    """A job in this server's hands. request: None until it is read from the database. booked:
    whether its take is known to be open in the ledger.
    """

    job: Job
    request: FusionRequest | None
    booked: bool = False
    feed: Feed = field(init=False)
    handle: Handle | None = None
    cancelled: bool = False
    client_left: bool = False
    written: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)  # of what is written
    earlier: tuple[StageRecord, ...] = ()  # what a server before us has left

    def __post_init__(self) -> None:
        self.feed = Feed(self.job.packet)
        self.earlier = self.job.packet.task.trace.records

    def task_of(self, handle: Handle) -> FusionTask:
        """The engine's task, after what was done before this try."""
        task = handle.task
        return replace(
            task,
            trace=Trace((*self.earlier, *task.trace.records)),
            created=self.job.packet.task.created,
        )
