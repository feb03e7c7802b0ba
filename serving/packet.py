"""The task token on the wire: a request as it waits, in a packet that only the server can open.

A packet holds references, never pixels: `given` numbers of the pictures that came with the request,
which lie sealed beside it. It survives the process, expires, and every stage leaves its entry.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fusion import Account, FusionTask, TaskState
from serving.errors import ApiError, ErrorBody
from serving.seal import Seal, SealBroken
from serving.usage import usage_of
from serving.wire import DrawingSettings, OutputFormat, Report, UsageAnswer


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OrderedPerson(_Part):
    """A person of an order. given: number of the picture, or of the embedding."""

    given: int
    name: str
    embedded: bool
    weight: float
    face: int | None


class Order(DrawingSettings):
    """A request with its pictures replaced by references, and its seed chosen.

    drawn_size: (width, height) to draw, None as the bundle or the target has it; shown_size: what
    the pictures are then resized to. downgrades: what was lost on the way here, in words.
    """

    kind: Literal["portrait", "generation", "edit"]
    people: tuple[OrderedPerson, ...] = ()
    target: int | None = None
    mask: int | None = None
    text: str | None = None
    prompt: str | None = None
    drawn_size: tuple[int, int] | None = None
    shown_size: tuple[int, int] | None = None
    chosen_seed: int
    count: int
    previews: int = 0
    output_format: OutputFormat = "png"
    output_compression: int = 95
    quality: str = "medium"
    downgrades: tuple[str, ...] = ()


class Failure(_Part):
    """Why a job ended without pictures; client_left: since nobody waited for it any more. usage:
    what it took until then.
    """

    status: int
    error: ErrorBody
    client_left: bool = False
    usage: UsageAnswer | None = None


class JobPacket(_Part):
    """All that is known of a job. tries: how often it was begun. keep: whether it is drawn though
    nobody waits for it. take: which one in the books it is, from 1. bytes_received: of what came
    with it.
    """

    version: Literal[1] = 1
    model: str
    order: Order
    task: FusionTask
    expires: float
    tries: int = 0
    keep: bool = False
    take: int = 1
    bytes_received: int = 0
    report: Report | None = None
    failure: Failure | None = None

    def changed(self, **changes: object) -> JobPacket:
        """The packet with some fields replaced."""
        return self.model_copy(update=changes)

    def in_state(self, state: TaskState, **changes: object) -> JobPacket:
        """The packet in another state of its life."""
        # Not `now`: a job that was dropped may be taken up again.
        return self.changed(task=replace(self.task, state=state), **changes)

    def failed(
        self,
        error: ApiError,
        state: TaskState,
        client_left: bool = False,
        usage: UsageAnswer | None = None,
    ) -> JobPacket:
        """The packet of a job that ends without pictures."""
        failure = Failure(
            status=error.status, error=error.body, client_left=client_left, usage=usage
        )
        return self.in_state(state, report=None, failure=failure)

    def booked(self, account: Account) -> JobPacket:
        """The packet with the usage that the ledger tells."""
        usage = {"usage": usage_of(account)}
        if self.report is not None:
            return self.changed(report=self.report.model_copy(update=usage))
        if self.failure is not None:
            return self.changed(failure=self.failure.model_copy(update=usage))
        return self

    @property
    def usage(self) -> UsageAnswer | None:
        """What it took, once it has ended."""
        if self.report is not None:
            return self.report.usage
        return None if self.failure is None else self.failure.usage

    @property
    def state(self) -> TaskState:
        """Where the job is in its life."""
        return self.task.state


def seal_packet(seal: Seal, packet: JobPacket) -> bytes:
    """The packet as it lies in the database."""
    return seal.close(packet.model_dump_json().encode(), f"job {packet.task.id}")


def open_packet(seal: Seal, sealed: bytes, job_id: str, now: float | None = None) -> JobPacket:
    """What was sealed for the job. Raises SealBroken: changed, foreign, or its time is over."""
    opened = seal.open(sealed, f"job {job_id}")
    try:
        packet = JobPacket.model_validate_json(opened)
    except ValidationError as error:
        raise SealBroken(f"job {job_id} is written in another way than this version's") from error
    if packet.task.id != job_id or packet.expires < (time.time() if now is None else now):
        raise SealBroken(f"job {job_id} has expired")
    return packet
