"""The drawn world: people, their looks, one renderer, and the exact truth of every picture.

Importing this package costs nothing; NumPy and OpenCV arrive with the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from world.captions import (
        attributes_of,
        caption,
        varied_caption,
        wordy_caption,
        wordy_sentence,
    )
    from world.group import Group, render_group
    from world.look import BACKGROUNDS, LABELS, Look, age_group, labels_of, sample_look
    from world.person import HAIR_COLOURS, HELD_OUT, Person, sample_person
    from world.renderer import Portrait, render

_HOMES = {
    "captions": (
        "attributes_of",
        "caption",
        "varied_caption",
        "wordy_caption",
        "wordy_sentence",
    ),
    "group": ("Group", "render_group"),
    "look": ("BACKGROUNDS", "LABELS", "Look", "age_group", "labels_of", "sample_look"),
    "person": ("HAIR_COLOURS", "HELD_OUT", "Person", "sample_person"),
    "renderer": ("Portrait", "render"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BACKGROUNDS",
    "HAIR_COLOURS",
    "HELD_OUT",
    "LABELS",
    "Group",
    "Look",
    "Person",
    "Portrait",
    "age_group",
    "attributes_of",
    "caption",
    "labels_of",
    "render",
    "render_group",
    "sample_look",
    "sample_person",
    "varied_caption",
    "wordy_caption",
    "wordy_sentence",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
