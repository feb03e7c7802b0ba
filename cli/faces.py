"""`limner faces`: what the face analysis sees in a photo."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import BundleOption, JsonOption, examples

if TYPE_CHECKING:
    from PIL.Image import Image

    from models import Face

EXAMPLES = examples(
    ("limner faces photo.png", "the faces with their numbers, boxes and scores"),
    ("limner faces photo.png -o boxes.png", "the same, drawn into the photo"),
    ("limner fuse --identity photo.png --face 2 -o out.png", "then take the second one"),
)

_COLOURS = ("#ff4d5e", "#2f9bff", "#20c27a", "#ffb020", "#b36bff", "#00c2d1")


def faces(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo to look at.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The photo with its faces marked."),
    ] = None,
    bundle: BundleOption = "mini",
    as_json: JsonOption = False,
) -> None:
    """Show what the face analysis sees: boxes, scores and five points of every face.

    The numbers are those that `limner fuse --face` takes.
    """
    import numpy as np

    from cli.console import print_json, say, table
    from cli.outputs import check_image_path, write_images
    from models import FaceAnalyser, FaceNotFound, open_bundle, read_image

    if output is not None:
        check_image_path(output, inputs=[photo])
    picture = read_image(photo)
    analyser = FaceAnalyser(open_bundle(bundle))
    found = analyser.analyse(np.asarray(picture))
    if not found:
        advice = analyser.hint or "give one that shows a face from the front, large and well lit"
        raise FaceNotFound(f"{photo} shows no face; {advice}")
    if output is not None:
        write_images({output: mark(picture, found)})
    if as_json:
        print_json([_as_json(number, face) for number, face in enumerate(found, 1)])
        return
    rows = [
        [number, _sides(face), _corner(face), face.score] for number, face in enumerate(found, 1)
    ]
    table(["face", "size", "at x, y", "score"], rows)
    if output is not None:
        say(f"Marked in {output}")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("faces", epilog=EXAMPLES)(faces)


def mark(picture: "Image", found: "tuple[Face, ...]") -> "Image":
    """A copy of the picture, at least 512 pixels wide, with each face's box, number and points."""
    from PIL import Image, ImageDraw, ImageFont

    scale = max(1, -(-512 // picture.width))
    marked = picture.resize(
        (picture.width * scale, picture.height * scale), Image.Resampling.LANCZOS
    )
    draw = ImageDraw.Draw(marked)
    thickness = max(2, marked.width // 250)
    font = ImageFont.load_default(max(14, marked.width // 28))
    for number, face in enumerate(found, 1):
        colour = _COLOURS[(number - 1) % len(_COLOURS)]
        x0, y0, x1, y1 = (float(value) * scale for value in face.box)
        draw.rectangle((x0, y0, x1, y1), outline=colour, width=thickness)
        label = f" {number}  {face.score:.2f} "
        left, top, right, bottom = draw.textbbox((x0, y0), label, font=font)
        height = bottom - top + 2 * thickness
        above = max(0.0, y0 - height)
        draw.rectangle((x0, above, x0 + right - left, above + height), fill=colour)
        draw.text((x0, above + thickness - (top - y0)), label, fill="white", font=font)
        for x, y in face.landmarks:
            r = thickness * 1.5
            cx, cy = float(x) * scale, float(y) * scale
            draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=colour, outline="white")
    return marked


def _sides(face: "Face") -> str:
    x0, y0, x1, y1 = (float(value) for value in face.box)
    return f"{round(x1 - x0)}×{round(y1 - y0)}"


def _corner(face: "Face") -> str:
    return f"{round(float(face.box[0]))}, {round(float(face.box[1]))}"


def _as_json(number: int, face: "Face") -> dict[str, object]:
    return {
        "face": number,
        "box": [round(float(value), 2) for value in face.box],
        "score": round(face.score, 4),
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in face.landmarks],
    }
