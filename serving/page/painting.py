"""A portrait from the press of a button to the wall: what the right side shows, step by step."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from serving.errors import ErrorBody
from serving.page.client import (
    ApiProblem,
    Cancelled,
    Completed,
    Event,
    PortraitApi,
    Preview,
    Queued,
    StageBegun,
    StepDone,
)
from serving.page.gallery import Shown
from serving.page.markup.easel import Progress
from serving.page.pictures import comparable, keep
from serving.page.wish import Wish, portrait_request
from serving.wire import PortraitAnswer

_LEAST_SECONDS: Final = 0.12  # between two looks at a portrait on its way


@dataclass(frozen=True)
class Underway:
    """It is being painted. id: "" until the server has accepted it."""

    id: str
    progress: Progress


@dataclass(frozen=True)
class Finished:
    """It is done."""

    shown: Shown


@dataclass(frozen=True)
class Stopped:
    """It was cancelled."""


@dataclass(frozen=True)
class Refused:
    """It failed, or was never begun."""

    problem: ApiProblem


State = Underway | Finished | Stopped | Refused


async def painting(api: PortraitApi, key: str, wish: Wish) -> AsyncIterator[State]:
    """The states of a portrait, no oftener than an eye can follow. Never raises an ApiProblem."""
    yield Underway("", Progress())
    try:
        request = portrait_request(wish)
    except (OSError, ValidationError) as error:
        yield Refused(_unusable(error))
        return
    portrait_id, progress, told = "", Progress(), 0.0
    try:
        async with aclosing(api.paint(key, request)) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Completed):
                    yield Finished(hang(event.portrait, wish))
                    return
                if isinstance(event, Cancelled):
                    yield Stopped()
                    return
                if isinstance(event, Queued):
                    portrait_id = event.id
                before, progress = progress, followed(progress, event)
                is_news = isinstance(event, Queued | Preview) or before.stage != progress.stage
                if is_news or time.monotonic() - told >= _LEAST_SECONDS:
                    told = time.monotonic()
                    yield Underway(portrait_id, progress)
        yield Refused(_cut_off())
    except ApiProblem as problem:
        yield Stopped() if problem.code == "cancelled" else Refused(problem)


def followed(progress: Progress, event: Event) -> Progress:
    """The progress after an event."""
    match event:
        case StageBegun(stage, attempt):
            return replace(progress, stage=stage, attempt=attempt, step=0)
        case StepDone(step, steps, attempt):
            return replace(progress, stage="denoise", attempt=attempt, step=step, steps=steps)
        case Preview(step, steps, picture):
            return replace(progress, stage="denoise", step=step, steps=steps, preview=picture)
    return progress


def hang(portrait: PortraitAnswer, wish: Wish) -> Shown:
    """A finished portrait with its pictures put where the browser finds them, byte for byte."""
    first = next((person.photo for person in wish.people if person.photo is not None), None)
    before = wish.target or first
    paths, compared = [], []
    for image in portrait.images:
        data = base64.b64decode(image.b64_json or "")
        paths.append(keep(data, f"limner-{image.seed}.png"))
        if before is not None:
            compared.append(_kept_pair(before, data))
    slots = tuple(n for n, person in enumerate(wish.people, 1) if person.photo is not None)
    light = portrait.model_copy(
        update={"images": tuple(i.model_copy(update={"b64_json": None}) for i in portrait.images)}
    )
    return Shown(light, tuple(paths), tuple(compared), slots, wish)


def _kept_pair(before: Path, after: bytes) -> tuple[str, str]:
    photo, painted = comparable(before, after)
    return keep(photo, "before.png"), keep(painted, "after.png")


def _unusable(error: Exception) -> ApiProblem:
    if isinstance(error, OSError):
        said = "a picture that was given is not there any more: choose it again"
        return ApiProblem(ErrorBody(message=said, type="page_error", code="image_rejected"))
    first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
    said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else "a value is wrong"
    return ApiProblem(ErrorBody(message=said, type="page_error", code="unknown"))


def _cut_off() -> ApiProblem:
    said = "the server closed the connection before the portrait was done"
    return ApiProblem(ErrorBody(message=said, type="page_error", code="unreachable"))
