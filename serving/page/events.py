"""What happens when something is pressed, chosen or written. Imports Gradio."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import gradio as gr

from serving.page.build import Page, footer_of
from serving.page.client import ApiProblem, PortraitApi
from serving.page.examples import drawn_portraits
from serving.page.markup import people as people_markup
from serving.page.markup.plan import plan, refused_plan
from serving.page.pictures import keep
from serving.page.result_events import account_of, key_of, wire_results
from serving.page.wish import MOST_PEOPLE, OPEN, control_value, optimize_request, shares
from serving.page.words import (
    LANGUAGE_COOKIE,
    Words,
    chosen_language,
    other_language,
    presets,
    words,
)
from serving.wire import ModelAnswer

Updates = dict[Any, Any]
Data = Mapping[Any, Any]
_PAUSE_SECONDS: Final = 0.35  # in writing, before the words are looked at
_QUIET: Final = {"show_progress": "hidden", "api_visibility": "private"}


def wire(page: Page, api: PortraitApi) -> None:
    """Join all parts of the page."""
    _wire_people(page)
    _wire_target(page)
    _wire_look(page, api)
    _wire_advanced(page)
    wire_results(page, api)
    _wire_language(page, api)


def _wire_people(page: Page) -> None:
    people, reader = page.people, page.reader
    slots = people.slots

    def visible(shown: int) -> Updates:
        updates: Updates = {people.shown: shown, people.add: gr.update(visible=shown < MOST_PEOPLE)}
        for number, slot in enumerate(slots, 1):
            updates[slot.tile] = gr.update(visible=number <= shown)
            updates[slot.weight] = gr.update(visible=shown > 1)
            updates[slot.remove] = gr.update(visible=shown > 1)
        return updates

    def add(shown: int) -> Updates:
        return visible(min(shown + 1, MOST_PEOPLE))

    def remove(number: int) -> Any:
        def handler(data: Data) -> Updates:
            """The slots behind move up by one."""
            shown = int(data[people.shown])
            updates = visible(max(shown - 1, 1))
            for index in range(number - 1, shown):
                slot, behind = slots[index], slots[index + 1] if index + 1 < shown else None
                updates[slot.photo] = gr.update(value=data[behind.photo] if behind else None)
                weight = data[behind.weight] if behind else 50
                updates[slot.weight] = gr.update(value=weight, visible=updates[people.shown] > 1)
                updates[slot.face] = gr.update(value=None, visible=False)
            return updates

        return handler

    def drawn() -> Updates:
        updates = visible(2)
        for number, picture in enumerate(drawn_portraits(2)):
            updates[slots[number].photo] = keep(picture, f"drawn-{number + 1}.png")
        return updates

    def told(data: Data) -> Updates:
        return _shares(page, words(data[page.language]), data)

    everything = [
        people.shown, people.add,
        *(part for s in slots for part in (s.tile, s.photo, s.weight, s.face, s.remove)),
    ]  # fmt: skip
    people.add.click(add, people.shown, everything, **_QUIET)
    people.drawn.click(drawn, None, everything, **_QUIET)
    for number, slot in enumerate(slots, 1):
        slot.remove.click(remove(number), reader.of_people, everything, **_QUIET)
        slot.photo.input(lambda: gr.update(value=None, visible=False), None, slot.face, **_QUIET)
    gr.on(
        [event for s in slots for event in (s.photo.change, s.weight.change)]
        + [people.shown.change],
        told,
        reader.of_people | {page.language},
        [people.shares, *(slot.caption for slot in slots)],
        trigger_mode="always_last",
        **_QUIET,
    )


def _shares(page: Page, said: Words, data: Data) -> Updates:
    given = shares(page.reader.people(data))
    bar = people_markup.shares_bar(said, given)
    updates: Updates = {page.people.shares: gr.update(value=bar, visible=bool(bar))}
    only = sum(share is not None for share in given) < 2
    for number, slot in enumerate(page.people.slots, 1):
        share = given[number - 1] if number <= len(given) and not only else None
        updates[slot.caption] = people_markup.caption(said, number, share)
    return updates


def _wire_target(page: Page) -> None:
    target = page.target
    target.photo.input(lambda: gr.update(value=None, visible=False), None, target.face, **_QUIET)
    target.photo.change(
        lambda photo: gr.update(visible=photo is not None), target.photo, target.strength, **_QUIET
    )
    target.drawn.click(
        lambda: keep(drawn_portraits(1)[0], "drawn-target.png"), None, target.photo, **_QUIET
    )


def _wire_look(page: Page, api: PortraitApi) -> None:
    look, reader = page.look, page.reader
    controls = look.attributes

    def fill(attributes: Mapping[str, str | int | bool]) -> Any:
        def handler() -> Updates:
            return {
                control: [] if control.__class__.__name__ == "Dropdown" and control.multiselect
                else control_value(key, attributes.get(key))
                for key, control in controls.items()
            }  # fmt: skip

        return handler

    async def planned(data: Data, request: gr.Request) -> str:
        await asyncio.sleep(_PAUSE_SECONDS)
        said = words(data[page.language])
        question = optimize_request(reader.said(data))
        if question is None:
            return plan(said, None)
        try:
            return plan(said, await api.optimize(key_of(request), question))
        except ApiProblem as problem:
            return refused_plan(said, problem)

    for preset, button in zip(presets(), look.presets, strict=True):
        button.click(fill(preset.attributes), None, list(controls.values()), **_QUIET)
    look.clear.click(
        lambda: {**fill({})(), look.text: ""}, None, [*controls.values(), look.text], **_QUIET
    )
    gr.on(
        [
            look.text.change,
            *(control.change for control in controls.values()),
            page.language.change,
        ],
        planned,
        reader.of_words | {page.language},
        look.plan,
        trigger_mode="always_last",
        **_QUIET,
    )


def _wire_advanced(page: Page) -> None:
    how = page.advanced

    def showing(when: object, *shown: Any) -> Any:
        def handler(value: object) -> Updates:
            return {control: gr.update(visible=value == when) for control in shown}

        return {"fn": handler, "outputs": list(shown), **_QUIET}

    how.steps.change(inputs=how.steps, **showing("fixed", how.steps_number))
    how.seed.change(inputs=how.seed, **showing("seed_fixed", how.seed_number))
    how.own_scales.change(inputs=how.own_scales, **showing(True, how.guidance, how.identity))


def _wire_language(page: Page, api: PortraitApi) -> None:
    result = page.result

    async def speak(said: Words, request: gr.Request) -> Updates:
        updates: Updates = {
            component: gr.update(**says)
            for component, says in page.speaker.in_language(said).items()
        }
        updates[page.language] = said.language
        models: tuple[ModelAnswer, ...] = ()
        with suppress(ApiProblem):  # the footer can do without; what cannot will say so itself
            models = await api.models(key_of(request))
        updates[page.footer] = footer_of(said, _bundle(said, models))
        updates[page.advanced.size] = gr.update(
            label=said("advanced.size"), choices=_sizes(said, models)
        )
        return updates

    async def begin(request: gr.Request) -> Updates:
        cookie = request.cookies.get(LANGUAGE_COOKIE)
        language = chosen_language(cookie, request.headers.get("accept-language"))
        return await speak(words(language), request)

    async def switch(language: str, request: gr.Request) -> Updates:
        return await speak(words(other_language(chosen_language(language, None))), request)

    def again(data: Data) -> Updates:
        said = words(data[page.language])
        return _shares(page, said, data) | {result.account: account_of(said, data[result.shown])}

    outputs = [
        *dict.fromkeys([*page.speaker.components, page.language, page.footer, page.advanced.size])
    ]
    told = {
        "fn": again,
        "inputs": page.reader.of_people | {page.language, result.shown},
        "outputs": [page.people.shares, *(s.caption for s in page.people.slots), result.account],
        **_QUIET,
    }
    tell = "(language) => { window.limnerLanguage(language); }"
    gr.on(None, begin, None, outputs, **_QUIET).then(
        None, page.language, None, js=tell, **_QUIET
    ).then(**told)
    page.switch.click(switch, page.language, outputs, **_QUIET).then(
        None, page.language, None, js=tell, **_QUIET
    ).then(**told)
    page.theme.click(None, None, None, js="() => { window.limnerTheme(); }", **_QUIET)


def _bundle(said: Words, models: tuple[ModelAnswer, ...]) -> str:
    if not models:
        return ""
    facts = models[0].limner
    kind = f"page.{facts.draws.split()[0]}"
    draws = said(kind) if said.has(kind) else facts.draws
    return said(
        "page.bundle", name=models[0].id, licence=facts.licence, draws=draws,
        width=facts.size[0], height=facts.size[1],
    )  # fmt: skip


def _sizes(said: Words, models: tuple[ModelAnswer, ...]) -> list[tuple[str, str]]:
    """The model's own size, and upright and wide ones of about as many pixels.

    No larger one: a model draws what it was trained at, and two heads where there is more room.
    """
    own = (said("advanced.size_own"), OPEN)
    if not models:
        return [own]
    side = models[0].limner.size[0]
    step = max(8, side // 8)
    wider, lower = side + step, side - step
    offered = ((lower, wider), (wider, lower))
    return [own, *((f"{w} × {h}", f"{w}x{h}") for w, h in offered)]
