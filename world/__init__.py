"""The drawn world: people, their looks, one renderer, and the exact truth of every picture."""

from __future__ import annotations

from world.captions import attributes_of, caption, wordy_caption, wordy_sentence
from world.group import Group, render_group
from world.look import BACKGROUNDS, LABELS, Look, age_group, labels_of, sample_look
from world.person import HAIR_COLOURS, HELD_OUT, Person, sample_person
from world.render import Portrait, render

__all__ = [
    "BACKGROUNDS",
    "Group",
    "HAIR_COLOURS",
    "HELD_OUT",
    "LABELS",
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
    "wordy_caption",
    "wordy_sentence",
]
