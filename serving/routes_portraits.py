"""/v1/portraits, /v1/portrait-batches: one or many, waited for, streamed or looked up."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Annotated, Final, Literal

from anyio import to_thread
from fastapi import APIRouter, Body, Path, Query, Request
from starlette.responses import Response

from fusion import Event, EventKind, Stage
from serving.answers import as_base64, encoded, portrait_answer
from serving.context import (
    Context,
    Here,
    Painter,
    Reader,
    asking,
    idempotency_key_of,
    leaving,
)
from serving.desk import Orders, Ticket
from serving.errors import ApiError, ErrorBody, NotFound, translate
from serving.events import LEFT, EventStream, as_event
from serving.feed import Outcome
from serving.intake import Payloads
from serving.jobs import DRAWN, Job
from serving.orders import order_portrait
from serving.refusals import ClientLeft, check, numbered
from serving.wire import (
    Answer,
    Forgotten,
    PortraitAnswer,
    PortraitBatch,
    PortraitList,
    PortraitRequest,
)

router = APIRouter(prefix="/v1", tags=["Portraits"])
ID_PATTERN: Final = r"^portrait_[0-9a-f]{28}$"
JobId = Annotated[str, Path(pattern=ID_PATTERN, description="Of the request")]
_STREAM: Final = {
    "description": "The portrait; with `stream`, server-sent events",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


class PortraitEvent(Answer):
    """One thing that happened; which fields there are goes by `type`."""

    type: Literal[
        "portrait.queued",
        "portrait.stage",
        "portrait.step",
        "portrait.partial_image",
        "portrait.completed",
        "portrait.failed",
        "portrait.cancelled",
    ]
    id: str
    stage: Stage | None = None
    attempt: int | None = None
    step: int | None = None
    steps: int | None = None
    b64_json: str | None = None
    portrait: PortraitAnswer | None = None
    error: ErrorBody | None = None


@router.post(
    "/portraits",
    response_model=PortraitAnswer,
    responses={
        200: _STREAM,
        202: {"description": "Accepted, with `wait` off", "model": PortraitAnswer},
    },
)
async def draw(
    wish: Annotated[PortraitRequest, Body()], request: Request, here: Here, key: Painter
) -> Response:
    """Draw one portrait, or `count` of the same."""
    here.check_model(wish.model)
    waits = wish.wait or wish.stream
    ordering = partial(order_portrait, wish)
    ask = asking(request, key, here.settings.limits, ordering, keep=not waits)
    ticket = await here.desk.take(ask, wait=waits)
    if wish.stream:
        return EventStream(_events(ticket), lambda: here.desk.leave(ticket))
    if not wish.wait:
        return _json(await _shown(here, ticket.job_id, key.tenant), 202)
    try:
        outcome = await here.desk.outcome(ticket, leaving(request))
    except ClientLeft:
        return Response(status_code=LEFT)
    return _json(portrait_answer(outcome.job, outcome.pictures))


@router.post(
    "/portrait-batches",
    response_model=PortraitList,
    responses={202: {"description": "Accepted, with `wait` off", "model": PortraitList}},
)
async def draw_batch(
    wish: Annotated[PortraitBatch, Body()], request: Request, here: Here, key: Painter
) -> Response:
    """Draw several portraits at once: all are accepted, or none is.

    They are drawn in any case; with `wait` the answer comes when all have ended, each as it did.
    """
    for one in wish.requests:
        here.check_model(one.model)

    def read() -> Orders:
        orders = []
        for number, one in enumerate(wish.requests):
            payloads = Payloads(here.settings.limits)
            try:
                orders.append((order_portrait(one, payloads), payloads))
            except (ValueError, ApiError) as error:
                raise numbered(translate(error), number) from error
        return tuple(orders)

    tickets = await here.desk.take_batch(read, key, idempotency_key_of(request))
    answers = []
    for ticket in tickets:
        if wish.wait and ticket.feed is not None:
            outcome = await ticket.feed.outcome()
            answers.append(portrait_answer(outcome.job, outcome.pictures))
        else:
            answers.append(await _shown(here, ticket.job_id, key.tenant))
    return _json(PortraitList(data=tuple(answers)), 200 if wish.wait else 202)


@router.get("/portraits", response_model=PortraitList)
async def latest(
    here: Here,
    key: Reader,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
) -> Response:
    """The tenant's newest requests, without their pictures; those after the last one you have."""
    before = None if after is None else await _job(here, after, key.tenant)
    jobs = await to_thread.run_sync(here.desk.store.newest, key.tenant, limit + 1, before)
    shown = tuple(portrait_answer(job, None) for job in jobs[:limit])
    return _json(PortraitList(data=shown, has_more=len(jobs) > limit))


@router.get("/portraits/{job_id}", response_model=PortraitAnswer)
async def look_up(job_id: JobId, here: Here, key: Reader, images: bool = True) -> Response:
    """How far a request is, and its pictures once they are drawn."""
    return _json(await _shown(here, job_id, key.tenant, images))


@router.get(
    "/portraits/{job_id}/images/{number}",
    response_class=Response,
    responses={
        200: {
            "description": "The picture",
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("image/png", "image/jpeg", "image/webp")
            },
        }
    },
)
async def picture(
    job_id: JobId, number: Annotated[int, Path(ge=0, le=99)], here: Here, key: Reader
) -> Response:
    """One picture of a request, as a file."""
    job = await _job(here, job_id, key.tenant)
    drawn = await to_thread.run_sync(here.desk.store.payloads, job.id, DRAWN)
    if number not in drawn or job.packet.report is None:
        raise NotFound("not_found", f"{job_id} has no picture {number}: they count from 0")
    return Response(drawn[number], media_type=job.packet.report.pictures[number].media_type)


@router.get("/portraits/{job_id}/events", response_class=Response, responses={200: _STREAM})
async def follow(job_id: JobId, here: Here, key: Reader) -> Response:
    """Follow a request that was accepted before; leaving does not stop it."""
    await _job(here, job_id, key.tenant)
    return EventStream(_following(here, job_id))


@router.delete("/portraits/{job_id}", response_model=Forgotten)
async def forget(job_id: JobId, here: Here, key: Painter) -> Response:
    """Stop a request within one denoising step, and forget it with all its pictures."""
    await _job(here, job_id, key.tenant)
    feed = here.desk.runner.feed(job_id)
    if feed is not None and here.desk.runner.cancel(job_id):
        await feed.outcome()
    await to_thread.run_sync(here.desk.runner.write_late)  # what it used is booked all the same
    await to_thread.run_sync(here.desk.store.delete, job_id, key.tenant)
    return _json(Forgotten(id=job_id))


async def _following(here: Context, job_id: str) -> AsyncGenerator[bytes, None]:
    """The news of a job of which only the reading ends when its reader leaves."""
    try:
        ticket = await here.desk.join(job_id, follows=True)
    except ApiError as error:
        yield _sent(PortraitEvent(type="portrait.failed", id=job_id, error=error.body))
        return
    async for event in _events(ticket):
        yield event


async def _events(ticket: Ticket) -> AsyncGenerator[bytes, None]:
    """All that happens to a job, to its end."""
    job_id, outcome, queued = ticket.job_id, ticket.ended, False
    if ticket.feed is not None:
        async for news in ticket.feed.listen(steps=True):
            outcome = news.outcome
            if not queued:
                queued = True
                yield _sent(PortraitEvent(type="portrait.queued", id=job_id))
            if news.event is not None and (told := await _told(job_id, news.event)):
                yield told
    if outcome is not None:
        yield _sent(_last(job_id, outcome))


async def _told(job_id: str, event: Event) -> bytes | None:
    if event.kind is EventKind.STAGE:
        told = PortraitEvent(
            type="portrait.stage", id=job_id, stage=event.stage, attempt=event.attempt
        )
    elif event.kind is EventKind.STEP:
        told = PortraitEvent(
            type="portrait.step",
            id=job_id,
            step=event.step,
            steps=event.steps,
            attempt=event.attempt,
        )
    elif event.kind is EventKind.PREVIEW and event.image is not None:
        told = PortraitEvent(
            type="portrait.partial_image",
            id=job_id,
            step=event.step,
            steps=event.steps,
            b64_json=as_base64(await to_thread.run_sync(encoded, event.image, "png")),
        )
    else:
        return None
    return _sent(told)


def _last(job_id: str, outcome: Outcome) -> PortraitEvent:
    try:
        check(outcome)
    except ApiError as error:
        if error.body.code == "cancelled":
            return PortraitEvent(type="portrait.cancelled", id=job_id)
        return PortraitEvent(type="portrait.failed", id=job_id, error=error.body)
    answer = portrait_answer(outcome.job, outcome.pictures)
    return PortraitEvent(type="portrait.completed", id=job_id, portrait=answer)


async def _job(here: Context, job_id: str, tenant: str) -> Job:
    job = await to_thread.run_sync(here.desk.store.get, job_id, tenant)
    if job is None:
        raise NotFound("not_found", f"there is no request {job_id}, or it was forgotten")
    return job


async def _shown(here: Context, job_id: str, tenant: str, images: bool = True) -> PortraitAnswer:
    job = await _job(here, job_id, tenant)
    if not images or job.packet.report is None:
        return portrait_answer(job, None)
    drawn = await to_thread.run_sync(here.desk.store.payloads, job.id, DRAWN)
    return portrait_answer(job, tuple(drawn.values()))


def _sent(event: PortraitEvent) -> bytes:
    return as_event(event.type, event)


def _json(answer: Answer, status: int = 200) -> Response:
    return Response(answer.model_dump_json(), status, media_type="application/json")
