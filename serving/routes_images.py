"""OpenAI's Images API: /v1/images/generations and /v1/images/edits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Body, Request
from PIL import Image
from pydantic import ValidationError
from starlette.responses import Response

from serving.answers import as_base64, encoded, portrait_answer
from serving.context import Context, Here, Painter, asking, leaving
from serving.desk import Asked, Ticket
from serving.errors import ApiError, BadRequest, ErrorAnswer, translate
from serving.events import LEFT, EventStream, as_event
from serving.feed import Outcome
from serving.forms import read_form
from serving.images import (
    EditRequest,
    GenerationRequest,
    ImageEvent,
    ImagesAnswer,
    images_answer,
    order_edit,
    order_generation,
    shown_quality,
    token_usage,
)
from serving.intake import Payloads
from serving.packet import Order
from serving.refusals import ClientLeft, check
from serving.validation import first_problem

router = APIRouter(prefix="/v1/images", tags=["OpenAI's Images API"])
HELD_SECONDS: Final = 10.0  # a stream begins with its first picture, so that failures have a status

_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Pictures; with `stream`, server-sent events",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_FORM: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image", "prompt"],
                    "properties": {
                        "image": {
                            "description": "One picture, or several as `image[]`",
                            "type": "string",
                            "format": "binary",
                        },
                        "mask": {
                            "description": "Transparent (or white) where it is drawn anew",
                            "type": "string",
                            "format": "binary",
                        },
                        "prompt": {"type": "string", "minLength": 1},
                        "model": {"type": "string"},
                        "n": {"type": "integer", "minimum": 1, "maximum": 10},
                        "size": {"type": "string"},
                        "stream": {"type": "boolean"},
                        "partial_images": {"type": "integer", "minimum": 0, "maximum": 3},
                        "output_format": {"type": "string", "enum": ["png", "jpeg", "webp"]},
                    },
                }
            }
        },
    }
}


@router.post("/generations", response_model=ImagesAnswer, responses=_STREAM)
async def generate(
    wish: Annotated[GenerationRequest, Body()], request: Request, here: Here, key: Painter
) -> Response:
    """Draw new portraits from words; whose face, by `identities` in the SDK's extra_body."""
    here.check_model(wish.model)

    def ordering(payloads: Payloads) -> Order:
        return order_generation(wish, payloads, here.desk.native)

    ask = asking(request, key, here.settings.limits, ordering, keep=False)
    return await _answer(here, request, ask, "image_generation", bool(wish.stream))


@router.post("/edits", response_model=ImagesAnswer, responses=_STREAM, openapi_extra=_FORM)
async def edit(request: Request, here: Here, key: Painter) -> Response:
    """Draw a given portrait anew as the words say, or other people's faces into it."""
    fields, files = await read_form(request, here.settings.limits.picture_bytes)
    try:
        wish = EditRequest.model_validate(fields)
    except ValidationError as error:
        raise first_problem(error.errors(include_url=False)) from error
    if not files.images:
        raise BadRequest("invalid_request", "image is missing: send a picture", param="image")
    here.check_model(wish.model)

    def ordering(payloads: Payloads) -> Order:
        return order_edit(wish, files.images, files.mask, payloads, here.desk.native)

    ask = asking(request, key, here.settings.limits, ordering, keep=False)
    return await _answer(here, request, ask, "image_edit", bool(wish.stream))


async def _answer(
    here: Context, request: Request, ask: Callable[[], Asked], kind: str, stream: bool
) -> Response:
    ticket = await here.desk.take(ask)
    if stream:
        return await _stream(here, request, ticket, kind)
    try:
        outcome = await here.desk.outcome(ticket, leaving(request))
    except ClientLeft:
        return Response(status_code=LEFT)
    answer = images_answer(outcome, portrait_answer(outcome.job, None))
    return Response(answer.model_dump_json(), media_type="application/json")


async def _stream(here: Context, request: Request, ticket: Ticket, kind: str) -> Response:
    """Hold the answer until there is a picture or a failure: a failure then has its own status."""
    events = _events(here, ticket, kind)
    first = asyncio.ensure_future(anext(events))
    gone = asyncio.ensure_future(leaving(request)())
    await asyncio.wait([first, gone], timeout=HELD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    left = gone.done()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    if left or (first.done() and first.exception() is not None):
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await events.aclose()
        here.desk.leave(ticket)
        if not left:
            first.result()  # raises what it failed with
        return Response(status_code=LEFT)
    return EventStream(_from(first, events), lambda: here.desk.leave(ticket))


async def _from(
    first: asyncio.Future[bytes], rest: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """The events with the one that was waited for; what fails now can only be told as an event."""
    try:
        yield await first
        async for event in rest:
            yield event
    except ApiError as error:
        yield as_event("error", ErrorAnswer(error=error.body))
    except Exception as error:
        yield as_event("error", translate(error).answer)
    finally:
        first.cancel()
        await rest.aclose()


async def _events(here: Context, ticket: Ticket, kind: str) -> AsyncGenerator[bytes, None]:
    """Partial pictures, then each finished one. Raises what the job failed with."""
    outcome, partial = ticket.ended, 0
    if ticket.feed is not None:
        order = ticket.feed.packet.order
        async for news in ticket.feed.listen():
            outcome = news.outcome
            if news.event is None or news.event.image is None:
                continue
            data = await to_thread.run_sync(_encoded, news.event.image, order)
            width, height = order.shown_size or news.event.image.size
            yield as_event(
                f"{kind}.partial_image",
                ImageEvent(
                    type=f"{kind}.partial_image",
                    b64_json=as_base64(data),
                    created_at=int(time.time()),
                    output_format=order.output_format,
                    quality=shown_quality(order.quality),
                    size=f"{width}x{height}",
                    partial_image_index=partial,
                ),
            )
            partial += 1
    if outcome is None:
        raise RuntimeError("a stream ends with an outcome")
    check(outcome)
    for event in _completed(outcome, kind):
        yield event


def _completed(outcome: Outcome, kind: str) -> list[bytes]:
    """An event for each picture; the last has the whole usage, so that their sum is right."""
    answer = images_answer(outcome, portrait_answer(outcome.job, None))
    last = len(answer.data) - 1
    return [
        as_event(
            f"{kind}.completed",
            ImageEvent(
                type=f"{kind}.completed",
                b64_json=datum.b64_json,
                created_at=answer.created,
                output_format=answer.output_format,
                quality=answer.quality,
                size=answer.size,
                usage=answer.usage if number == last else token_usage(0),
                limner=answer.limner if number == last else None,
            ),
        )
        for number, datum in enumerate(answer.data)
    ]


def _encoded(image: Image.Image, order: Order) -> bytes:
    """A picture on the way, in the size and format of the one to come."""
    if order.shown_size is not None and order.target is None:
        image = image.resize(order.shown_size, Image.Resampling.BICUBIC)
    return encoded(image, order.output_format)
