"""`limner faces`: what the face analysis sees in photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import OptionRejected
from cli.options import BundleOption, JsonOption, examples

if TYPE_CHECKING:
    from models import Face, FaceAnalyser, FacesSettings

STRIDE = 32  # pixels: a detector's side is a multiple of it (models.manifest's, too heavy for help)
EXAMPLES = examples(
    ("limner faces photo.png", "the faces with their numbers, sizes and scores"),
    ("limner faces photo.png -o boxes.png", "the same, drawn into the photo"),
    ("limner faces *.jpg --pack buffalo_l --json", "several photos, another pack, for programs"),
    ("limner faces crowd.jpg --pack buffalo_l --detector-size 1280", "faces of few pixels"),
    ("limner fuse --identity photo.png --face 2 -o out.png", "then take the second one"),
)


def faces(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="The photos to look at.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The photo with its faces marked; of several: FILE-1, FILE-2 …",
        ),
    ] = None,
    pack: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="An InsightFace pack on this machine, such as buffalo_l, its folder, or one "
            "*.onnx of it; without: the bundle's.",
        ),
    ] = None,
    detector_size: Annotated[
        list[int] | None,
        typer.Option(
            metavar="PIXELS",
            help="Side of the square that the photo is fitted into; larger finds smaller faces. "
            "Repeated: looked at in each.",
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="The least score of a face, between 0 and 1.")
    ] = None,
    bundle: BundleOption = "mini",
    as_json: JsonOption = False,
) -> None:
    """Show what the face analysis sees: box, size, score and five points of every face.

    The numbers are those that `limner fuse --face` takes.
    """
    import numpy as np

    from cli.console import print_json, remark, say, table
    from cli.face_marks import mark_faces
    from cli.outputs import check_image_path, numbered, write_images
    from models import FaceNotFound, read_image

    paths = [] if output is None else numbered(output, len(photos))
    for path in paths:
        check_image_path(path, inputs=photos)
    analyser = _analyser(pack, bundle, detector_size or (), threshold)
    smallest = analyser.settings.smallest_face
    pictures = [read_image(photo) for photo in photos]
    found = [analyser.analyse(np.asarray(picture)) for picture in pictures]
    advice = analyser.hint or "give one that shows a face from the front, large and well lit"
    if not any(found):
        shown = f"{photos[0]} shows" if len(photos) == 1 else f"the {len(photos)} photos show"
        raise FaceNotFound(f"{shown} no face; {advice}")
    write_images(
        {
            path: mark_faces(picture, here, smallest)
            for path, picture, here in zip(paths, pictures, found, strict=bool(paths))
        }
    )
    for photo, here in zip(photos, found, strict=True):
        if not here:
            remark(f"{photo} shows no face; {advice}")
    listed = [
        (photo, number, face)
        for photo, here in zip(photos, found, strict=True)
        for number, face in enumerate(here, 1)
    ]
    if as_json:
        print_json([_as_json(photo, number, face, smallest) for photo, number, face in listed])
        return
    several = len(photos) > 1
    columns = [*(["photo"] if several else []), "face", "size", "at x, y", "score", "large enough"]
    rows = [
        [*([photo] if several else []), *_row(number, face, smallest)]
        for photo, number, face in listed
    ]
    table(columns, rows)
    for path in paths:
        say(f"Marked in {path}")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("faces", epilog=EXAMPLES)(faces)


def _analyser(
    pack: str | None, bundle: str, sides: Sequence[int], threshold: float | None
) -> "FaceAnalyser":
    """The analyser asked for. Raises OptionRejected, FacePackRejected, BundleNotFound."""
    _check(sides, threshold)
    from models import BundleFaces, FaceAnalyser, find_face_pack, open_bundle

    if pack is not None:
        given = find_face_pack(pack)
        return FaceAnalyser.of_pack(given, _settings(given.settings, sides, threshold))
    own = BundleFaces.of(open_bundle(bundle))
    return FaceAnalyser(BundleFaces(own.bundle, _settings(own.settings, sides, threshold)))


def _check(sides: Sequence[int], threshold: float | None) -> None:
    for side in sides:
        if side < STRIDE or side % STRIDE:
            raise OptionRejected(
                f"--detector-size takes a multiple of {STRIDE} such as 320 or 640, not {side}"
            )
    if threshold is not None and not 0 < threshold < 1:
        raise OptionRejected(f"--threshold takes a number between 0 and 1, not {threshold:g}")


def _settings(
    usual: "FacesSettings", sides: Sequence[int], threshold: float | None
) -> "FacesSettings":
    changed: dict[str, object] = {}
    if sides:
        changed["detector_sizes"] = tuple((side, side) for side in dict.fromkeys(sides))
    if threshold is not None:
        changed["score_threshold"] = threshold
    return usual.model_copy(update=changed)


def _row(number: int, face: "Face", smallest: float) -> list[object]:
    x0, y0, x1, y1 = (float(value) for value in face.box)
    verdict = "yes" if face.size >= smallest else f"no, under {smallest:.0f} pixels"
    return [
        number,
        f"{round(x1 - x0)}×{round(y1 - y0)}",
        f"{round(x0)}, {round(y0)}",
        face.score,
        verdict,
    ]


def _as_json(photo: Path, number: int, face: "Face", smallest: float) -> dict[str, object]:
    x0, y0, x1, y1 = (round(float(value), 2) for value in face.box)
    return {
        "photo": str(photo),
        "face": number,
        "box": [x0, y0, x1, y1],
        "size": [round(x1 - x0, 2), round(y1 - y0, 2)],
        "large_enough": face.size >= smallest,
        "smallest_face": smallest,
        "score": round(face.score, 4),
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in face.landmarks],
        "embedding_norm": round(face.norm, 4),
    }
