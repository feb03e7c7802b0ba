"""What is written on the command line means what it looks like."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import OptionRejected
from cli.options import WeightedPhoto, parse_identity, parse_size, parse_steps, shares


@pytest.mark.parametrize(
    ("text", "path", "weight"),
    [
        ("a.png", "a.png", None),
        ("b.png:0.3", "b.png", 0.3),
        ("b.png:2", "b.png", 2.0),
        ("b.png:-1", "b.png", -1.0),
        ("folder/with:colon/b.png", "folder/with:colon/b.png", None),
        ("C:/photos/b.png:0.5", "C:/photos/b.png", 0.5),
        (":0.3", ":0.3", None),
    ],
)
def test_a_photo_may_carry_its_weight(text: str, path: str, weight: float | None) -> None:
    assert parse_identity(text) == WeightedPhoto(Path(path), weight)


def test_a_file_whose_name_ends_like_a_weight_is_itself(tmp_path: Path) -> None:
    file = tmp_path / "take:2"
    file.touch()
    assert parse_identity(str(file)) == WeightedPhoto(file, None)


def _photos(*weights: float | None) -> list[WeightedPhoto]:
    return [WeightedPhoto(Path(f"{index}.png"), weight) for index, weight in enumerate(weights)]


def test_the_issues_example_is_seventy_to_thirty() -> None:
    assert shares(_photos(None, 0.3)) == pytest.approx([0.7, 0.3])


def test_photos_without_weights_share_evenly() -> None:
    assert shares(_photos(None, None)) == [0.5, 0.5]
    assert shares(_photos(None)) == [1.0]
    assert shares([]) == []


def test_weights_given_stay_as_given() -> None:
    assert shares(_photos(2.0, 6.0)) == [2.0, 6.0]


def test_a_photo_for_which_nothing_is_left_is_refused_by_name() -> None:
    with pytest.raises(OptionRejected, match=r"1\.png"):
        shares(_photos(1.0, None))


@pytest.mark.parametrize("weight", [-0.5, math.nan, math.inf, 1e308])
def test_weights_that_make_no_sense_are_left_to_the_request_to_refuse(weight: float) -> None:
    assert shares(_photos(None, weight))[0] == 1.0


@given(st.lists(st.none() | st.floats(0, 0.1), min_size=1, max_size=8))
def test_shares_with_a_photo_left_open_sum_to_one(weights: list[float | None]) -> None:
    photos = _photos(*weights, None)
    result = shares(photos)
    assert math.fsum(result) == pytest.approx(1.0)
    assert all(share >= 0 for share in result)


@pytest.mark.parametrize(
    ("text", "size"),
    [(None, None), ("512x768", (512, 768)), ("512X768", (512, 768)), ("96×96", (96, 96)),
     ("128", (128, 128))],
)  # fmt: skip
def test_a_size_is_width_by_height(text: str | None, size: tuple[int, int] | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "12x", "1x2x3", "-5x5", "big", "1.5x2"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(OptionRejected, match="WIDTHxHEIGHT"):
        parse_size(text)


def test_steps_are_a_number_or_a_word() -> None:
    assert [parse_steps(text) for text in (None, "auto", "few", "12")] == [
        "auto",
        "auto",
        "few",
        12,
    ]
    for text in ("", "many", "-3", "4.5"):
        with pytest.raises(OptionRejected, match="whole number, auto or few"):
            parse_steps(text)
