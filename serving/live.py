"""A job that is in this server's hands."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from fusion import FusionRequest, Handle
from serving.feed import Feed
from serving.jobs import Job
from serving.packet import PacketRecord, PacketTask


@dataclass(eq=False)
class Live:
    """A job in this server's hands. request: None until it is read from the database."""

    job: Job
    request: FusionRequest | None
    feed: Feed = field(init=False)
    handle: Handle | None = None
    cancelled: bool = False
    client_left: bool = False
    written: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)  # of what is written
    earlier: tuple[PacketRecord, ...] = ()  # what a server before us has left

    def __post_init__(self) -> None:
        self.feed = Feed(self.job.packet)
        self.earlier = self.job.packet.task.trace

    def task_of(self, handle: Handle) -> PacketTask:
        """The engine's task, after what was done before this try."""
        task, created = PacketTask.of(handle.task), self.job.packet.task.created
        return task.model_copy(update={"trace": (*self.earlier, *task.trace), "created": created})
