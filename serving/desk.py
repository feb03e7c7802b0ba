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

from anyio import CapacityLimiter, to_thread

from cache import Digest
from fusion import (
    BudgetExceeded,
    CurrencyMismatch,
    Engine,
    FusionRequest,
    FusionTask,
    Opening,
    TaskState,
)
from serving.books import Books, take_id
from serving.errors import STORAGE_FAULTS, ApiError, BadRequest, TooMany, translate
from serving.feed import Feed, Outcome
from serving.intake import Payloads
from serving.jobs import DRAWN, GIVEN, AlreadyAccepted, Job, JobChanged, JobStore, NewJob
from serving.keys import ApiKey
from serving.orders import Native, check_limits, digest_of, fusion_request
from serving.packet import JobPacket, Order
from serving.refusals import ClientLeft, TurnedAway, check, ending, numbered, same, unknown
from serving.runner import JobRunner
from serving.settings import ServerSettings

POLL_SECONDS: Final = 0.2  # for a job that another server has in hand
LONGEST_RETRY_SECONDS: Final = 60
RECENT_SECONDS: Final = 60.0


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
    """A job that was accepted, now or before: the news of it, or how it ended."""

    job_id: str
    feed: Feed | None = None
    ended: Outcome | None = None


Orders = tuple[tuple[Order, Payloads], ...]


class Desk:
    """Takes requests in. What is awaited belongs to one asyncio loop."""

    def __init__(
        self,
        engine: Engine,
        store: JobStore,
        books: Books,
        runner: JobRunner,
        owner: str,
        settings: ServerSettings,
    ) -> None:
        self.engine, self.store, self.runner, self._books = engine, store, runner, books
        self._owner, self._settings = owner, settings
        self._turned_away = TurnedAway(settings.retry_seconds)
        self._taking = threading.Lock()  # of the room in the queue
        self._paces: deque[float] = deque(maxlen=24)  # when the latest jobs ended
        self._reserved = 0
        self._readers = CapacityLimiter(settings.limits.readers)
        self.draining = False
        usual = engine.resolve(FusionRequest())
        self.native = Native(usual.size, usual.steps)

    def ended(self, at: float) -> None:
        """A job has ended, which tells how long a full queue will take."""
        self._paces.append(at)

    async def take(self, ask: Callable[[], Asked], *, wait: bool = True) -> Ticket:
        """Accept a request, or recognise it as one that was accepted before.

        ask: reads the request; called in another thread, for pictures are decoded in it. wait: for
        its outcome; who does must `leave` the ticket in the end.
        Raises ApiError, and what `ask` and `Engine.resolve` raise; nothing is kept of what is
        refused.
        """
        taken = await to_thread.run_sync(self._take, ask, limiter=self._readers)
        if not wait:
            return Ticket(taken if isinstance(taken, str) else taken.job_id)
        if isinstance(taken, str):
            return await self.join(taken)
        return _counted(taken)

    def _take(self, ask: Callable[[], Asked]) -> Ticket | str:
        """The ticket of a new job, or the id of one that was accepted before."""
        asked = ask()
        digest = digest_of(asked.order, asked.payloads)
        known = self._known(asked, digest)
        if known is not None:
            return known
        if self.draining:
            self._turned_away.note(asked.key, digest)
            raise ending()
        request = fusion_request(asked.order, asked.payloads.kept, asked.payloads.ready)
        check_limits(asked.order, self.native, self._settings.limits)
        job_id = new_id()
        opening = self._opening(request, job_id, asked.key.tenant, asked.key.id)
        with self._room(1, asked.key, digest):
            packet = self._packet(job_id, asked.order, asked.payloads, asked.keep)
            kept, name = asked.payloads.kept, asked.idempotency_key
            new = NewJob(packet, kept, digest, name, opening)
            try:
                (job,) = self._accept([new], asked.key)
            except AlreadyAccepted as before:
                return same(before.job_id, before.digest, digest)
            except (BudgetExceeded, CurrencyMismatch, *STORAGE_FAULTS):
                self._turned_away.note(asked.key, digest)
                raise
            return Ticket(job.id, self.runner.take(job, request))

    async def take_batch(
        self, read: Callable[[], Orders], key: ApiKey, name: str | None
    ) -> tuple[Ticket, ...]:
        """Accept several at once, all or none; they are drawn though nobody waits.

        name: an idempotency key of them all. Raises as `take` does, naming the request.
        """
        if self.draining:
            raise ending()
        return await to_thread.run_sync(self._take_batch, read, key, name, limiter=self._readers)

    def _take_batch(
        self, read: Callable[[], Orders], key: ApiKey, name: str | None
    ) -> tuple[Ticket, ...]:
        orders, requests, new = read(), [], []
        for number, (order, payloads) in enumerate(orders):
            job_id = new_id()
            try:
                requests.append(fusion_request(order, payloads.kept, payloads.ready))
                check_limits(order, self.native, self._settings.limits)
                opening = self._opening(requests[-1], job_id, key.tenant, key.id)
            except (ValueError, ApiError) as error:
                raise numbered(translate(error), number) from error
            packet = self._packet(job_id, order, payloads, True)
            named = None if name is None else f"{name}#{number}"
            digest = digest_of(order, payloads)
            new.append(NewJob(packet, payloads.kept, digest, named, opening))
        if len(new) > self._settings.limits.waiting:
            raise BadRequest(
                "invalid_request",
                f"{len(new)} requests at once, and {self._settings.limits.waiting} may wait here",
                param="requests",
            )
        with self._room(len(new), key, ""):
            try:
                taken = self._accept(new, key)
            except AlreadyAccepted:
                return self._batch_before(new, key.tenant)
            return tuple(
                Ticket(job.id, self.runner.take(job, request))
                for job, request in zip(taken, requests, strict=True)
            )

    def _batch_before(self, new: Sequence[NewJob], tenant: str) -> tuple[Ticket, ...]:
        """The jobs of a batch that was accepted before, which must have been the same."""
        tickets = []
        for one in new:
            found = self.store.keyed(tenant, one.idempotency_key or "")
            job_id = same(*(found or ("", "")), one.digest)
            tickets.append(Ticket(job_id, self.runner.feed(job_id)))
        return tuple(tickets)

    async def join(self, job_id: str, *, follows: bool = False) -> Ticket:
        """Wait for a job that was accepted before; one that was dropped since its client had gone
        is taken up again, the same. follows: only look on; nothing is taken up, nor to be left.
        """
        while True:
            feed = self.runner.feed(job_id)
            if feed is not None and self.runner.cancelled(job_id):
                await feed.outcome()  # within one step
                await asyncio.sleep(0)
                continue
            if feed is not None:
                ticket = Ticket(job_id, feed)
                return ticket if follows else _counted(ticket)
            job = await to_thread.run_sync(self.store.get, job_id)
            if job is None:
                raise unknown(job_id)
            failure = job.packet.failure
            if failure is not None and failure.client_left and not follows:
                try:
                    return _counted(await to_thread.run_sync(self._take_up, job))
                except JobChanged:
                    continue
            if job.packet.state.ended:
                return Ticket(job_id, ended=await self.outcome_of(job))
            if self.draining:
                raise ending()
            await asyncio.sleep(POLL_SECONDS)  # another server's

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
            raise unknown(ticket.job_id)
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

    def _take_up(self, job: Job) -> Ticket:
        """Begin again what was dropped since nobody waited. Raises JobChanged, TooMany,
        BudgetExceeded.
        """
        if self.draining:
            raise ending()
        request = fusion_request(job.packet.order, self.store.payloads(job.id, GIVEN))
        take = job.packet.take + 1
        opening = self._opening(request, take_id(job.id, take), job.tenant, job.key_id)
        with self._room(1, None, ""):
            packet = job.packet.in_state(TaskState.QUEUED, failure=None, take=take)
            job = self.store.change(job, packet, owner=self._owner, opening=opening)
            return Ticket(job.id, self.runner.take(job, request))

    def _opening(self, request: FusionRequest, take: str, tenant: str, key_id: str) -> Opening:
        """A take as it is booked. Raises what `Engine.resolve` raises."""
        return self._books.opening(self.engine.opening(request, take), tenant, key_id)

    def _accept(self, new: Sequence[NewJob], key: ApiKey) -> tuple[Job, ...]:
        return self.store.accept(new, tenant=key.tenant, key_id=key.id, owner=self._owner)

    def _packet(self, job_id: str, order: Order, payloads: Payloads, keep: bool) -> JobPacket:
        task = FusionTask(
            id=job_id,
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
            task=task,
            tries=int(begun),
            expires=task.created + self._settings.retention_seconds,
            keep=keep,
            bytes_received=payloads.bytes_received,
        )

    def _known(self, asked: Asked, digest: Digest) -> str | None:
        """The id of the job that this request is another try at."""
        tenant, name = asked.key.tenant, asked.idempotency_key
        if name is not None:
            found = self.store.keyed(tenant, name)
            if found is not None and self.store.get(found[0]) is None:
                self.store.delete(found[0], tenant)  # it has expired: the key is free again
                return None
            return None if found is None else same(found[0], found[1], digest)
        if not asked.is_retry or self._turned_away.was(asked.key, digest):
            return None
        since = time.time() - self._settings.retry_seconds
        job = self.store.latest(asked.key.id, digest, since)
        if job is not None and job.packet.state.ended and self._turned_away.was(asked.key, ""):
            return None  # its first try was over the key's rate: this is no try at an older twin
        return None if job is None else job.id

    def refused_by_rate(self, key: ApiKey) -> None:
        """A first try was turned away before it was read."""
        self._turned_away.note(key, "")

    @contextmanager
    def _room(self, count: int, key: ApiKey | None, digest: str) -> Iterator[None]:
        """Keep room in the queue for jobs while they are accepted. Raises TooMany."""
        most = self._settings.limits.waiting
        with self._taking:
            waiting = self.runner.waiting + self._reserved
            fits = waiting + count <= most
            self._reserved += count * fits
        if not fits:
            if key is not None:
                self._turned_away.note(key, digest)
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
        # A copy, made at once: jobs end in other threads meanwhile.
        ends = [at for at in list(self._paces) if at > time.time() - RECENT_SECONDS]
        if len(ends) < 2:
            return 2
        each = (ends[-1] - ends[0]) / (len(ends) - 1)
        return min(max(math.ceil(each * jobs / 2), 1), LONGEST_RETRY_SECONDS)


def new_id() -> str:
    """A job's id, which nobody else has."""
    return f"portrait_{uuid.uuid4().hex[:28]}"


def _counted(ticket: Ticket) -> Ticket:
    """The ticket of one more who waits, who leaves it in the end."""
    if ticket.feed is not None:
        ticket.feed.waiting += 1
    return ticket
