"""Sheets: every tile is where it belongs, text stays within its width, odd input is refused."""

import numpy as np
import pytest
from PIL import Image

from eval import Section, Tile, sheet
from eval.sheets import INK, PAPER, RIMS, _text_width, _wrap


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (32, 32)) -> Image.Image:
    return Image.new("RGB", size, colour)


def count(page: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(page) == np.array(colour)).all(axis=2).sum())


def test_every_tile_is_shown_at_its_size() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    rows = [[Tile(plain(colour)) for colour in colours]]
    page = sheet("Three", [Section(rows=rows)], tile=100)
    for colour in colours:
        assert 0.9 * 98 * 98 < count(page, colour) <= 98 * 98  # the corners are rounded


def test_a_place_may_stay_empty_and_a_row_may_be_short() -> None:
    full = sheet("x", [Section(rows=[[Tile(plain((9, 9, 9)))] * 3])], tile=64)
    gappy = sheet("x", [Section(rows=[[None, None, Tile(plain((9, 9, 9)))]])], tile=64)
    assert full.size == gappy.size
    assert count(gappy, (9, 9, 9)) < count(full, (9, 9, 9)) / 2


def test_pictures_that_are_not_square_are_shown_whole() -> None:
    wide = np.zeros((20, 80, 3), dtype=np.uint8)
    wide[:, :40], wide[:, 40:] = (210, 0, 0), (0, 0, 210)
    page = sheet("wide", [Section(rows=[[Tile(wide)]])], tile=120)
    assert count(page, (210, 0, 0)) == pytest.approx(count(page, (0, 0, 210)), rel=0.1)


def test_a_tone_colours_the_rim() -> None:
    page = sheet("x", [Section(rows=[[Tile(plain((9, 9, 9)), tone="result")]])], tile=64)
    assert count(page, RIMS["result"]) > 100
    assert count(page, RIMS["source"]) == 0


def test_captions_make_a_page_longer_and_are_written() -> None:
    bare = sheet("x", [Section(rows=[[Tile(plain((9, 9, 9)))]])], tile=64)
    tile = Tile(plain((9, 9, 9)), "a caption of several words", "and a detail")
    told = sheet(
        "x", [Section("Title", [[tile]], ("column",), ("row",), "note")], "under", "foot", 64
    )
    assert told.height > bare.height
    assert count(told, INK) > count(bare, INK)
    assert count(told, PAPER) > 0


def test_wrapped_lines_fit() -> None:
    lines = _wrap("woman, 62, smiling, glasses, earrings, purple shirt", 14, 100)
    assert len(lines) > 1
    assert all(_text_width(line, 14) <= 100 for line in lines)
    assert _wrap("one\ntwo", 14, 100) == ["one", "two"]
    assert _wrap("", 14, 100) == []


def test_the_same_sheet_again() -> None:
    def once() -> bytes:
        return sheet("x", [Section("s", [[Tile(plain((9, 9, 9)), "c")]])]).tobytes()

    assert once() == once()


@pytest.mark.parametrize(
    ("sections", "complaint"),
    [
        ([], "at least one section"),
        ([Section("bare")], "has no tiles"),
        ([Section("s", [[None, None]], columns=("one",))], "2 columns and 1 titles"),
        ([Section("s", [[None]], row_labels=("a", "b"))], "1 rows and 2 labels"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(sections: list[Section], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        sheet("x", sections)
