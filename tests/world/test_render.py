"""The renderer: deterministic, true to its own truth, and quick."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from world import Look, Person, Portrait, render, sample_look, sample_person


def picture(seed: int, **attributes: object) -> tuple[Person, Look]:
    person = sample_person(seed)
    return person, sample_look(np.random.default_rng(seed), person, **attributes)


def test_same_person_and_look_give_the_same_picture() -> None:
    first, second = (render(*picture(3), size=128).image for _ in range(2))
    assert hashlib.sha256(first.tobytes()).digest() == hashlib.sha256(second.tobytes()).digest()


def test_different_people_in_one_look_differ() -> None:
    _, look = picture(1, beard=False)
    pictures = [render(sample_person(seed), look, 96).image.astype(int) for seed in range(6)]
    for index, one in enumerate(pictures):
        for other in pictures[index + 1 :]:
            assert np.abs(one - other).mean() > 2


@pytest.mark.parametrize("size", [96, 128, 256])
def test_truth_scales_with_the_picture(size: int) -> None:
    small, large = render(*picture(5), size=64), render(*picture(5), size=size)
    assert large.image.shape == (size, size, 3)
    assert np.allclose(large.landmarks / size, small.landmarks / 64, atol=1e-3)
    assert np.allclose(large.box / size, small.box / 64, atol=1e-3)


def truth_holds(portrait: Portrait) -> None:
    x0, y0, x1, y1 = portrait.box
    eyes, mouth = portrait.landmarks[:2], portrait.landmarks[3:]
    assert (portrait.landmarks[:, 0] > x0).all()
    assert (portrait.landmarks[:, 0] < x1).all()
    assert (portrait.landmarks[:, 1] > y0).all()
    assert (portrait.landmarks[:, 1] < y1).all()
    assert eyes[0, 0] < eyes[1, 0]
    assert mouth[0, 0] < mouth[1, 0]
    assert eyes[:, 1].max() < portrait.landmarks[2, 1] < mouth[:, 1].min()
    on_skin = portrait.face_mask[
        portrait.landmarks[2, 1].astype(int), portrait.landmarks[2, 0].astype(int)
    ]
    assert on_skin == 255


def test_landmarks_lie_in_their_order_inside_the_box() -> None:
    for seed in range(40):
        truth_holds(render(*picture(seed), size=96))


def test_the_eye_landmarks_lie_on_eyes() -> None:
    """Around each eye landmark the picture changes when the eyes' colour changes."""
    for seed in range(5):
        person, look = picture(seed, glasses=False, expression="surprised")
        one = render(replace(person, eyes=(0.9, 0.1, 0.1)), look, 128)
        other = render(replace(person, eyes=(0.1, 0.1, 0.9)), look, 128)
        changed = np.abs(one.image.astype(int) - other.image.astype(int)).sum(2) > 30
        centre = np.argwhere(changed)[:, ::-1].mean(0)
        assert np.abs(centre - one.landmarks[:2].mean(0)).max() < 3


def test_a_fusion_keeps_the_look_and_changes_the_person() -> None:
    """The perfect answer of a fusion is the other person in the same look: same background."""
    _, look = picture(2, beard=False)
    one, other = (render(sample_person(seed), look, 128).image for seed in (10, 11))
    assert np.abs(one[:8, :8].astype(int) - other[:8, :8]).max() <= 1


@pytest.mark.parametrize(
    ("attribute", "value", "plain"),
    [("glasses", True, False), ("hat", True, False), ("earrings", True, False)],
)
def test_an_accessory_is_seen(attribute: str, value: bool, plain: bool) -> None:
    person, look = picture(4, **{attribute: plain})
    without = render(person, look, 128).image.astype(int)
    with_it = render(person, replace(look, **{attribute: value}), 128).image.astype(int)
    assert (np.abs(with_it - without).sum(2) > 60).sum() > 40


def test_ages_differ_at_a_glance_whatever_the_hair() -> None:
    """Young, middle and old: the skin alone tells them apart, for hair may be dyed or hidden."""
    for seed in range(8):
        person, look = picture(seed, hair=None, hat=True, glasses=False, beard=False)
        drawn = [render(person, replace(look, age=age), 128) for age in (25, 45, 68)]
        skin = drawn[0].face_mask > 0
        young, middle, old = (portrait.image.astype(int)[skin] for portrait in drawn)
        assert np.abs(young - middle).mean() > 2
        assert np.abs(middle - old).mean() > 2


@pytest.mark.parametrize("size", [8, 4096])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="pixels"):
        render(*picture(0), size=size)
