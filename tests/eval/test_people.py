"""The cast: held out, the same again, every value asked for equally often, away from borders."""

from collections import Counter

import numpy as np

from eval.people import AGE_BANDS, balanced_wishes, held_out_people, snapshot, words_of
from prompting import Attributes
from world import HELD_OUT, LABELS


def test_nobody_was_trained_on_and_everybody_comes_again() -> None:
    people = held_out_people(5, 100)
    assert [person.seed for person in people] == [HELD_OUT + 100 + i for i in range(5)]
    assert people == held_out_people(5, 100)


def test_every_value_is_asked_for_about_equally_often() -> None:
    wishes = balanced_wishes(held_out_people(360), seed=1)
    for head in ("expression", "clothing", "background", "light", "view", "glasses", "hat"):
        counts = Counter(wish.labels[head] for wish in wishes)
        assert set(counts) == set(LABELS[head])
        assert max(counts.values()) - min(counts.values()) <= 1


def test_ages_stay_away_from_the_borders_of_their_groups() -> None:
    wishes = balanced_wishes(held_out_people(120), seed=2)
    groups = Counter(wish.labels["age"] for wish in wishes)
    assert groups == {"young": 40, "middle": 40, "old": 40}
    for wish in wishes:
        assert any(low <= wish.look.age <= high for low, high in AGE_BANDS)


def test_nobody_is_asked_for_what_they_cannot_show() -> None:
    for wish in balanced_wishes(held_out_people(200), seed=3):
        if wish.person.gender == "woman":
            assert not wish.look.beard
        if wish.person.is_bald:
            assert wish.look.hair is None
        assert "hair" not in wish.attributes or wish.labels["hair"] in (
            None,
            wish.attributes["hair"],
        )


def test_a_wish_is_a_request_prompting_understands() -> None:
    for wish in balanced_wishes(held_out_people(20), seed=4):
        Attributes(**wish.attributes)  # type: ignore[arg-type]
        assert str(wish.look.age) in words_of(wish.attributes)


def test_a_snapshot_shows_another_look_each_time() -> None:
    (person,) = held_out_people(1)
    rng = np.random.default_rng(0)
    first, second = (snapshot(person, rng, 64) for _ in range(2))
    assert first.image.shape == (64, 64, 3)
    assert first.look != second.look
