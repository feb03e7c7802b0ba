"""Sample sheets: labelled pictures on a light page, drawn with Pillow and its own built-in font.

A sheet has a title and sections; a section has rows of tiles, column titles above and row labels
on the left. Widths follow from the contents, text is wrapped to the width it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = Image.Image | NDArray[np.uint8]
Tone = Literal["plain", "source", "target", "result"]
Colour = tuple[int, int, int]

PAPER: Colour = (250, 249, 246)
INK: Colour = (38, 36, 34)
MUTED: Colour = (122, 116, 109)
RULE: Colour = (226, 222, 215)
RIMS: dict[Tone, Colour] = {
    "plain": (226, 222, 215),
    "source": (74, 103, 150),
    "target": (150, 122, 62),
    "result": (188, 84, 58),
}

_MARGIN = 48  # pixels around the page
_GAP = 16  # pixels between tiles
_CORNER = 14  # radius of a tile's corners in pixels
_RIM = 3  # width of a tile's coloured rim in pixels
_LABEL_WIDTH = 132  # pixels of the column of row labels
_LINE = 1.32  # line height over font size
_TITLE, _SUBTITLE, _HEADING, _CAPTION, _DETAIL = 32, 16, 20, 14, 12.5  # font sizes in pixels


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet: RGB (PIL or uint8 [h, w, 3]), shown square and centred.

    caption and detail stand under it, wrapped; tone colours its rim.
    """

    image: Picture
    caption: str = ""
    detail: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Section:
    """A part of a sheet: rows of tiles (None leaves a place empty), with titles and labels.

    columns: one title per column, or none; row_labels: one per row, or none.
    """

    title: str = ""
    rows: Sequence[Sequence[Tile | None]] = ()
    columns: Sequence[str] = ()
    row_labels: Sequence[str] = ()
    note: str = ""


def sheet(
    title: str,
    sections: Sequence[Section],
    subtitle: str = "",
    footer: str = "",
    tile: int = 160,
) -> Image.Image:
    """The page with all sections under one another, as an RGB picture.

    tile: side of a picture in pixels. Raises ValueError for a sheet without a tile, or where a
    section's labels are neither absent nor one per row (column).
    """
    for section in sections:
        _check(section)
    inner = max((_section_width(section, tile) for section in sections), default=0)
    if not inner:
        raise ValueError("a sheet needs at least one section with a row of tiles")
    height = 2 * _MARGIN + _head_height(title, subtitle, inner)
    height += sum(_section_height(section, tile, inner) for section in sections)
    height += _text_height(footer, _DETAIL, inner) + 2 * _GAP if footer else 0
    page = Image.new("RGB", (inner + 2 * _MARGIN, round(height)), PAPER)
    draw = ImageDraw.Draw(page)
    top = _draw_head(draw, title, subtitle, inner)
    for section in sections:
        top = _draw_section(page, draw, section, top, tile, inner)
    if footer:
        draw.line((_MARGIN, top, _MARGIN + inner, top), fill=RULE)
        _write(draw, (_MARGIN, top + _GAP), footer, _DETAIL, MUTED, inner)
    return page


def _check(section: Section) -> None:
    widest = max((len(row) for row in section.rows), default=0)
    if not widest:
        raise ValueError(f"section {section.title!r} has no tiles")
    if section.columns and len(section.columns) != widest:
        raise ValueError(
            f"section {section.title!r} has {widest} columns and {len(section.columns)} titles"
        )
    if section.row_labels and len(section.row_labels) != len(section.rows):
        raise ValueError(
            f"section {section.title!r} has {len(section.rows)} rows and "
            f"{len(section.row_labels)} labels"
        )


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text_width(text: str, size: float) -> float:
    return float(_font(size).getlength(text))


def _wrap(text: str, size: float, width: float) -> list[str]:
    """Lines of at most `width` pixels; a word that is wider stands alone."""
    lines: list[str] = []
    for paragraph in text.split("\n") if text else []:
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and _text_width(longer, size) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines


def _text_height(text: str, size: float, width: float) -> float:
    return len(_wrap(text, size, width)) * size * _LINE


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: float,
    colour: Colour,
    width: float,
    centred: bool = False,
    strong: bool = False,
) -> float:
    """Draw wrapped text from its top left corner; gives the height it took."""
    left, top = place
    for line in _wrap(text, size, width):
        shift = (width - _text_width(line, size)) / 2 if centred else 0.0
        weight = size / 45 if strong else 0  # the built-in font has one weight: thicken its strokes
        draw.text(
            (left + shift, top), line, font=_font(size), fill=colour,
            stroke_width=weight, stroke_fill=colour,
        )  # fmt: skip
        top += size * _LINE
    return top - place[1]


def _head_height(title: str, subtitle: str, inner: float) -> float:
    below = _text_height(subtitle, _SUBTITLE, inner)
    return _text_height(title, _TITLE, inner) + below + 2 * _GAP


def _draw_head(draw: ImageDraw.ImageDraw, title: str, subtitle: str, inner: float) -> float:
    top: float = _MARGIN
    top += _write(draw, (_MARGIN, top), title, _TITLE, INK, inner, strong=True)
    top += _write(draw, (_MARGIN, top), subtitle, _SUBTITLE, MUTED, inner)
    return top + 2 * _GAP


def _label_width(section: Section) -> int:
    return _LABEL_WIDTH + _GAP if any(section.row_labels) else 0


def _section_width(section: Section, tile: int) -> int:
    widest = max((len(row) for row in section.rows), default=0)
    return _label_width(section) + widest * (tile + _GAP) - _GAP


def _caption_height(row: Sequence[Tile | None], tile: int) -> float:
    heights = [
        _text_height(item.caption, _CAPTION, tile) + _text_height(item.detail, _DETAIL, tile)
        for item in row
        if item is not None
    ]
    tallest = max(heights, default=0.0)
    return tallest + 7 if tallest else 0.0


def _section_height(section: Section, tile: int, inner: float) -> float:
    height = _text_height(section.title, _HEADING, inner) + _text_height(
        section.note, _CAPTION, inner
    )
    height += _GAP * 0.7 if height else 0.0
    height += _columns_height(section, tile)
    height += sum(tile + _caption_height(row, tile) + _GAP for row in section.rows)
    return height + _GAP


def _columns_height(section: Section, tile: int) -> float:
    tallest = max((_text_height(text, _CAPTION, tile) for text in section.columns), default=0.0)
    return tallest + 6 if tallest else 0.0


def _draw_section(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    section: Section,
    top: float,
    tile: int,
    inner: float,
) -> float:
    end = top + _section_height(section, tile, inner)
    start = top
    top += _write(draw, (_MARGIN, top), section.title, _HEADING, INK, inner, strong=True)
    top += _write(draw, (_MARGIN, top), section.note, _CAPTION, MUTED, inner)
    top += _GAP * 0.7 if top > start else 0.0
    left = _MARGIN + _label_width(section)
    header = _columns_height(section, tile)
    for index, text in enumerate(section.columns):
        above = header - 6 - _text_height(text, _CAPTION, tile)  # titles stand on one base line
        place = (left + index * (tile + _GAP), top + above)
        _write(draw, place, text, _CAPTION, MUTED, tile, centred=True)
    top += header
    for number, row in enumerate(section.rows):
        if section.row_labels:
            label = section.row_labels[number]
            middle = top + (tile - _text_height(label, _CAPTION, _LABEL_WIDTH)) / 2
            _write(draw, (_MARGIN, middle), label, _CAPTION, INK, _LABEL_WIDTH)
        for index, item in enumerate(row):
            if item is not None:
                _draw_tile(page, draw, item, round(left + index * (tile + _GAP)), round(top), tile)
        top += tile + _caption_height(row, tile) + _GAP
    return end


def _draw_tile(
    page: Image.Image, draw: ImageDraw.ImageDraw, item: Tile, left: int, top: int, tile: int
) -> None:
    rim = _RIM if item.tone != "plain" else 1
    page.paste(RIMS[item.tone], (left, top), _rounded(tile, _CORNER))
    side = tile - 2 * rim
    page.paste(_square(item.image, side), (left + rim, top + rim), _rounded(side, _CORNER - rim))
    line = float(top + tile + 7)
    line += _write(draw, (left, line), item.caption, _CAPTION, INK, tile, centred=True)
    _write(draw, (left, line), item.detail, _DETAIL, MUTED, tile, centred=True)


def _square(picture: Picture, side: int) -> Image.Image:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image = image.convert("RGB")
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    fitted = image.resize(size, Image.Resampling.LANCZOS)
    if size == (side, side):
        return fitted
    square = Image.new("RGB", (side, side), RULE)
    square.paste(fitted, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square


@lru_cache(maxsize=16)
def _rounded(side: int, radius: int) -> Image.Image:
    """Mask of a square with rounded corners, smoothed by drawing it four times as large."""
    large = Image.new("L", (side * 4, side * 4), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, side * 4 - 1, side * 4 - 1), radius * 4, 255)
    return large.resize((side, side), Image.Resampling.LANCZOS)
