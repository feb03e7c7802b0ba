"""What the server says of a request: from a result to a report, from a job to an answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Final

from PIL import Image

from fusion import FusionResult, Quantity, TaskState, encode, quantities_of
from prompting import PromptPlan
from serving.jobs import Job
from serving.orders import shown_within
from serving.packet import JobPacket, Order
from serving.usage import usage_from
from serving.wire import (
    DecisionAnswer,
    JobStatus,
    OutputFormat,
    PictureAnswer,
    PictureFacts,
    PortraitAnswer,
    PromptAnswer,
    Report,
    SimilarityAnswer,
    TraceEntry,
)

MEDIA_TYPES: Final = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_STATUS: Final[Mapping[TaskState, JobStatus]] = {
    TaskState.QUEUED: "queued",
    TaskState.RUNNING: "running",
    TaskState.DONE: "completed",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "cancelled",
    TaskState.EXPIRED: "expired",
}


def prompt_answer(plan: PromptPlan) -> PromptAnswer:
    """What became of the words."""
    return PromptAnswer(
        prompt=plan.prompt,
        negative_prompt=plan.negative_prompt,
        tokens=plan.tokens,
        baseline_tokens=plan.baseline_tokens,
        kept=plan.kept,
        dropped=plan.dropped,
        removed=plan.removed,
        decisions=tuple(
            DecisionAnswer(
                attribute=one.attribute,
                text=one.words,
                fate=one.fate,
                said=one.said,
                tokens=one.tokens,
                reason=one.reason,
            )
            for one in plan.decisions
        ),
    )


def account(
    result: FusionResult, order: Order, bytes_received: int = 0
) -> tuple[Report, tuple[bytes, ...], tuple[Quantity, ...]]:
    """The report of a result; its pictures, encoded and labelled as the order asks; all that is to
    be booked of it.
    """
    pictures, facts = [], []
    for index, picture in enumerate(result.pictures):
        image = result.images[index]
        shown = None
        if order.shown_size is not None:
            shown = order.shown_size
            if order.target is not None:  # whose shape is not ours to choose
                shown = shown_within(image.size, order.shown_size)
        width, height = shown or image.size
        data = encode(
            result, index, order.output_format, quality=order.output_compression, size=shown
        )
        pictures.append(data)
        facts.append(
            PictureFacts(
                media_type=MEDIA_TYPES[order.output_format],
                width=width,
                height=height,
                seed=picture.seed,
                identity_scale=picture.identity_scale,
                attempts=picture.attempts,
                verified=picture.verified,
                face_found=picture.face_found,
                wished_cosine=picture.wished_cosine,
                similarity=tuple(
                    SimilarityAnswer(name=one.name, weight=one.weight, cosine=one.cosine)
                    for one in picture.similarity
                ),
            )
        )
    quantities = (
        *quantities_of(result.usage),
        Quantity("bytes_received", bytes_received),
        Quantity("bytes_sent", sum(len(data) for data in pictures)),
    )
    report = Report(
        model=result.model,
        prompt=prompt_answer(result.plan),
        pictures=tuple(facts),
        decisions=result.trace.decisions,
        downgrades=(*order.downgrades, *result.trace.downgrades),
        warnings=result.warnings,
        usage=usage_from(dict(quantities)),
    )
    return report, tuple(pictures), quantities


def portrait_answer(job: Job, pictures: Sequence[bytes] | None) -> PortraitAnswer:
    """A job as the API tells it. pictures: None leaves their bytes out."""
    packet, report = job.packet, job.packet.report
    known = {} if report is None else {
        "prompt": report.prompt,
        "decisions": report.decisions,
        "downgrades": report.downgrades,
        "warnings": report.warnings,
        "images": tuple(
            PictureAnswer(
                **facts.model_dump(),
                b64_json=None if pictures is None else as_base64(pictures[number]),
            )
            for number, facts in enumerate(report.pictures)
        ),
    }  # fmt: skip
    return PortraitAnswer(
        id=job.id,
        status=status_of(packet),
        created=int(job.created),
        model=packet.model,
        tries=packet.tries,
        usage=packet.usage,
        trace=tuple(TraceEntry(**vars(one)) for one in packet.task.trace.records),
        error=None if packet.failure is None else packet.failure.error,
        **known,
    )


def status_of(packet: JobPacket) -> JobStatus:
    """A job's state in the words of the API."""
    return _STATUS[packet.state]


def as_base64(data: bytes) -> str:
    """Bytes as JSON can hold them."""
    return base64.b64encode(data).decode()


def encoded(image: Image.Image, kind: OutputFormat) -> bytes:
    """A picture on the way, which needs no label: it is none yet."""
    buffer = BytesIO()
    image.save(buffer, kind.upper())
    return buffer.getvalue()
