"""The left side: everything that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from prompting import AttributeDescription, describe_attributes
from serving.page.markup import people as people_markup
from serving.page.markup.pieces import heading
from serving.page.markup.plan import plan
from serving.page.photo_input import PhotoInput
from serving.page.speaker import Speaker
from serving.page.wish import ACCESSORIES, MOST_PEOPLE, OPEN, WITH, WITHOUT
from serving.page.words import Preset, Words, presets

# What the mini bundle draws, in the order a person would say it.
FIRST: Final = (
    "age", "gender", "expression", "hair", "clothing", "background", "light", "view",
    "glasses", "beard", "hat", "earrings",
)  # fmt: skip
PILLS: Final = ("glasses", "beard", "hat", "earrings")
SEVERAL: Final = ("marks", "lens")
FREE: Final = ("phrases", "exclude")
_AGES: Final = ("20", "30", "40", "50", "60", "70")


@dataclass(frozen=True)
class Slot:
    """One person: the tile, its caption, photo, weight, which face, and the way out."""

    tile: Any
    caption: Any
    photo: Any
    weight: Any
    face: Any
    remove: Any


@dataclass(frozen=True)
class PeopleControls:
    """The people. shown: how many slots are to be seen."""

    slots: tuple[Slot, ...]
    shares: Any
    add: Any
    drawn: Any
    shown: Any


@dataclass(frozen=True)
class TargetControls:
    """The picture that a face is painted into."""

    photo: Any
    face: Any
    strength: Any
    drawn: Any


@dataclass(frozen=True)
class LookControls:
    """Attributes by key, free words, what becomes of both, and named looks."""

    attributes: Mapping[str, Any]
    text: Any
    plan: Any
    presets: tuple[Any, ...]
    clear: Any


@dataclass(frozen=True)
class AdvancedControls:
    """How it is drawn."""

    mode: Any
    steps: Any
    steps_number: Any
    own_scales: Any
    guidance: Any
    identity: Any
    seed: Any
    seed_number: Any
    count: Any
    size: Any
    likeness: Any


def people_section(speaker: Speaker) -> PeopleControls:
    """Slots for people; only the first is shown."""
    with gr.Column(elem_classes="lm-card", elem_id="people"):
        with gr.Row(elem_classes="lm-head"):
            speaker.make(gr.HTML, {"value": _headed("people")})
            drawn = speaker.make(
                gr.Button, {"value": "people.drawn"}, size="sm", elem_classes="lm-quiet",
                elem_id="drawn-people", min_width=0, scale=0,
            )  # fmt: skip
        with gr.Row(elem_classes="lm-people"):
            slots = tuple(_slot(speaker, number) for number in range(1, MOST_PEOPLE + 1))
            add = speaker.make(
                gr.Button, {"value": "people.add"}, elem_classes="lm-add", elem_id="add-person",
                min_width=0,
            )  # fmt: skip
        shares = speaker.make(gr.HTML, {"value": lambda words: people_markup.shares_bar(words, [])})
        shown = gr.State(1)
    return PeopleControls(slots, shares, add, drawn, shown)


def _slot(speaker: Speaker, number: int) -> Slot:
    with gr.Column(
        visible=number == 1, elem_classes="lm-slot", elem_id=f"person-{number}", min_width=0
    ) as tile:
        with gr.Row(elem_classes="lm-slot-head"):
            caption = speaker.make(
                gr.HTML, {"value": lambda words: people_markup.caption(words, number, None)}
            )
            remove = speaker.make(
                gr.Button, {"value": "people.remove"}, size="sm", elem_classes="lm-remove",
                min_width=0, scale=0, elem_id=f"remove-{number}", visible=number > 1,
            )  # fmt: skip
        photo = speaker.make(
            PhotoInput,
            {
                "label": lambda words: words("people.photo", number=number),
                "placeholder": "people.drop",
            },
            type="filepath", image_mode=None, show_label=False, height=150, buttons=[],
            sources=["upload", "webcam", "clipboard"], elem_classes="lm-photo",
            elem_id=f"photo-{number}", min_width=0,
        )  # fmt: skip
        weight = speaker.make(
            gr.Slider,
            {"label": lambda words: words("people.weight", number=number)},
            minimum=0, maximum=100, value=50, step=1, show_label=False, buttons=[],
            elem_classes="lm-weight", elem_id=f"weight-{number}", container=False, min_width=0,
            visible=number > 1,
        )  # fmt: skip
        face = speaker.make(
            gr.Radio, {"label": "people.face"}, choices=[], visible=False, min_width=0,
            elem_classes="lm-pills lm-face", elem_id=f"face-{number}",
        )  # fmt: skip
    return Slot(tile, caption, photo, weight, face, remove)


def target_section(speaker: Speaker) -> TargetControls:
    """An optional picture to paint into."""
    with gr.Column(elem_classes="lm-card", elem_id="target"):
        with gr.Row(elem_classes="lm-head"):
            speaker.make(gr.HTML, {"value": _headed("target")})
            drawn = speaker.make(
                gr.Button, {"value": "target.drawn"}, size="sm", elem_classes="lm-quiet",
                elem_id="drawn-target", min_width=0, scale=0,
            )  # fmt: skip
        with gr.Row(elem_classes="lm-target"):
            photo = speaker.make(
                PhotoInput, {"label": "target.photo", "placeholder": "people.drop"},
                type="filepath", image_mode=None, show_label=False, height=150, buttons=[],
                elem_classes="lm-photo", sources=["upload", "webcam", "clipboard"],
                elem_id="target-photo", min_width=0,
            )  # fmt: skip
            with gr.Column(min_width=0, elem_classes="lm-target-side"):
                strength = speaker.make(
                    gr.Slider, {"label": "target.strength"}, minimum=5, maximum=100, value=85,
                    step=1, buttons=[], elem_id="strength", min_width=0, visible=False,
                )  # fmt: skip
                face = speaker.make(
                    gr.Radio, {"label": "people.face"}, choices=[], visible=False, min_width=0,
                    elem_classes="lm-pills lm-face", elem_id="target-face",
                )  # fmt: skip
    return TargetControls(photo, face, strength, drawn)


def look_section(speaker: Speaker) -> LookControls:
    """What the portrait shows: looks, attributes, words, and the prompt made of them."""
    described = {description.key: description for description in describe_attributes()}
    controls: dict[str, Any] = {}
    with gr.Column(elem_classes="lm-card", elem_id="look"):
        with gr.Row(elem_classes="lm-head"):
            speaker.make(gr.HTML, {"value": _headed("look")})
            clear = speaker.make(
                gr.Button, {"value": "look.clear"}, size="sm", elem_classes="lm-quiet",
                elem_id="clear-look", min_width=0, scale=0,
            )  # fmt: skip
        with gr.Row(elem_classes="lm-presets"):
            looks = tuple(_preset(speaker, look) for look in presets())
        text = speaker.make(
            gr.Textbox, {"label": "look.words", "placeholder": "look.words_hint"},
            lines=2, max_lines=6, elem_id="words", elem_classes="lm-words",
        )  # fmt: skip
        with gr.Row(elem_classes="lm-grid"):
            for key in FIRST:
                controls[key] = _attribute(speaker, described[key])
        prompt = speaker.make(gr.HTML, {"value": lambda words: plan(words, None)}, elem_id="plan")
        with speaker.make(gr.Accordion, {"label": "look.more"}, open=False, elem_id="more"):
            speaker.make(gr.HTML, {"value": lambda words: heading("", words("look.more_hint"))})
            with gr.Row(elem_classes="lm-grid"):
                for key in described:
                    if key not in FIRST:
                        controls[key] = _attribute(speaker, described[key])
    return LookControls(controls, text, prompt, looks, clear)


def _preset(speaker: Speaker, look: Preset) -> Any:
    return speaker.make(
        gr.Button, {"value": lambda words: look.titles[words.language]}, size="sm",
        elem_classes="lm-preset", elem_id=f"look-{look.name}", min_width=0, scale=0,
    )  # fmt: skip


def _attribute(speaker: Speaker, described: AttributeDescription) -> Any:
    key = described.key
    says: dict[str, str | Callable[[Words], object]] = {"label": f"attribute.{key}"}
    settings: dict[str, object] = {"elem_id": f"attribute-{key}", "min_width": 0}
    if key in FREE:
        return speaker.make(gr.Textbox, says, elem_classes="lm-free", **settings)
    says["choices"] = lambda words: choices(words, described)
    if key in PILLS:
        return speaker.make(gr.Radio, says, value=OPEN, elem_classes="lm-pills", **settings)
    if key in SEVERAL:
        return speaker.make(
            gr.Dropdown, says, value=[], multiselect=True, allow_custom_value=True, **settings
        )
    return speaker.make(
        gr.Dropdown, says, value=OPEN, allow_custom_value=not described.is_closed, **settings
    )


def choices(words: Words, described: AttributeDescription) -> list[tuple[str, str]]:
    """What a control offers: (what it is called, what it holds); the first leaves it open."""
    key = described.key
    offered = [(words.value(key, value), value) for value in described.values]
    if key in SEVERAL:
        return offered
    if key in ACCESSORIES:
        offered = [(words("look.yes"), WITH), (words("look.no"), WITHOUT)] + (
            [] if key in PILLS else offered
        )
    if key == "age":
        offered = [(years, years) for years in _AGES] + offered
    return [(words("look.open"), OPEN), *offered]


def advanced_section(speaker: Speaker) -> AdvancedControls:
    """How it is drawn, folded away."""
    with (
        speaker.make(
            gr.Accordion, {"label": "advanced.title"}, open=False, elem_id="advanced",
            elem_classes="lm-card lm-fold",
        ),
        gr.Row(elem_classes="lm-grid two"),
    ):  # fmt: skip
        count = speaker.make(
            gr.Radio, {"label": "advanced.count"}, choices=[1, 2, 3, 4], value=1,
            elem_classes="lm-pills", elem_id="count", min_width=0,
        )  # fmt: skip
        mode = _pills(speaker, "mode", ("exact", "fast"))
        steps = _pills(speaker, "steps", ("auto", "few", "fixed"))
        steps_number = _slider(speaker, "steps_number", 4, 60, 20, 1, visible=False)
        seed = _pills(speaker, "seed", ("random", "seed_fixed"))
        seed_number = speaker.make(
            gr.Number, {"label": "advanced.seed_number"}, value=7, precision=0, minimum=0,
            elem_id="seed-number", min_width=0, visible=False,
        )  # fmt: skip
        size = speaker.make(
            gr.Dropdown,
            {
                "label": "advanced.size",
                "choices": lambda words: [(words("advanced.size_own"), OPEN)],
            },
            value=OPEN, elem_id="size", min_width=0,
        )  # fmt: skip
        likeness = speaker.make(
            gr.Slider, {"label": "advanced.likeness", "info": "advanced.likeness_hint"},
            minimum=0, maximum=0.9, value=0, step=0.05, buttons=[], elem_id="likeness",
            min_width=0,
        )  # fmt: skip
        own_scales = speaker.make(
            gr.Checkbox, {"label": "advanced.own_scales"}, value=False, elem_id="own-scales",
            min_width=0, elem_classes="lm-wide",
        )  # fmt: skip
        guidance = _slider(speaker, "guidance", 1, 10, 2.5, 0.1, visible=False)
        identity = _slider(speaker, "identity", 0, 1.5, 1, 0.05, visible=False)
    return AdvancedControls(
        mode, steps, steps_number, own_scales, guidance, identity, seed, seed_number, count, size,
        likeness,
    )  # fmt: skip


def _pills(speaker: Speaker, name: str, values: tuple[str, ...]) -> Any:
    return speaker.make(
        gr.Radio,
        {
            "label": f"advanced.{name}",
            "choices": lambda words: [(words(f"advanced.{value}"), value) for value in values],
        },
        value=values[0], elem_classes="lm-pills", elem_id=name, min_width=0,
    )  # fmt: skip


def _slider(
    speaker: Speaker,
    name: str,
    minimum: float,
    maximum: float,
    value: float,
    step: float,
    visible: bool = True,
) -> Any:
    return speaker.make(
        gr.Slider, {"label": f"advanced.{name}"}, minimum=minimum, maximum=maximum, value=value,
        step=step, buttons=[], elem_id=name, min_width=0, visible=visible,
    )  # fmt: skip


def _headed(section: str) -> Callable[[Words], str]:
    return lambda words: heading(words(f"{section}.title"), words(f"{section}.lead"))
