"""The way of requests through an engine: taken in, begun in their turn, drawn together, ended."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self

from fusion.bookkeeping import Bookkeeper
from fusion.errors import EngineBusy, EngineClosed, FusionCancelled
from fusion.job import Job, Occupancy, check_age, state_after, task_of
from fusion.loop import StepLoop
from fusion.pressure import PressurePolicy
from fusion.progress import ENDING, Handle
from fusion.request import FusionRequest
from fusion.resolved import ResolvedRequest
from fusion.result import FusionResult
from fusion.run import Run
from fusion.settings import EngineSettings
from fusion.shared import Shared
from fusion.task import FusionTask, TaskState
from fusion.worker import Worker
from models import release_team, single_threaded


class RequestQueue(ABC):
    """Requests wait in a bounded queue, are begun in order, and share one denoising loop."""

    def __init__(self, shared: Shared, settings: EngineSettings, books: Bookkeeper) -> None:
        self._shared = shared
        self._books = books
        self._settings = settings
        self._pressure = PressurePolicy(settings.pressure)
        self._preparer = Worker("limner-prepare", self._beside)
        self._loop = StepLoop(
            lambda: shared.source.drawer().denoiser, settings.largest_batch, shared.connections.here
        )
        self._finisher = Worker("limner-finish", self._beside)
        self._waiting: deque[Job] = deque()
        self._active: dict[Job, None] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._encoding = threading.Lock()  # held by who encodes outside of requests
        self._ahead: frozenset[Job] | None = None  # what who wants to be alone waits for, if any
        self._alone_in: threading.Thread | None = None

    @abstractmethod
    def resolve(self, request: FusionRequest) -> ResolvedRequest:
        """The request with every question answered. Raises what is wrong with it."""

    @property
    def occupancy(self) -> Occupancy:
        """How busy it is right now."""
        with self._changed:
            active = sum(not job.handle.done() for job in self._active)
            return Occupancy(len(self._waiting), active, self._loop.rows)

    def close(self, cancel: bool = False) -> None:
        """Take no more requests and wait for those there are. cancel: stop them first."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            jobs = [*self._waiting, *self._active]
        if cancel:
            for job in jobs:
                job.handle.cancel()
        if self._needs_this_thread():
            return
        with self._changed:
            self._changed.wait_for(
                lambda: not self._waiting and not self._active and self._ahead is None
            )
        for worker in self._workers:
            worker.join()
        self._release()

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Within it no request is at work, and none begins: those that come meanwhile wait in the
        queue. Raises EngineBusy where the thread that asks would wait for itself.
        """
        if self._needs_this_thread():
            raise EngineBusy(f"requests wait for this thread: {what} from another thread")
        with self._encoding:  # which keeps others out as well
            with self._changed:
                self._ahead = ahead = frozenset((*self._waiting, *self._active))
            try:
                with self._changed:
                    self._changed.wait_for(
                        lambda: ahead.isdisjoint((*self._waiting, *self._active))
                    )
                self._alone_in = threading.current_thread()
                yield
            finally:
                self._alone_in = None
                with self._changed:
                    self._ahead = None
                    self._changed.notify_all()

    @property
    def _workers(self) -> tuple[Worker, StepLoop, Worker]:
        return self._preparer, self._loop, self._finisher

    def _needs_this_thread(self) -> bool:
        """Whether requests cannot come to their end while this thread waits for them."""
        ours = any(worker.is_current for worker in self._workers)
        return ours or self._alone_in is threading.current_thread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(cancel=error is not None)

    def _enqueue(
        self, request: FusionRequest, namespace: str, task_id: str | None, *, wait: bool
    ) -> Handle:
        resolved = self.resolve(request)
        task = task_of(request, resolved, self._settings.ttl_seconds, namespace, task_id)
        self._books.opened(task, resolved)
        try:
            return self._queued(request, resolved, task, wait)
        except BaseException:
            self._books.refused(task)
            raise

    def _queued(
        self, request: FusionRequest, resolved: ResolvedRequest, task: FusionTask, wait: bool
    ) -> Handle:
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._closed or not self._full())
            if self._closed:
                raise EngineClosed("this engine was closed: load another")
            if self._full():
                raise EngineBusy(
                    f"{len(self._waiting)} requests are waiting already: try again in a while"
                )
            handle = Handle(task, on_cancel=lambda: self._withdraw(handle))
            job = Job(handle, Run(request, resolved, handle, self._shared))
            self._preparer.put(self._begin_next)  # which waits for the lock
            self._waiting.append(job)
        release_team()  # of who asks: the loop is to have the only one
        return handle

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """What threads beside the loop work in."""
        with single_threaded(), self._shared.connections.here():
            yield

    def _release(self) -> None:
        self._shared.source.release()
        self._shared.prompts.release()

    def _full(self) -> bool:
        return len(self._waiting) >= self._settings.capacity

    def _queue_share(self) -> float:
        with self._changed:
            return len(self._waiting) / max(self._settings.capacity, 1)

    def _withdraw(self, handle: Handle) -> None:
        """A request that was cancelled while it waited ends at once."""
        with self._changed:
            found = [job for job in self._waiting if job.handle is handle]
            for job in found:
                self._waiting.remove(job)
                self._active[job] = None  # until it has ended
            self._changed.notify_all()
        for job in found:
            self._end(job, FusionCancelled(f"request {handle.task.id} was cancelled"))

    def _has_room(self) -> bool:
        """Whether the request that waits longest may begin."""
        if self._ahead is not None and self._waiting[0] not in self._ahead:
            return False  # someone is alone, or will be before it
        return len(self._active) < self._settings.active_requests

    def _begin_next(self) -> None:
        """Begin the request that waits longest, once there is room for it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._has_room())
            if not self._waiting:
                return  # it was cancelled
            job = self._waiting.popleft()
            self._active[job] = None
            self._changed.notify_all()
        try:
            check_age(job.handle)
            job.handle.advance(job.handle.task.now(TaskState.RUNNING))
            drawing = job.run.prepare(
                partial(self._drawn, job), self._pressure, self._queue_share, self._finisher
            )
            self._loop.admit(drawing)
        except BaseException as error:
            self._end(job, error)

    def _drawn(self, job: Job, error: BaseException | None) -> None:
        """The loop has let go of a drawing; the rest is not its business."""
        self._finisher.put(partial(self._finish, job, error))

    def _finish(self, job: Job, error: BaseException | None) -> None:
        try:
            if error is not None:
                raise error
            drawing = job.run.finish()
            if drawing is not None:
                self._loop.admit(drawing)
                return
            result = job.run.result()
        except BaseException as failure:
            self._end(job, failure)
        else:
            self._end(job, result=result)

    def _end(
        self, job: Job, error: BaseException | None = None, result: FusionResult | None = None
    ) -> None:
        """Whatever became of a request, its handle ends, and what it pinned is free."""
        handle = job.handle
        job.run.close()
        try:
            if result is not None:
                result = self._books.done(result)
                handle.end(result.task, ENDING[TaskState.DONE], result=result)
            elif error is not None:
                state = state_after(error)
                self._books.ended(handle, state)
                handle.end(handle.task.now(state), ENDING[state], error=error)
        finally:  # a listener was interrupted
            with self._changed:
                self._active.pop(job, None)
                self._changed.notify_all()
