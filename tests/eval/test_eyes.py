"""Eyes: the renderer's own are open and even; painted over, they are neither."""

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import pytest

from eval.eyes import (
    EVENNESS,
    LEAST_OPENING,
    TRUE_EVENNESS,
    are_as_true,
    are_open,
    evenness,
    openings,
    openings_of,
)
from eval.people import Photo, balanced_wishes, held_out_people, photograph

HEAD = 0.355  # of a picture's side is the renderer's unit
LASHES = (23, 15, 15)


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    """People in balanced looks, glasses and sideways views among them, at the bundle's size."""
    wishes = balanced_wishes(held_out_people(120, 320_000), 320_000)
    return [photograph(wish.person, wish.look, 128) for wish in wishes]


def painted(photo: Photo, eye: int, lashes: bool, down_to: float | None = None) -> np.ndarray:
    """The photo with an eye painted over in the colour of the skin under it.

    lashes: with the line of a shut eye; down_to: only above this height, in head units.
    """
    scale = 4  # of the picture that is painted in, for smooth edges
    large = cv2.resize(photo.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    large = large.astype(np.float32)
    unit = HEAD * 128 * photo.look.scale * scale
    x, y = (photo.landmarks[eye] + 0.5) * scale
    cheek = large[int(y + 0.14 * unit) : int(y + 0.19 * unit)]
    skin = np.median(cheek[:, int(x - 0.12 * unit) : int(x + 0.12 * unit)].reshape(-1, 3), axis=0)
    lid = np.zeros(large.shape[:2], np.float32)
    radii = (int(0.25 * unit), int(0.165 * unit))
    cv2.ellipse(lid, (int(x), int(y)), radii, 0, 0, 360, 1.0, -1)
    if down_to is not None:
        lid[int(y + down_to * unit) :] = 0
    large = over(large, cv2.GaussianBlur(lid, (0, 0), 2), skin)
    if lashes:
        across = np.linspace(-1, 1, 21)
        height = down_to if down_to is not None else 0.03 + 0.04 * (1 - across**2)
        line = np.stack([x + 0.19 * unit * across, y + height * unit + 0 * across], axis=1)
        stroke = np.zeros(large.shape[:2], np.float32)
        cv2.polylines(stroke, [line.round().astype(np.int32)], False, 1.0, int(0.045 * unit))
        large = over(large, cv2.GaussianBlur(stroke, (0, 0), 1), np.array(LASHES))
    small = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small + 0.5, 0, 255), dtype=np.uint8)


def over(below: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.asarray(below * (1 - cover[..., None]) + colour * cover[..., None])


def with_eye(photos: list[Photo], **how: object) -> Iterator[tuple[Photo, np.ndarray]]:
    """Every photo with one eye painted, left and right in turn."""
    for index, photo in enumerate(photos[:60]):
        yield photo, painted(photo, index % 2, **how)  # type: ignore[arg-type]


def test_the_renderers_own_eyes_are_open(photos: list[Photo]) -> None:
    opened = openings_of([one.image for one in photos], [one.landmarks for one in photos])
    assert np.mean([are_open(both) for both in opened]) >= 0.999
    assert all(are_as_true(both, both) for both in opened)
    assert np.mean([evenness(both) >= TRUE_EVENNESS for both in opened]) > 0.95
    assert opened.min() > LEAST_OPENING
    assert EVENNESS < TRUE_EVENNESS


@pytest.mark.parametrize("lashes", [True, False])
def test_an_eye_that_is_shut_or_missing_is_not_open(photos: list[Photo], lashes: bool) -> None:
    opened = [openings(image, photo.landmarks) for photo, image in with_eye(photos, lashes=lashes)]
    assert not any(are_open(both) for both in opened)


def test_two_eyes_that_are_shut_are_not_open_though_they_are_even(photos: list[Photo]) -> None:
    for photo in islice(photos, 20):
        left = painted(photo, 0, lashes=True)
        both = painted(Photo(photo.person, photo.look, left, photo.landmarks), 1, lashes=True)
        assert openings(both, photo.landmarks).max() < LEAST_OPENING


def test_an_eye_with_a_drooping_lid_is_uneven(photos: list[Photo]) -> None:
    lopsided = 0
    even = [one for one in photos if evenness(openings(one.image, one.landmarks)) >= TRUE_EVENNESS]
    for photo, image in with_eye(even, lashes=True, down_to=0.02):
        truth, opened = (openings(picture, photo.landmarks) for picture in (photo.image, image))
        lopsided += not are_as_true(opened, truth)
    assert lopsided > 0.9 * 60


def test_evenness_is_not_asked_where_the_truth_has_none() -> None:
    sideways = np.array([0.2, 0.08])
    assert are_as_true(np.array([0.2, 0.05]), sideways)
    assert not are_as_true(np.array([0.2, 0.05]), np.array([0.2, 0.2]))
    assert not are_as_true(np.array([0.2, 0.0]), sideways)


@pytest.mark.parametrize("turn", [-20, 20])
def test_an_opening_is_the_same_in_a_picture_turned_and_enlarged(
    photos: list[Photo], turn: int
) -> None:
    for photo in islice(photos, 10):
        matrix = cv2.getRotationMatrix2D((64, 64), turn, 2.0)
        matrix[:, 2] += 64
        image = cv2.warpAffine(photo.image, matrix, (256, 256), flags=cv2.INTER_CUBIC)
        points = photo.landmarks @ matrix[:, :2].T + matrix[:, 2]
        there, here = openings(image, points), openings(photo.image, photo.landmarks)
        assert there == pytest.approx(here, abs=0.05)


def test_no_face_is_no_open_eye(photos: list[Photo]) -> None:
    assert openings_of([photos[0].image], [None]).tolist() == [[0.0, 0.0]]
