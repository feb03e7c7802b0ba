"""How a job's take ends: the packet it leaves, its pictures, and what goes into the books."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fusion import (
    Ending,
    EngineClosed,
    FusionCancelled,
    FusionResult,
    TaskState,
    quantities_spent,
)
from serving.answers import account
from serving.books import Settlement, take_id
from serving.errors import ServerFault, Unavailable, translate
from serving.jobs import Job
from serving.live import Live
from serving.packet import JobPacket
from serving.usage import usage_from

log = logging.getLogger("limner.jobs")
_ENDINGS = {
    TaskState.DONE: Ending.DONE,
    TaskState.FAILED: Ending.FAILED,
    TaskState.CANCELLED: Ending.CANCELLED,
    TaskState.EXPIRED: Ending.EXPIRED,
    TaskState.QUEUED: Ending.CANCELLED,  # stopped for the next server, which takes it up again
}


@dataclass(frozen=True)
class JobEnd:
    """A take's end, as it is to be written down."""

    packet: JobPacket
    settlement: Settlement
    pictures: tuple[bytes, ...] = ()

    @property
    def again(self) -> bool:
        """Whether the job may be taken up again, for which its photos are needed."""
        failure = self.packet.failure
        return self.packet.state is TaskState.QUEUED or (
            failure is not None and failure.client_left
        )


def ending_of(live: Live, error: BaseException | None, server_ends: bool) -> JobEnd:
    """How a job in hand ended. error: why it never began, if so."""
    packet, handle = live.job.packet, live.handle
    if handle is not None:
        packet = packet.changed(task=live.task_of(handle))
        try:
            result: FusionResult | None = handle.result()
        except BaseException as failure:
            error, result = failure, None
        if result is not None:
            return _done(live.job, packet, result)
    if error is None:
        error = FusionCancelled(f"request {live.job.id} was cancelled")
    if isinstance(error, FusionCancelled | EngineClosed) and server_ends and not live.cancelled:
        tries = max(packet.tries - 1, 0)
        queued = packet.in_state(TaskState.QUEUED, tries=tries, take=packet.take + 1)
        return JobEnd(queued, settlement_of(live, packet, TaskState.QUEUED))
    answer = translate(error)
    if isinstance(answer, ServerFault | Unavailable):
        log.error("job %s failed", live.job.id, exc_info=error)
    state = TaskState.FAILED
    if isinstance(error, FusionCancelled):
        state = TaskState.CANCELLED
        if live.client_left:  # it may come back, and no server has died over it
            packet = packet.changed(tries=max(packet.tries - 1, 0))
    settlement = settlement_of(live, packet, state)
    used = usage_from(dict(settlement.quantities))
    return JobEnd(packet.failed(answer, state, live.client_left, used), settlement)


def given_up(job: Job, error: ServerFault, live: Live | None = None) -> JobEnd:
    """The end of a job by a fault of ours. live: where it was in hand."""
    failed = job.packet.failed(error, TaskState.FAILED)
    if live is not None:
        return JobEnd(failed, settlement_of(live, job.packet, TaskState.FAILED))
    request = take_id(job.id, job.packet.take)
    return JobEnd(failed, Settlement(request, (), Ending.FAILED))


def settlement_of(live: Live, packet: JobPacket, state: TaskState) -> Settlement:
    """What a take used that left no picture."""
    spent = () if live.handle is None else quantities_spent(live.handle.spent)
    return Settlement(take_id(live.job.id, packet.take), spent, _ENDINGS[state])


def _done(job: Job, packet: JobPacket, result: FusionResult) -> JobEnd:
    report, pictures, quantities = account(result, packet.order, packet.bytes_received)
    settlement = Settlement(take_id(job.id, packet.take), quantities, Ending.DONE)
    return JobEnd(
        packet.in_state(TaskState.DONE, report=report, failure=None), settlement, pictures
    )
