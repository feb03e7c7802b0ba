"""Captions say what the picture shows, no more and no less."""

from __future__ import annotations

import numpy as np

from prompting import Attributes
from world import attributes_of, caption, sample_look, sample_person, wordy_caption


def test_truth_is_valid_under_the_prompt_schema() -> None:
    rng = np.random.default_rng(0)
    for seed in range(50):
        person = sample_person(seed)
        Attributes.model_validate(attributes_of(person, sample_look(rng, person)))


def test_the_canonical_caption_says_each_attribute_once() -> None:
    person = sample_person(7)
    look = sample_look(
        np.random.default_rng(0), person, age=35, expression="smiling", glasses=True, hat=True,
        hair="blond", clothing="red", background="park", light="left", view="right",
    )  # fmt: skip
    words = caption(person, look)
    for phrase in (
        person.gender,
        "35",
        "smiling",
        "glasses",
        "hat",
        "red shirt",
        "park background",
    ):
        assert words.count(phrase) == 1, phrase


def test_what_is_not_worn_is_not_named() -> None:
    person = sample_person(7)
    rng = np.random.default_rng(1)
    look = sample_look(rng, person, glasses=False, hat=False, earrings=False, beard=False)
    for words in (caption(person, look), wordy_caption(person, look, rng)):
        for absent in ("glasses", " hat", "earrings", "beard"):
            assert absent not in words


def test_wordy_captions_are_longer_and_name_the_same_colours() -> None:
    rng = np.random.default_rng(2)
    for seed in range(30):
        person = sample_person(seed)
        look = sample_look(rng, person)
        wordy = wordy_caption(person, look, rng)
        assert len(wordy.split()) > len(caption(person, look).split())
        assert look.clothing in wordy
        assert str(look.age) in wordy
