"""Jobs in hand: begun in turn, watched, written down when they end, taken over from the dead."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final

from fusion import (
    Account,
    Engine,
    EngineBusy,
    EngineClosed,
    Event,
    EventKind,
    FusionCancelled,
    FusionRequest,
    TaskState,
)
from serving.books import Books, take_id
from serving.endings import JobEnd, ending_of, given_up
from serving.errors import STORAGE_FAULTS, ServerFault, translate
from serving.fair_queue import FairQueue
from serving.feed import Feed, Outcome
from serving.jobs import GIVEN, Job, JobChanged, JobStore
from serving.live import Live
from serving.orders import fusion_request

log = logging.getLogger("limner.jobs")
WRITE_SECONDS: Final = 1.0  # how often the trace of a job under way is written down
WRITE_TRIES: Final = 4
AGAIN_SECONDS: Final = 0.1
MOST_UNWRITTEN: Final = 256  # endings kept in memory for a database that is away
FINISHERS: Final = 2

Watcher = Callable[[Job, float], None]  # a job that ended, and the seconds since it was accepted


class JobRunner:
    """Keeps the engine fed with jobs, some more than it works on at once. Safe to share."""

    def __init__(
        self,
        engine: Engine,
        store: JobStore,
        books: Books,
        owner: str,
        *,
        at_once: int,
        attempts: int,
        on_end: Watcher,
        on_settled: Callable[[Account], None],
    ) -> None:
        """at_once: jobs given to the engine; attempts: how often a job is begun at most.
        on_settled: told of each take that this server has settled, once.
        """
        self._engine, self._store, self._books, self._owner = engine, store, books, owner
        self._at_once, self._attempts, self._on_end = at_once, attempts, on_end
        self._on_settled = on_settled
        self._live: dict[str, Live] = {}
        self._begun: set[str] = set()
        self._queue: FairQueue[Live] = FairQueue()
        self._changed = threading.Condition()
        self._ending = self._hurried = False
        self._draining, self._writing_late = threading.Lock(), threading.Lock()
        self._unwritten: deque[tuple[Job, JobEnd]] = deque()
        self._finishers = ThreadPoolExecutor(FINISHERS, "limner-jobs-finish")
        self._starter = threading.Thread(target=self._start_all, name="limner-jobs", daemon=True)
        self._starter.start()

    @property
    def waiting(self) -> int:
        """Jobs accepted and not yet given to the engine."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Jobs the engine has."""
        return len(self._begun)

    def feed(self, job_id: str) -> Feed | None:
        """The news of a job in hand."""
        with self._changed:
            live = self._live.get(job_id)
        return None if live is None else live.feed

    @property
    def idle(self) -> bool:
        """Whether a job taken now is begun at once."""
        return not len(self._queue) and len(self._begun) < self._at_once

    def take(self, job: Job, request: FusionRequest | None = None) -> Feed:
        """Take a job in hand that is written down as this server's. request: where its take was
        opened just now.
        """
        live = Live(job, request, booked=request is not None)
        with self._changed:
            ending = self._ending
            if not ending:
                self._live[job.id] = live
                self._queue.put(job.tenant, live)
                self._changed.notify_all()
        if ending:
            live.feed.end(Outcome(job))  # the next server's; who waits is told to come back
        return live.feed

    def take_over(self, living: Sequence[str]) -> int:
        """Take in hand what no living server will finish; how many jobs.

        A job begun too often, or whose packet cannot be opened, is ended instead.
        """
        taken = 0
        for job_id, job in self._store.left_by([*living, self._owner]):
            if job is None:
                log.warning("job %s cannot be opened any more: given up", job_id)
                self._store.give_up(job_id)
                continue
            try:
                if job.packet.tries >= self._attempts:
                    failure = ServerFault(
                        "interrupted",
                        f"the server ended {job.packet.tries} times over this request: it is not "
                        "tried again; tell whoever runs the server",
                    )
                    self._write_end(job, given_up(job, failure))
                    continue
                packet = job.packet.in_state(TaskState.QUEUED)
                self.take(self._store.change(job, packet, owner=self._owner))
                taken += 1
            except JobChanged:
                continue  # another server was first
        return taken

    def cancel(self, job_id: str, *, client_left: bool = False) -> bool:
        """End a job: at once where it waits, within one step where it is drawn."""
        with self._changed:
            live = self._live.get(job_id)
            if live is None:
                return False
            live.cancelled, live.client_left = True, client_left
            waited = self._queue.remove(live.job.tenant, live)
            handle = live.handle
        if waited:
            self._finishers.submit(self._finish, live)
        elif handle is not None:
            handle.cancel()
        return True

    def cancelled(self, job_id: str) -> bool:
        """Whether a job in hand is about to end since it was cancelled."""
        with self._changed:
            live = self._live.get(job_id)
            return live is not None and live.cancelled

    def write_late(self) -> None:
        """Write down the endings for which the database was away."""
        with self._writing_late:
            for _ in range(len(self._unwritten)):
                job, end = self._unwritten[0]
                try:
                    self._write_late(job, end)
                except Exception:
                    self._unwritten.rotate(-1)  # another is tried first, once it is back
                    return
                self._unwritten.popleft()

    def _write_late(self, job: Job, end: JobEnd) -> None:
        try:
            self._write_end(job, end)
        except JobChanged:
            self._overtaken(job, end)

    def hurry(self) -> None:
        """Wait no longer for work to end."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def drain(self, seconds: float) -> None:
        """Finish what can be finished in the time; the rest stays accepted, for the next server."""
        with self._draining:
            if not self._ending:
                self._drain(seconds)

    def _drain(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._live or self._hurried, seconds)
            self._ending = True
            left = list(self._live.values())
            waited = []
            while (live := self._queue.take()) is not None:
                waited.append(live)
                self._live.pop(live.job.id, None)
            self._changed.notify_all()
        for live in waited:
            live.feed.end(Outcome(live.job))  # still queued: who waits is told to come back
        for live in left:
            if live.handle is not None:
                live.handle.cancel()
        self._engine.close(cancel=True)
        self._starter.join()
        self._finishers.shutdown(wait=True)
        self.write_late()

    def _start_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._ending or (len(self._queue) and len(self._begun) < self._at_once)
                )
                if self._ending:
                    return
                live = self._queue.take()
                if live is None:
                    continue
                self._begun.add(live.job.id)
            self._start(live)

    def _start(self, live: Live) -> None:
        """Give a job to the engine; what fails here ends as the job's failure."""
        try:
            packet, request = live.job.packet, live.request
            if request is None:
                request = fusion_request(packet.order, self._store.payloads(live.job.id, GIVEN))
                live.request = request
            if packet.state is not TaskState.RUNNING:  # else it was accepted as begun
                packet = packet.in_state(TaskState.RUNNING, tries=packet.tries + 1)
                opening = None
                if not live.booked:
                    drawn = self._engine.opening(request, take_id(live.job.id, packet.take))
                    opening = self._books.opening(drawn, live.job.tenant, live.job.key_id)
                live.job = self._store.change(
                    live.job, packet, owner=self._owner, opening=opening, accepted=True
                )
                live.booked = True
            handle = self._engine.submit(request, namespace=live.job.tenant, task_id=live.job.id)
            live.request = None  # photos are not to be held twice
        except (EngineBusy, EngineClosed, *STORAGE_FAULTS) as error:
            if not isinstance(error, EngineBusy):
                log.warning("job %s cannot begin yet: %s", live.job.id, type(error).__name__)
            self._stand_again(live)
        except BaseException as error:
            self._finishers.submit(self._finish, live, error)
        else:
            with self._changed:
                live.handle = handle
                cancelled = live.cancelled or self._ending
            if cancelled:
                handle.cancel()
            handle.listen(partial(self._heard, live))

    def _stand_again(self, live: Live) -> None:
        """It cannot be begun just now: it is the next to be tried, or another server's."""
        with self._changed:
            self._begun.discard(live.job.id)
            ending = self._ending
            if ending:
                self._live.pop(live.job.id, None)
            else:
                self._queue.put_first(live.job.tenant, live)
                self._changed.wait(AGAIN_SECONDS)
        if ending:
            live.feed.end(Outcome(live.job))

    def _heard(self, live: Live, event: Event) -> None:
        """One of the engine's threads tells what happened: it is not to be kept long."""
        live.feed.tell(event)
        if event.kind.last:
            self._finishers.submit(self._finish, live)
        elif event.kind is EventKind.STAGE:
            now = time.monotonic()
            if now - live.written > WRITE_SECONDS:
                live.written = now
                self._finishers.submit(self._write_trace, live)

    def _write_trace(self, live: Live) -> None:
        """What the stages have left so far, for whoever must go on after us."""
        if live.handle is None or live.handle.done():
            return
        task = live.task_of(live.handle)
        with live.lock:
            try:
                live.job = self._store.change(live.job, live.job.packet.changed(task=task))
            except JobChanged:
                live.handle.cancel()  # it was deleted
            except Exception:
                log.exception("the trace of job %s could not be written", live.job.id)

    def _finish(self, live: Live, error: BaseException | None = None) -> None:
        """Write down how a job ended, then tell who waits."""
        try:
            end = ending_of(live, error, self._ending)
            with live.lock:
                job, pictures = self._written(live, end)
            live.feed.end(Outcome(job, pictures))
            if not (self._ending and end.packet.state is TaskState.QUEUED):
                self._on_end(job, time.time() - job.created)
        except BaseException:
            log.exception("job %s could not be ended", live.job.id)
            fault = ServerFault("internal_error", "the result could not be kept: send it again")
            end = given_up(live.job, fault, live)
            self._keep_late(live.job, end)
            live.feed.end(Outcome(replace(live.job, packet=end.packet)))
        finally:
            with self._changed:
                self._live.pop(live.job.id, None)
                self._begun.discard(live.job.id)
                self._changed.notify_all()

    def _written(self, live: Live, end: JobEnd) -> tuple[Job, tuple[bytes, ...]]:
        for attempt in range(WRITE_TRIES):
            try:
                return self._write_end(live.job, end), end.pictures
            except JobChanged:
                return self._overtaken(live.job, end)
            except Exception:
                log.exception("job %s could not be written, try %d", live.job.id, attempt + 1)
                if attempt + 1 < WRITE_TRIES:
                    time.sleep(0.1 * 4**attempt)
        # Who waits gets the picture all the same; it is written down as soon as that is possible.
        self._keep_late(live.job, end)
        return replace(live.job, packet=end.packet), end.pictures

    def _keep_late(self, job: Job, end: JobEnd) -> None:
        if len(self._unwritten) < MOST_UNWRITTEN:
            self._unwritten.append((job, end))
        else:
            log.error("the ending of job %s is lost: it is drawn again after a restart", job.id)

    def _overtaken(self, job: Job, end: JobEnd) -> tuple[Job, tuple[bytes, ...]]:
        """The job is not what it was: forgotten, written down already, or another server's."""
        found = self._store.get(job.id)
        if found is None:
            gone = translate(FusionCancelled(f"request {job.id} was deleted"))
            return replace(job, packet=end.packet.failed(gone, TaskState.CANCELLED)), ()
        if found.packet.state is end.packet.state:  # our own write, whose answer was lost
            account = self._store.account(end.settlement.request)
            if account is not None:
                self._on_settled(account)
            return found, end.pictures
        return found, ()

    def _write_end(self, job: Job, end: JobEnd) -> Job:
        # The photos are kept only where the job may be taken up again.
        job, account = self._store.end(
            job, end.packet, end.settlement, drawn=end.pictures, forget_given=not end.again
        )
        if account is not None:
            self._on_settled(account)
        return job
