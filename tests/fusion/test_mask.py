"""The soft mask of a head, and the square that is worked on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusion.colour import ColourMatch, match_ring
from fusion.mask import MaskShape, border_fade, face_frame, latent_mask, soft_mask
from fusion.placement import FacePlacement, Square, cut, resized, square_around, to_square
from fusion.stages.compose import Canvas, compose
from tests.fusion.conftest import painting
from world import render, sample_look, sample_person

FRONTAL = np.array([[50, 60], [78, 60], [64, 75], [53, 88], [75, 88]], dtype=np.float32)


def turned(points: NDArray[np.float32], degrees: float, scale: float) -> NDArray[np.float32]:
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = points.mean(axis=0)
    result: NDArray[np.float32] = ((points - centre) @ matrix.T * scale + centre).astype(np.float32)
    return result


@settings(max_examples=40, deadline=None)
@given(
    degrees=st.floats(-60, 60),
    scale=st.floats(0.05, 3),
    shift=st.tuples(st.floats(-80, 80), st.floats(-80, 80)),
)
def test_a_mask_is_between_nothing_and_all_and_holds_the_face(
    degrees: float, scale: float, shift: tuple[float, float]
) -> None:
    landmarks = turned(FRONTAL, degrees, scale) + np.array(shift, dtype=np.float32)
    mask = soft_mask(landmarks, (128, 128))
    assert mask.shape == (128, 128)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1
    for x, y in np.round(landmarks).astype(int):
        if 0 <= x < 128 and 0 <= y < 128 and scale > 0.3:
            assert mask[y, x] == 1


def test_a_mask_turns_with_the_face() -> None:
    size = (256, 256)
    middle = FRONTAL - FRONTAL.mean(axis=0) + 128
    upright = soft_mask(turned(middle, 0, 1.0), size)
    rolled = soft_mask(turned(middle, 90, 1.0), size)
    assert abs(upright.mean() - rolled.mean()) < 0.01
    assert np.abs(np.rot90(upright, -1) - rolled).mean() < 0.02


def test_a_profile_is_measured_by_its_height() -> None:
    profile = FRONTAL.copy()
    profile[1, 0] = 58
    profile[4, 0] = 60
    wide = face_frame(FRONTAL, MaskShape()).eye_distance
    assert face_frame(profile, MaskShape()).eye_distance > 0.8 * wide


def test_a_mask_holds_the_whole_drawn_head() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(12):
        person = sample_person(seed)
        portrait = render(person, sample_look(rng, person), size=128)
        mask = soft_mask(portrait.landmarks, (128, 128))
        covered.append(float(mask[portrait.face_mask > 127].mean()))
    assert min(covered) > 0.97


def test_the_latents_that_may_change_cover_every_pixel_of_the_mask() -> None:
    mask = soft_mask(FRONTAL, (128, 128))
    free = np.kron(latent_mask(mask, 8), np.ones((8, 8)))
    assert set(np.unique(free)) == {0.0, 1.0}
    assert (free[mask > 0] == 1).all()


def test_a_window_falls_only_at_its_open_sides() -> None:
    window = border_fade(32, (True, False, False, False), 4)
    assert (window[:, 0] == 0).all()
    assert (window[:, 4:] == 1).all()
    assert (border_fade(32, (False,) * 4, 4) == 1).all()


@settings(max_examples=40, deadline=None)
@given(
    x=st.integers(-10, 90), y=st.integers(-10, 60), width=st.integers(1, 90),
    height=st.integers(1, 90),
)  # fmt: skip
def test_any_box_gives_a_square_that_can_be_cut(x: int, y: int, width: int, height: int) -> None:
    picture = painting(0, 100, 70)
    box = np.array([x, y, x + width, y + height], dtype=np.float32)
    square = square_around(box, (100, 70), 64)
    assert cut(picture, square, 64).shape == (64, 64, 3)


def test_the_face_lies_in_the_square_as_placement_says() -> None:
    box = np.array([300, 200, 380, 300], dtype=np.float32)
    placement = FacePlacement(centre_x=0.5, centre_y=0.6, height=0.5)
    square = square_around(box, (1000, 800), 128, placement)
    corners = to_square(box.reshape(2, 2), square, 128)
    assert corners.mean(axis=0) == pytest.approx([64, 0.6 * 128], abs=1)
    assert corners[1, 1] - corners[0, 1] == pytest.approx(64, abs=1)


def test_a_target_of_the_models_size_is_taken_whole_unless_placed() -> None:
    box = np.array([40, 40, 90, 100], dtype=np.float32)
    assert square_around(box, (128, 128), 128) == Square(0, 0, 128)
    assert square_around(box, (128, 128), 128, FacePlacement()) != Square(0, 0, 128)


def test_cutting_repeats_the_border_beyond_the_picture() -> None:
    picture = painting(1, 60, 60)
    part = cut(picture, Square(-10, 0, 60), 60)
    assert (part[:, :10] == picture[:, :1]).all()
    assert np.array_equal(part[:, 10:], picture[:, :50])


def test_nothing_is_lost_when_the_drawing_is_the_target_itself() -> None:
    target = painting(2, 128, 128)
    canvas = Canvas(target, Square(0, 0, 128), 128, FRONTAL, MaskShape())
    same = compose(target.copy(), canvas, ColourMatch())
    assert np.abs(same.astype(int) - target).max() <= 1


def test_composing_keeps_the_bytes_outside_and_takes_the_drawing_inside() -> None:
    target = painting(3, 128, 128)
    canvas = Canvas(target, Square(0, 0, 128), 128, FRONTAL, MaskShape(feather=0.2))
    drawn = 255 - target
    result = compose(drawn, canvas, ColourMatch(amount=0))
    mask = canvas.mask(128)
    assert np.array_equal(result[mask == 0], target[mask == 0])
    assert np.array_equal(result[mask == 1], drawn[mask == 1])


def test_a_cast_is_made_up_for_by_half_and_never_beyond_its_limit() -> None:
    target = painting(4, 128, 128)
    mask = soft_mask(FRONTAL, (128, 128))
    ring = (mask > 0.02) & (mask < 0.98)
    darker = (target * 0.9).astype(np.uint8)
    matched = match_ring(darker, target, mask)
    before = target[ring].astype(float).mean() - darker[ring].astype(float).mean()
    after = target[ring].astype(float).mean() - matched[ring].astype(float).mean()
    assert 0.3 * before < after < 0.7 * before
    black = np.zeros_like(target)
    assert match_ring(black, target, mask).mean() < 40
    assert match_ring(darker, target, mask, ColourMatch(amount=0)) is darker


def test_enlarging_and_shrinking_keep_the_picture() -> None:
    picture = painting(5, 64, 64)
    there_and_back = resized(resized(picture, 128), 64)
    assert np.abs(there_and_back.astype(int) - picture).mean() < 2


def test_a_larger_target_is_cut_as_the_bundle_was_trained() -> None:
    box = np.array([400, 300, 500, 455], np.float32)
    usual = FacePlacement(centre_x=0.5, centre_y=0.5, height=0.775)
    square = square_around(box, (1000, 800), 128, usual=usual)
    assert (square.side, square.left, square.top) == (200, 350, 278)
    assert square_around(box, (128, 128), 128, usual=usual) == Square(0, 0, 128)


def test_hair_in_a_backgrounds_place_does_not_tint_the_face() -> None:
    mask = np.zeros((64, 64), np.float32)
    mask[8:56, 8:56] = 0.5
    mask[16:48, 16:48] = 1.0
    target = np.full((64, 64, 3), (90, 190, 90), np.uint8)
    target[40:] = (200, 60, 60)
    drawn = target.copy()
    drawn[:40] = (60, 40, 30)  # dark hair where the target has a green wall
    matched = match_ring(drawn, target, mask)
    assert np.abs(matched.astype(int) - drawn.astype(int)).max() <= 2
