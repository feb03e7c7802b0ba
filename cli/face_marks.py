"""A photo with its faces marked: box, five points, number, size in pixels and score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

    from models import Face

LEAST_SIDE = 768  # pixels; a smaller photo is drawn larger by a whole factor
_COLOURS = ("#ff4d5e", "#2f9bff", "#20c27a", "#ffb020", "#b36bff", "#00c2d1")
_INK = (16, 18, 24)
_WARNING = (255, 196, 84)
_SMOOTH = 4  # round shapes are drawn this much larger, and shrunk


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: "_Box") -> float:
        """The area both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


@dataclass(frozen=True)
class _Pen:
    """Sizes in pixels that are seen alike on a small photo and on a large one."""

    line: int
    font: "FreeTypeFont | ImageFont"
    text_height: float
    margin: int

    @classmethod
    def of(cls, longest: int, boxes: Sequence[_Box]) -> "_Pen":
        from PIL import ImageFont

        widths = sorted(box.right - box.left for box in boxes)
        usual = widths[len(widths) // 2] if widths else longest
        size = max(14.0, min(longest / 54, max(longest / 90, usual / 7)))
        font = ImageFont.load_default(size)
        text_height = font.getbbox("0")[3] - font.getbbox("0")[1]
        return cls(max(2, round(longest / 330)), font, text_height, max(4, round(size * 0.42)))


def mark_faces(picture: "Image", found: "Sequence[Face]", smallest: float = 0.0) -> "Image":
    """A copy of the picture, its longer side LEAST_SIDE or near it at least, with each face marked.

    smallest: faces whose shorter side has fewer pixels are told to be too small.
    """
    from PIL import Image

    scale = max(1, round(LEAST_SIDE / max(picture.size)))
    size = (picture.width * scale, picture.height * scale)
    marked = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    boxes = [_Box(*(float(value) * scale for value in face.box)) for face in found]
    pen = _Pen.of(max(size), boxes)
    for index, (face, box) in enumerate(zip(found, boxes, strict=True)):
        colour = _COLOURS[index % len(_COLOURS)]
        _frame(marked, box, colour, pen)
        for x, y in face.landmarks:
            reach = max(3.0, min(1.6 * pen.line, 0.035 * (box.right - box.left)))
            _dot(marked, float(x) * scale, float(y) * scale, reach, colour)
    labels: list[_Box] = []
    for index, (face, box) in enumerate(zip(found, boxes, strict=True)):
        parts = _parts(index + 1, face, smallest)
        label = _place(_label_size(parts, pen), box, [*labels, *boxes], size, pen)
        _label(marked, label, parts, _COLOURS[index % len(_COLOURS)], pen)
        labels.append(label)
    return marked


def _parts(number: int, face: "Face", smallest: float) -> tuple[str, str, bool]:
    """The number, what is said of the face, and whether that is a warning."""
    x0, y0, x1, y1 = (float(value) for value in face.box)
    small = face.size < smallest
    said = f"{round(x1 - x0)} x {round(y1 - y0)} px   {face.score:.2f}"
    return str(number), said + ("   too small" if small else ""), small


def _frame(image: "Image", box: _Box, colour: str, pen: _Pen) -> None:
    """A thin frame with strong corners, on a dark edge so that it shows on any ground."""
    from PIL import ImageColor, ImageDraw

    draw = ImageDraw.Draw(image, "RGBA")
    red, green, blue = ImageColor.getrgb(colour)[:3]
    half = pen.line / 2
    box = _Box(  # what is drawn about the edges of the picture stays in it
        max(box.left, half), max(box.top, half),
        min(box.right, image.width - 1 - half), min(box.bottom, image.height - 1 - half),
    )  # fmt: skip
    thin = max(1, pen.line // 2)
    middle = thin // 2  # the outline grows inwards, and belongs on the edge
    around = (box.left - middle, box.top - middle, box.right + middle, box.bottom + middle)
    draw.rectangle(around, outline=(red, green, blue, 190), width=thin)
    reach = max(2.0 * pen.line, 0.2 * min(box.right - box.left, box.bottom - box.top))
    bars = []
    for x, inwards in ((box.left, 1), (box.right, -1)):
        for y, down in ((box.top, 1), (box.bottom, -1)):
            xs = sorted((x - inwards * half, x + inwards * reach))
            ys = sorted((y - down * half, y + down * reach))
            bars.append((xs[0], y - half, xs[1], y + half))
            bars.append((x - half, ys[0], x + half, ys[1]))
    edge = max(1, pen.line // 4)
    for left, top, right, bottom in bars:
        draw.rectangle((left - edge, top - edge, right + edge, bottom + edge), fill=(*_INK, 110))
    for bar in bars:
        draw.rectangle(bar, fill=(red, green, blue, 255))


def _dot(image: "Image", x: float, y: float, radius: float, colour: str) -> None:
    """A round point with a white ring."""
    from PIL import Image, ImageColor, ImageDraw

    side = 2 * (int(radius * 1.6) + 2)
    left, top = round(x - side / 2), round(y - side / 2)
    tile = Image.new("RGBA", (side * _SMOOTH, side * _SMOOTH), (*_INK, 0))
    draw = ImageDraw.Draw(tile)
    middle = ((x - left) * _SMOOTH, (y - top) * _SMOOTH)
    for reach, fill in (
        (1.55, (*_INK, 120)),
        (1.35, (255, 255, 255, 255)),
        (0.9, (*ImageColor.getrgb(colour)[:3], 255)),
    ):
        draw.circle(middle, radius * reach * _SMOOTH, fill=fill)
    tile = tile.resize((side, side), Image.Resampling.BOX)
    image.paste(tile, (left, top), tile)


def _label_size(parts: tuple[str, str, bool], pen: _Pen) -> tuple[int, int]:
    number, said, _ = parts
    width = pen.font.getlength(number) + pen.font.getlength(said) + 4 * pen.margin
    return round(width), round(pen.text_height + 2 * pen.margin)


def _place(
    size: tuple[int, int], box: _Box, taken: Sequence[_Box], picture: tuple[int, int], pen: _Pen
) -> _Box:
    """Where the label hides least of what is marked already; above the face if it can be."""
    width, height = size
    gap = pen.line + 1
    above, below = box.top - height - gap, box.bottom + gap
    flush = box.left - pen.line / 2
    corners = (
        (flush, above), (flush, below),
        (box.right - width, above), (box.right - width, below),
        (box.right + gap, box.top), (box.left - width - gap, box.top),
        (box.left, above - height - gap), (box.left, below + height + gap),
        (box.left + 2 * gap, box.bottom - height - 2 * gap),
    )  # fmt: skip
    best, least = None, 0.0
    for left, top in corners:
        left = round(min(max(left, 0), max(picture[0] - width, 0)))
        top = round(min(max(top, 0), max(picture[1] - height, 0)))
        place = _Box(left, top, left + width, top + height)
        hidden = sum(place.shared(other) for other in taken)
        if best is None or hidden < least - 0.5:
            best, least = place, hidden
    assert best is not None
    return best


def _label(
    image: "Image", place: _Box, parts: tuple[str, str, bool], colour: str, pen: _Pen
) -> None:
    from PIL import Image, ImageColor, ImageDraw

    number, said, warning = parts
    left, top = int(place.left), int(place.top)
    width, height = int(place.right) - left, int(place.bottom) - top
    badge = round(pen.font.getlength(number) + 2 * pen.margin)
    plate = Image.new("RGB", (width, height), _INK)
    draw = ImageDraw.Draw(plate)
    fill = ImageColor.getrgb(colour)[:3]
    draw.rectangle((0, 0, badge, height), fill=fill)
    bright = 0.299 * fill[0] + 0.587 * fill[1] + 0.114 * fill[2] > 150
    offset = pen.margin - pen.font.getbbox("0")[1]
    draw.text((pen.margin, offset), number, fill=_INK if bright else "white", font=pen.font)
    ink = _WARNING if warning else (240, 242, 246)
    draw.text((badge + pen.margin, offset), said, fill=ink, font=pen.font)
    mask = Image.new("L", (width * _SMOOTH, height * _SMOOTH))
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, width * _SMOOTH - 1, height * _SMOOTH - 1), height * _SMOOTH * 0.24, fill=235
    )
    image.paste(plate, (left, top), mask.resize((width, height), Image.Resampling.BOX))
