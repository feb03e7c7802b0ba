"""The page itself: header, both sides, footer, put together and wired. Imports Gradio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from serving.page.client import PortraitApi
from serving.page.controls import (
    AdvancedControls,
    LookControls,
    PeopleControls,
    TargetControls,
    advanced_section,
    look_section,
    people_section,
    target_section,
)
from serving.page.gallery import ResultControls, result_section
from serving.page.reader import Reader
from serving.page.speaker import Speaker
from serving.page.words import DEFAULT_LANGUAGE, Words, words


@dataclass(frozen=True)
class Page:
    """All parts of a page, for the events that join them."""

    speaker: Speaker
    language: Any
    switch: Any
    theme: Any
    leave: Any
    people: PeopleControls
    target: TargetControls
    look: LookControls
    advanced: AdvancedControls
    paint: Any
    stop: Any
    result: ResultControls
    footer: Any
    reader: Reader


def build(api: PortraitApi, path: str) -> gr.Blocks:
    """The page as Gradio's blocks; `path` is where it will be mounted."""
    from serving.page.events import wire

    speaker = Speaker(words(DEFAULT_LANGUAGE))
    with gr.Blocks(
        title="Limner",
        analytics_enabled=False,
        fill_width=True,
    ) as blocks:
        # A state never reaches the browser, and the browser must know the language too.
        language = gr.Textbox(DEFAULT_LANGUAGE, visible="hidden", elem_id="language-now")
        switch, theme, leave = _header(speaker, path)
        with gr.Row(elem_classes="lm-main", equal_height=False):
            with gr.Column(elem_classes="lm-left", min_width=0):
                people = people_section(speaker)
                target = target_section(speaker)
                look = look_section(speaker)
                advanced = advanced_section(speaker)
                with gr.Row(elem_classes="lm-paint"):
                    paint = speaker.make(
                        gr.Button, {"value": "paint.start"}, variant="primary", size="lg",
                        elem_id="paint", min_width=0,
                    )  # fmt: skip
                    stop = speaker.make(
                        gr.Button, {"value": "paint.stop"}, variant="stop", size="lg",
                        elem_id="stop", min_width=0, visible=False,
                    )  # fmt: skip
            with gr.Column(elem_classes="lm-right", min_width=0):
                result = result_section(speaker)
        footer = gr.HTML(footer_of(words(DEFAULT_LANGUAGE), ""), elem_id="lm-footer")
        wire(
            Page(
                speaker, language, switch, theme, leave, people, target, look, advanced, paint,
                stop, result, footer, Reader(people, target, look, advanced),
            ),
            api,
        )  # fmt: skip
    blocks.queue(default_concurrency_limit=None)
    return blocks


def _header(speaker: Speaker, path: str) -> tuple[Any, Any, Any]:
    with gr.Row(elem_classes="lm-header"):
        speaker.make(gr.HTML, {"value": _wordmark})
        with gr.Row(elem_classes="lm-header-side"):
            switch = speaker.make(
                gr.Button, {"value": "page.language"}, size="sm", elem_classes="lm-quiet",
                elem_id="language", min_width=0, scale=0,
            )  # fmt: skip
            theme = speaker.make(
                gr.Button, {"value": "page.theme"}, size="sm", elem_classes="lm-quiet lm-icon",
                elem_id="theme", min_width=0, scale=0,
            )  # fmt: skip
            leave = speaker.make(
                gr.HTML, {"value": _leave(path)}, elem_classes="lm-leave", min_width=0,
            )  # fmt: skip
    return switch, theme, leave


def _wordmark(said: Words) -> str:
    return (
        f'<div class="lm-wordmark"><h1>Limner</h1><span>{escape(said("page.tagline"))}</span></div>'
    )


def _leave(path: str) -> Callable[[Words], str]:
    return lambda said: (
        f'<a class="lm-quiet-link" href="{escape(path)}/leave">{escape(said("page.leave"))}</a>'
    )


def footer_of(said: Words, bundle: str) -> str:
    """What holds for every picture, and which model draws."""
    model = f'<p class="lm-bundle">{escape(bundle)}</p>' if bundle else ""
    return f'<footer class="lm-footer"><p>{escape(said("page.consent"))}</p>{model}</footer>'
