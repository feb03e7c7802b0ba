"""People and looks: seeded, valid, independent of each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from world import BACKGROUNDS, LABELS, labels_of, sample_look, sample_person


@given(st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_a_seed_is_one_person_for_ever(seed: int) -> None:
    assert sample_person(seed) == sample_person(seed)


def test_people_differ_in_every_feature() -> None:
    people = [sample_person(seed) for seed in range(300)]
    for field in type(people[0]).__dataclass_fields__:
        assert len({getattr(person, field) for person in people}) > 1, field


@given(st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_every_look_has_a_class_under_every_head(person_seed: int, look_seed: int) -> None:
    person = sample_person(person_seed)
    look = sample_look(np.random.default_rng(look_seed), person)
    labels = labels_of(person, look)
    assert set(labels) == set(LABELS)
    for head, name in labels.items():
        assert name is None or name in LABELS[head]


def test_given_attributes_are_kept() -> None:
    person = sample_person(1)
    look = sample_look(np.random.default_rng(0), person, age=70, hat=True, background="night")
    assert (look.age, look.hat, look.background) == (70, True, "night")


def test_every_background_is_drawn_sometimes() -> None:
    rng = np.random.default_rng(0)
    person = sample_person(0)
    assert {sample_look(rng, person).background for _ in range(200)} == set(BACKGROUNDS)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("background", "moon"), ("expression", "furious"), ("age", 7), ("hair", "blue")],
)
def test_what_cannot_be_drawn_is_refused_with_what_can(attribute: str, value: object) -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        sample_look(np.random.default_rng(0), sample_person(0), **{attribute: value})


def test_hair_has_no_class_where_it_cannot_be_seen() -> None:
    rng = np.random.default_rng(0)
    people = [sample_person(seed) for seed in range(200)]
    bald = next(person for person in people if person.is_bald)
    haired = next(person for person in people if not person.is_bald)
    assert labels_of(bald, sample_look(rng, bald))["hair"] is None
    assert labels_of(haired, sample_look(rng, haired, hat=True))["hair"] is None
    assert labels_of(haired, sample_look(rng, haired, hat=False, hair=None, age=70))["hair"] is None
    assert labels_of(haired, sample_look(rng, haired, hat=False, hair="blond"))["hair"] == "blond"
