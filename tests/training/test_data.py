"""The rendered dataset: what is cached is what the world draws, and says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data import (
    ALWAYS_PRESENT,
    HEADS,
    UNSEEN,
    DatasetMismatch,
    Pictures,
    dataset,
    held_out,
    short_caption,
)
from world import HELD_OUT, attributes_of, caption, render, sample_look, sample_person


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def pictures(cache: Path) -> Pictures:
    return dataset(cache, 32, 4, 3)


def test_pictures_are_the_worlds(pictures: Pictures) -> None:
    person = sample_person(2)
    look = sample_look(np.random.default_rng([2, 1]), person)
    portrait = render(person, look, size=32)
    index = 2 * 3 + 1
    assert np.array_equal(pictures.images[index], portrait.image)
    assert np.array_equal(pictures.landmarks[index], portrait.landmarks)
    assert pictures.attributes[index] == attributes_of(person, look)
    assert short_caption(pictures.attributes[index]) == caption(person, look)


def test_a_second_opening_draws_nothing(
    pictures: Pictures, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.render", None)
    again = dataset(cache, 32, 4, 3)
    assert np.array_equal(again.images, pictures.images)


def test_a_lost_chunk_is_drawn_again_and_equal(pictures: Pictures, cache: Path) -> None:
    before = np.array(pictures.images)
    next(cache.glob("pictures-32-0-*/text-*.jsonl")).unlink()
    again = dataset(cache, 32, 4, 3)
    assert np.array_equal(again.images, before)


def test_a_cache_of_another_shape_is_refused(cache: Path, pictures: Pictures) -> None:
    folder = next(cache.glob("pictures-32-0-*"))
    text = (folder / "shape.json").read_text()
    (folder / "shape.json").write_text(text.replace('"pictures": 3', '"pictures": 5'))
    try:
        with pytest.raises(DatasetMismatch, match="remove it"):
            dataset(cache, 32, 4, 3)
    finally:
        (folder / "shape.json").write_text(text)


def test_held_out_people_are_never_training_people(pictures: Pictures, cache: Path) -> None:
    strangers = held_out(cache, 32, 2, 1)
    assert strangers.people.min() >= HELD_OUT > pictures.people.max()


def test_another_picture_is_of_the_same_person_and_another(pictures: Pictures) -> None:
    rng = np.random.default_rng(0)
    chosen = pictures.sample(rng, 200)
    others = pictures.another(rng, chosen)
    assert np.array_equal(pictures.people[chosen], pictures.people[others])
    assert not np.any(chosen == others)


def test_labels_name_what_is_said(pictures: Pictures) -> None:
    for index in range(len(pictures)):
        attributes = pictures.attributes[index]
        for head, names in HEADS.items():
            label = int(pictures.label(head)[index])
            if head == "age" or label == UNSEEN:
                continue
            value = attributes[head]
            expected = (
                {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
            )
            assert names[label] == expected


def test_captions_never_leave_out_what_is_worn(pictures: Pictures) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        index = int(rng.integers(len(pictures)))
        described = pictures.describe(rng, index, drop=0.5)
        unsaid = set(pictures.attributes[index]) - described.said
        assert unsaid <= set(ALWAYS_PRESENT)


def test_a_fragment_has_no_subject(pictures: Pictures) -> None:
    rng = np.random.default_rng(0)
    described = pictures.describe(rng, 0, fragment=1.0)
    assert described.text
    assert "portrait" not in described.text
    assert not described.said
