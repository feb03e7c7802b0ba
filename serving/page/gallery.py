"""The right side: the easel, and what came off it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from serving.page.markup import easel
from serving.page.markup.pieces import heading
from serving.page.speaker import Speaker
from serving.page.wish import Wish
from serving.wire import PortraitAnswer


@dataclass(frozen=True)
class Shown:
    """A finished portrait of this session: its account, and where its pictures lie.

    portrait: without the pictures' bytes. before: what it is laid over to compare. wish: what was
    asked for. slots: of the people, from 1. index: the picture that is looked at.
    """

    portrait: PortraitAnswer
    pictures: tuple[str, ...]
    compared: tuple[tuple[str, str], ...]
    slots: tuple[int, ...]
    wish: Wish
    index: int = 0


@dataclass(frozen=True)
class ResultControls:
    """Everything of the right side. running: the id of what is being painted, to stop it by."""

    easel: Any
    result: Any
    picture: Any
    slider: Any
    no_slider: Any
    pictures: Any
    download: Any
    as_target: Any
    same_seed: Any
    account: Any
    history_card: Any
    history: Any
    shown: Any
    past: Any
    running: Any


def result_section(speaker: Speaker) -> ResultControls:
    """An empty easel; the rest is hidden until there is something."""
    with gr.Column(elem_classes="lm-card lm-stagecard", elem_id="result"):
        canvas = speaker.make(gr.HTML, {"value": easel.empty}, elem_id="easel")
        with gr.Column(visible=False, elem_id="finished", elem_classes="lm-bare") as result:
            with gr.Tabs(elem_classes="lm-tabs"):
                with speaker.make(gr.Tab, {"label": "result.picture"}, id="picture"):
                    picture = speaker.make(
                        gr.Image, {"label": "result.picture"}, type="filepath", interactive=False,
                        show_label=False, buttons=["fullscreen"], elem_classes="lm-result",
                        elem_id="picture",
                    )  # fmt: skip
                with speaker.make(gr.Tab, {"label": "result.compare"}, id="compare"):
                    slider = speaker.make(
                        gr.ImageSlider, {"label": "result.compare"}, type="filepath",
                        interactive=False, show_label=False, buttons=[], elem_id="compare",
                        elem_classes="lm-result", max_height=640, visible=False,
                    )  # fmt: skip
                    no_slider = speaker.make(
                        gr.HTML,
                        {"value": lambda words: heading("", words("result.compare_empty"))},
                    )
            pictures = speaker.make(
                gr.Gallery, {"label": "result.gallery"}, show_label=False, columns=4,
                allow_preview=False, buttons=[], interactive=False, visible=False,
                elem_classes="lm-strip", elem_id="pictures", object_fit="cover",
            )  # fmt: skip
            with gr.Row(elem_classes="lm-actions"):
                download = speaker.make(
                    gr.DownloadButton, {"label": "result.download"}, size="md",
                    elem_id="download", min_width=0,
                )  # fmt: skip
                as_target = speaker.make(
                    gr.Button, {"value": "result.as_target"}, size="md", elem_id="as-target",
                    min_width=0,
                )  # fmt: skip
                same_seed = speaker.make(
                    gr.Button, {"value": "result.same_seed"}, size="md", elem_id="same-seed",
                    min_width=0,
                )  # fmt: skip
            account = gr.HTML("", elem_id="account")
    with gr.Column(visible=False, elem_classes="lm-card", elem_id="history") as history_card:
        speaker.make(gr.HTML, {"value": lambda words: heading(words("result.history"))})
        history = speaker.make(
            gr.Gallery, {"label": "result.history"}, show_label=False, columns=6,
            allow_preview=False, buttons=[], interactive=False, elem_classes="lm-strip",
            object_fit="cover",
        )  # fmt: skip
    return ResultControls(
        easel=canvas, result=result, picture=picture, slider=slider, no_slider=no_slider,
        pictures=pictures, download=download, as_target=as_target, same_seed=same_seed,
        account=account, history_card=history_card, history=history,
        shown=gr.State(None), past=gr.State(()), running=gr.State(""),
    )  # fmt: skip
