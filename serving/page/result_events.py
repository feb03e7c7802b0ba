"""Painting, stopping, and what is done with a finished portrait. Imports Gradio."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gradio as gr

from serving.page.client import ApiProblem, PortraitApi
from serving.page.gallery import Shown
from serving.page.guard import KEY_COOKIE
from serving.page.markup import easel
from serving.page.markup.account import account
from serving.page.markup.people import numbered_faces
from serving.page.painting import Finished, Refused, Stopped, Underway, painting
from serving.page.pictures import small
from serving.page.wish import Wish, slot_of_identity
from serving.page.words import Words, words

if TYPE_CHECKING:  # build imports events, which imports this
    from serving.page.build import Page

Updates = dict[Any, Any]
Data = Mapping[Any, Any]
_QUIET: Final = {"show_progress": "hidden", "api_visibility": "private"}
_MOST_KEPT: Final = 24  # portraits of a session
_IDENTITY: Final = re.compile(r"identity (\d+)")  # as messages call a person


def key_of(request: gr.Request) -> str:
    """The visitor's key, from the cookie that only the server reads."""
    return str(request.cookies.get(KEY_COOKIE, ""))


def account_of(said: Words, shown: Shown | None) -> str:
    """The account of the picture that is looked at."""
    return account(said, shown.portrait, shown.index, shown.slots) if shown else ""


def wire_results(page: Page, api: PortraitApi) -> None:
    """Join the buttons and the right side."""
    _wire_painting(page, api)
    _wire_looking(page)


def _wire_painting(page: Page, api: PortraitApi) -> None:
    result, reader = page.result, page.reader

    async def paint(data: Data, request: gr.Request) -> AsyncIterator[Updates]:
        said = words(data[page.language])
        wish = reader.wish(data)
        busy = {page.paint: gr.update(visible=False), page.stop: gr.update(visible=True)}
        idle = {
            page.paint: gr.update(visible=True),
            page.stop: gr.update(visible=False),
            result.running: "",
        }
        async with aclosing(painting(api, key_of(request), wish)) as states:  # type: ignore[type-var]
            async for state in states:
                match state:
                    case Underway(portrait_id, progress):
                        yield {
                            result.easel: gr.update(
                                value=easel.at_work(said, progress), visible=True
                            ),
                            result.result: gr.update(visible=False),
                            result.running: portrait_id,
                            **busy,
                        }
                        busy = {}
                    case Finished(shown):
                        past = (shown, *data[result.past])[:_MOST_KEPT]
                        yield {**idle, **_look_at(page, said, shown), **_past(page, past)}
                    case Stopped():
                        yield {**idle, result.easel: easel.stopped(said)}
                    case Refused(problem):
                        yield {**idle, **_refused(page, said, wish, problem)}

    async def stop(portrait_id: str, request: gr.Request) -> None:
        if portrait_id:
            with suppress(ApiProblem):  # it was done already, or the stream tells what is wrong
                await api.forget(key_of(request), portrait_id)

    people = page.people.slots
    page.paint.click(
        paint,
        reader.of_all | {page.language, result.past},
        [
            page.paint, page.stop, result.easel, result.running, *_looked(page), *_past_parts(page),
            page.target.face, *(slot.face for slot in people),
        ],
        **_QUIET,
    )  # fmt: skip
    page.stop.click(stop, result.running, None, **_QUIET)


def _looked(page: Page) -> list[Any]:
    r = page.result
    return [
        r.result, r.picture, r.slider, r.no_slider, r.pictures, r.download, r.account, r.shown,
    ]  # fmt: skip


def _past_parts(page: Page) -> list[Any]:
    return [page.result.past, page.result.history, page.result.history_card]


def _look_at(page: Page, said: Words, shown: Shown) -> Updates:
    """One picture of a portrait on the wall, and all that is told about it."""
    result, index = page.result, shown.index
    compared = shown.compared[index] if shown.compared else None
    return {
        result.easel: gr.update(visible=False, value=easel.empty(said)),
        result.result: gr.update(visible=True),
        result.picture: shown.pictures[index],
        result.slider: gr.update(value=compared, visible=compared is not None),
        result.no_slider: gr.update(visible=compared is None),
        result.pictures: gr.update(
            value=list(shown.pictures), visible=len(shown.pictures) > 1, selected_index=index
        ),
        result.download: gr.update(value=shown.pictures[index]),
        result.account: account_of(said, shown),
        result.shown: shown,
    }


def _past(page: Page, past: tuple[Shown, ...]) -> Updates:
    return {
        page.result.past: past,
        page.result.history: gr.update(value=[one.pictures[0] for one in past]),
        page.result.history_card: gr.update(visible=len(past) > 1),
    }


def _refused(page: Page, said: Words, wish: Wish, problem: ApiProblem) -> Updates:
    """A calm word; where a face must be chosen, the faces and the choice between them."""
    updates: Updates = {page.result.result: gr.update(visible=False)}
    inner = advice = ""
    boxes = problem.body.boxes or ()
    if problem.code == "several_faces" and boxes:
        number = _IDENTITY.search(problem.body.message)
        slot = slot_of_identity(wish, int(number[1]) - 1) if number else None
        photo = wish.people[slot].photo if slot is not None else wish.target
        face = page.people.slots[slot].face if slot is not None else page.target.face
        options = [(str(n), n) for n in range(1, len(boxes) + 1)]
        updates[face] = gr.update(choices=options, visible=True, label=said("people.face"))
        inner = _faces(photo, boxes)
        advice = said("notice.choose_face")
    updates[page.result.easel] = gr.update(
        value=easel.failed(said, problem, inner, advice), visible=True
    )
    return updates


def _faces(photo: Path | None, boxes: tuple[tuple[int, int, int, int], ...]) -> str:
    if photo is None:
        return ""
    try:
        return numbered_faces(*small(photo, boxes))
    except OSError:
        return ""


def _wire_looking(page: Page) -> None:
    result = page.result
    target, advanced = page.target, page.advanced

    def choose(data: Data, chosen: gr.SelectData) -> Updates:
        shown: Shown = replace(data[result.shown], index=int(chosen.index))
        return _look_at(page, words(data[page.language]), shown)

    def recall(data: Data, chosen: gr.SelectData) -> Updates:
        shown: Shown = data[result.past][int(chosen.index)]
        return _look_at(page, words(data[page.language]), shown)

    def as_target(shown: Shown | None) -> Any:
        return shown.pictures[shown.index] if shown else gr.update()

    def same_seed(shown: Shown | None) -> tuple[Any, Any]:
        if shown is None:
            return gr.update(), gr.update()
        seed = shown.portrait.images[shown.index].seed
        return "seed_fixed", gr.update(value=seed, visible=True)

    looked = [result.easel, *_looked(page)]
    result.pictures.select(choose, {page.language, result.shown}, looked, **_QUIET)
    result.history.select(recall, {page.language, result.past}, looked, **_QUIET)
    result.as_target.click(as_target, result.shown, target.photo, **_QUIET)
    result.same_seed.click(
        same_seed, result.shown, [advanced.seed, advanced.seed_number], **_QUIET
    ).then(
        None, None, None, js="() => { window.limnerUnfold('advanced'); }", **_QUIET
    )  # fmt: skip
