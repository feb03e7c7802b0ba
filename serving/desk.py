"""Where requests are taken in: checked, recognised, accepted once, waited for, let go of."""

from __future__ import annotations

import asyncio
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from anyio import to_thread

from cache import Digest
from fusion import Engine, FusionRequest, FusionTask, TaskState
from serving.errors import ApiError, Conflict, NotFound, TooMany, Unavailable, recalled, translate
from serving.feed import Feed, Outcome
from serving.intake import Payloads
from serving.jobs import DRAWN, AlreadyAccepted, Job, JobChanged, JobStore, NewJob
from serving.keys import ApiKey
from serving.orders import Native, check_limits, digest_of, fusion_request
from serving.packet import JobPacket, Order, PacketTask
from serving.runner import JobRunner
from serving.settings import ServerSettings

POLL_SECONDS: Final = 0.2  # for a job that another server has in hand
LONGEST_RETRY_SECONDS: Final = 60


@dataclass(frozen=True)
class Asked:
    """A request as it was understood. is_retry: whether it says that it was sent before; keep:
    whether it is drawn though nobody waits for it any more.
    """

    order: Order
    payloads: Payloads
    key: ApiKey
    is_retry: bool = False
    idempotency_key: str | None = None
    keep: bool = False


@dataclass(frozen=True, eq=False)
class Ticket:
    """A job that was accepted, now or before: the news of it, or how it ended. joined: before."""

    job_id: str
    feed: Feed | None = None
    ended: Outcome | None = None
    joined: bool = False


class Desk:
    """Takes requests in. What is awaited belongs to one asyncio loop."""

    def __init__(
        self,
        engine: Engine,
        store: JobStore,
        runner: JobRunner,
        owner: str,
        settings: ServerSettings,
    ) -> None:
        self.engine, self.store, self.runner = engine, store, runner
        self._owner, self._settings = owner, settings
        self._refusals: deque[tuple[float, str, str]] = deque(maxlen=10_000)
        self._taking = threading.Lock()  # of the refusals and of the room in the queue
        self._paces: deque[float] = deque(maxlen=64)  # when the latest jobs ended
        self._reserved = 0
        self.draining = False
        usual = engine.resolve(FusionRequest())
        self.native = Native(usual.size, usual.steps)

    def ended(self, at: float) -> None:
        """A job has ended, which tells how long a full queue will take."""
        self._paces.append(at)

    async def take(self, ask: Callable[[], Asked]) -> Ticket:
        """Accept a request, or recognise it as one that was accepted before.

        ask: reads the request; called in another thread, for pictures are decoded in it.
        Raises ApiError, and what `ask` and `Engine.resolve` raise; nothing is kept of what is
        refused.
        """
        taken = await to_thread.run_sync(self._take, ask)
        return await self.join(taken) if isinstance(taken, str) else taken

    def _take(self, ask: Callable[[], Asked]) -> Ticket | str:
        """The ticket of a new job, or the id of one that was accepted before."""
        asked = ask()
        digest = digest_of(asked.order, asked.payloads)
        known = self._known(asked, digest)
        if known is not None:
            return known
        if self.draining:
            self._refuse(asked.key, digest)
            raise _ending()
        request = fusion_request(asked.order, asked.payloads.kept, asked.payloads.ready)
        check_limits(asked.order, self.native, self._settings.limits)
        self.engine.resolve(request)
        with self._room(1, asked.key, digest):
            packet = self._packet(asked.order, asked.payloads, asked.keep)
            try:
                (job,) = self._accept((NewJob(packet, asked.payloads.kept, digest),), asked)
            except AlreadyAccepted as before:
                return _same(before.job_id, before.digest, digest)
            return Ticket(job.id, self.runner.take(job, request))

    async def take_batch(
        self, orders: Sequence[tuple[Order, Payloads]], key: ApiKey
    ) -> tuple[Ticket, ...]:
        """Accept several at once, all or none; they are drawn though nobody waits."""
        if self.draining:
            raise _ending()
        requests = []
        for number, (order, payloads) in enumerate(orders):
            try:
                requests.append(fusion_request(order, payloads.kept, payloads.ready))
                check_limits(order, self.native, self._settings.limits)
                self.engine.resolve(requests[-1])
            except ValueError as error:
                raise _numbered(translate(error), number) from error
        new = tuple(
            NewJob(self._packet(order, payloads, True), payloads.kept, digest_of(order, payloads))
            for order, payloads in orders
        )
        asked = Asked(*orders[0], key, keep=True)
        with self._room(len(orders), key, ""):
            taken = await to_thread.run_sync(self._accept, new, asked)
            return tuple(
                Ticket(job.id, self.runner.take(job, request))
                for job, request in zip(taken, requests, strict=True)
            )

    async def join(self, job_id: str) -> Ticket:
        """Wait for a job that was accepted before; one that was dropped since its client had gone
        is taken up again, the same.
        """
        while True:
            feed = self.runner.feed(job_id)
            if feed is not None and self.runner.cancelled(job_id):
                await feed.outcome()  # within one step
                continue
            if feed is not None:
                return Ticket(job_id, feed, joined=True)
            job = await to_thread.run_sync(self.store.get, job_id)
            if job is None:
                raise _unknown(job_id)
            failure = job.packet.failure
            if failure is not None and failure.client_left:
                task = job.packet.task.model_copy(update={"state": TaskState.QUEUED})
                packet = job.packet.changed(task=task, failure=None)
                try:
                    job = await to_thread.run_sync(self._taken_up, job, packet)
                except JobChanged:
                    continue
                return Ticket(job_id, self.runner.take(job), joined=True)
            if not job.packet.state.ended:
                await asyncio.sleep(POLL_SECONDS)  # another server's
                continue
            return Ticket(job_id, ended=await self.outcome_of(job), joined=True)

    async def outcome(
        self, ticket: Ticket, gone: Callable[[], Awaitable[None]] | None = None
    ) -> Outcome:
        """How the job ends. gone: returns once the client has left; then the job is dropped unless
        somebody else waits, or it is kept. Raises ClientLeft, and what the job failed with.
        """
        outcome = ticket.ended
        if outcome is None and ticket.feed is not None:
            outcome = await self._while_there(ticket, ticket.feed, gone)
        if outcome is None:
            raise _unknown(ticket.job_id)
        check(outcome)
        return outcome

    async def outcome_of(self, job: Job) -> Outcome:
        """How a job that has ended did, its pictures from the database."""
        drawn = await to_thread.run_sync(self.store.payloads, job.id, DRAWN)
        return Outcome(job, tuple(drawn.values()))

    def leave(self, ticket: Ticket) -> None:
        """A client that waited has gone."""
        feed = ticket.feed
        if feed is None:
            return
        feed.waiting -= 1
        if feed.waiting <= 0 and not feed.packet.keep and not feed.ended:
            self.runner.cancel(ticket.job_id, client_left=True)

    async def _while_there(
        self, ticket: Ticket, feed: Feed, gone: Callable[[], Awaitable[None]] | None
    ) -> Outcome:
        feed.waiting += 1
        waits = asyncio.ensure_future(feed.outcome())
        leaves = None if gone is None else asyncio.ensure_future(gone())
        try:
            await asyncio.wait(
                [waits] if leaves is None else [waits, leaves],
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not waits.done():
                raise ClientLeft
            return waits.result()
        finally:
            for task in (waits, leaves):
                if task is not None:
                    task.cancel()
            self.leave(ticket)

    def _taken_up(self, job: Job, packet: JobPacket) -> Job:
        return self.store.change(job, packet, owner=self._owner)

    def _accept(self, new: Sequence[NewJob], asked: Asked) -> tuple[Job, ...]:
        return self.store.accept(
            new,
            tenant=asked.key.tenant,
            key_id=asked.key.id,
            owner=self._owner,
            idempotency_key=asked.idempotency_key,
        )

    def _packet(self, order: Order, payloads: Payloads, keep: bool) -> JobPacket:
        task = FusionTask(
            id=f"portrait_{uuid.uuid4().hex[:28]}",
            references=tuple(payloads.references),
            operations=(),
            created=time.time(),
            ttl_seconds=self._settings.retention_seconds,
        )
        if begun := self.runner.idle:  # one write less than to say so later
            task = task.now(TaskState.RUNNING)
        return JobPacket(
            model=self.engine.name,
            order=order,
            task=PacketTask.of(task),
            tries=int(begun),
            expires=task.created + self._settings.retention_seconds,
            keep=keep,
        )

    def _known(self, asked: Asked, digest: Digest) -> str | None:
        """The id of the job that this request is another try at."""
        tenant, key = asked.key.tenant, asked.idempotency_key
        if key is not None:
            found = self.store.keyed(tenant, key)
            return None if found is None else _same(found[0], found[1], digest)
        if not asked.is_retry or self._was_refused(asked.key, digest):
            return None
        since = time.time() - self._settings.retry_seconds
        job = self.store.latest(asked.key.id, digest, since)
        return None if job is None else job.id

    @contextmanager
    def _room(self, count: int, key: ApiKey, digest: str) -> Iterator[None]:
        """Keep room in the queue for jobs while they are accepted. Raises TooMany."""
        most = self._settings.limits.waiting
        with self._taking:
            waiting = self.runner.waiting + self._reserved
            fits = waiting + count <= most
            self._reserved += count * fits
        if not fits:
            self._refuse(key, digest)
            seconds = self._seconds_for(waiting + self.runner.running)
            raise TooMany(
                "queue_full",
                f"{waiting} requests are waiting, at most {most} may: send it again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )
        try:
            yield
        finally:
            with self._taking:
                self._reserved -= count

    def _seconds_for(self, jobs: int) -> int:
        """How long that many jobs take at the pace of the latest ones."""
        if len(self._paces) < 2:
            return 2
        each = (self._paces[-1] - self._paces[0]) / (len(self._paces) - 1)
        return min(max(math.ceil(each * jobs / 2), 1), LONGEST_RETRY_SECONDS)

    def _refuse(self, key: ApiKey, digest: str) -> None:
        """Remember that a request was turned away: its retry is no retry of an older twin."""
        with self._taking:
            self._refusals.append((time.time(), key.id, digest))

    def _was_refused(self, key: ApiKey, digest: str) -> bool:
        since = time.time() - self._settings.retry_seconds
        with self._taking:
            for entry in self._refusals:
                if entry[0] >= since and entry[1:] == (key.id, digest):
                    self._refusals.remove(entry)
                    return True
        return False


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


def check(outcome: Outcome) -> None:
    """Raises what a job failed with, as its answer."""
    packet = outcome.job.packet
    if packet.failure is not None:
        raise recalled(packet.failure.status, packet.failure.error)
    if packet.report is None:
        raise _ending()


def _same(job_id: str, found: str, digest: str) -> str:
    if found != digest:
        raise Conflict(
            "idempotency_conflict",
            "this Idempotency-Key was used for another request: take a new key for a new request",
            headers={"x-should-retry": "false"},
        )
    return job_id


def _ending() -> ApiError:
    return Unavailable(
        "shutting_down",
        "the server is about to end: what it has accepted is not lost, send the request again in "
        "some seconds",
        headers={"Retry-After": "3"},
    )


def _unknown(job_id: str) -> ApiError:
    return NotFound("not_found", f"there is no request {job_id}, or it was forgotten meanwhile")


def _numbered(error: ApiError, number: int) -> ApiError:
    """The failure of one request of a batch."""
    error.body = error.body.model_copy(
        update={
            "message": f"requests.{number}: {error.body.message}",
            "param": f"requests.{number}" + (f".{error.body.param}" if error.body.param else ""),
        }
    )
    return error
