"""`limner fuse`: photos and words in, a portrait out."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.costs_options import LedgerOption
from cli.errors import OptionRejected
from cli.options import (
    BackendOption,
    BundleOption,
    FacePackOption,
    JsonOption,
    LoraOption,
    MemoryOption,
    PrecisionOption,
    SettingsOption,
    TextOption,
    WeightedPhoto,
    examples,
    parse_identity,
    parse_size,
    parse_steps,
    shares,
)

if TYPE_CHECKING:
    from fusion import Identity

MOST_PICTURES = 16  # fusion.resolved's, which is too heavy to import for a help page
EXAMPLES = examples(
    ("limner fuse -i a.png -s age=30 -s hair=brown", "a new portrait of one person"),
    ("limner fuse -i a.png -i b.png:0.3 --set age=60 --set glasses", "two people, 70 to 30"),
    ("limner fuse -i a.png --target b.png -s age=40", "a's face in b's portrait"),
    ("limner fuse -i group.png --face 2", "the second face, as `limner faces` numbers them"),
    ("limner fuse -i a.png --count 4 --min-identity 0.4", "four, each like enough or drawn again"),
    ("limner fuse -i a.png --steps few", "nearly the same picture in a quarter of the time"),
    ("limner people 4 -o people/", "photos to play with"),
)


def fuse(
    identity: Annotated[
        list[str] | None,
        typer.Option(
            "--identity",
            "-i",
            metavar="PHOTO[:WEIGHT]",
            help="Whose face; may be repeated. Without a weight: what the others leave of 1.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the portrait goes.")
    ] = Path("out.png"),
    target: Annotated[
        Path | None,
        typer.Option(metavar="PHOTO", help="Fuse into this portrait, keeping the rest of it."),
    ] = None,
    settings: SettingsOption = None,
    text: TextOption = None,
    face: Annotated[
        list[int] | None,
        typer.Option(
            help="Which face of a photo with several, from 1; repeated: one for each --identity."
        ),
    ] = None,
    target_face: Annotated[
        int | None, typer.Option(help="Which face of the target, from 1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same picture.")] = 7,
    count: Annotated[
        int,
        typer.Option(min=1, max=MOST_PICTURES, help="How many pictures, each of another seed."),
    ] = 1,
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="N|few",
            help="Denoising steps; few: as few as the bundle draws nearly as well with; without: "
            "as many as the request is complex.",
        ),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Approximate: in half to two thirds of the time, and not quite the same."
        ),
    ] = False,
    guidance_scale: Annotated[
        float | None, typer.Option(help="How strictly words and face are obeyed.")
    ] = None,
    identity_scale: Annotated[
        float | None, typer.Option(help="How strongly the face counts; 1 as trained.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="How much of the target is drawn anew, up to 1.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Pixels of a free portrait, such as 128x128.")
    ] = None,
    min_identity: Annotated[
        float | None, typer.Option(help="Draw again what is less similar to the face than this.")
    ] = None,
    bundle: BundleOption = "mini",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: PrecisionOption = "auto",
    backend: BackendOption = "auto",
    memory: MemoryOption = "normal",
    faces_pack: FacePackOption = None,
    lora: LoraOption = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Start from prompts encoded before, by `limner cache warm`."
        ),
    ] = None,
    ledger: LedgerOption = None,
    no_ledger: Annotated[bool, typer.Option("--no-ledger", help="Book nothing.")] = False,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE.toml",
            help="What it costs, for the ledger; else $LIMNER_PRICES, else nothing.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a portrait of one person, or of several by weight, as the words say.

    With --target the face is fused into that portrait and the rest of it stays as it is.
    """
    from cli.books import books
    from cli.console import print_json
    from cli.drawing import draw_request, load_engine
    from cli.outputs import check_image_path, check_photos, numbered, portrait_writer, write_all
    from cli.report import fusion_as_json, tell_fusion
    from fusion import FusionRequest
    from prompting import parse_settings

    photos = [parse_identity(given) for given in identity or ()]
    if not photos and not target and not settings and not text:
        raise OptionRejected(
            "nothing to draw: give --identity PHOTO, --set KEY=VALUE or --text WORDS"
        )
    inputs = [photo.path for photo in photos] + ([target] if target else [])
    check_photos(inputs)
    paths = numbered(output, count)
    for path in paths:
        check_image_path(path, inputs=inputs)
    request = FusionRequest(
        identities=_identities(photos, face or []),
        target=target,
        target_face=target_face,
        attributes=parse_settings(settings or ()),
        text=text,
        steps=parse_steps(steps),
        guidance_scale=guidance_scale,
        identity_scale=identity_scale,
        strength=strength,
        size=parse_size(size),
        seed=seed,
        count=count,
        min_identity=min_identity,
        mode="fast" if fast else "exact",
    )
    merged = [parse_identity(given) for given in lora or ()]
    with nullcontext() if no_ledger else books(ledger, prices, "fuse") as book:
        engine = load_engine(
            bundle,
            device,
            cache,
            precision=precision,
            backend=backend,
            face_pack=faces_pack,
            memory=memory,
            loras=[(one.path, 1.0 if one.weight is None else one.weight) for one in merged],
            ledger=book,
        )
        result = draw_request(engine, request)
    write_all({path: portrait_writer(result, index) for index, path in enumerate(paths)})
    if as_json:
        print_json(fusion_as_json(result, paths))
    else:
        tell_fusion(result, paths)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("fuse", epilog=EXAMPLES)(fuse)


def _identities(photos: Sequence[WeightedPhoto], faces: Sequence[int]) -> "tuple[Identity, ...]":
    """The people of the request. One --face goes for all photos, several for one each."""
    from fusion import Identity

    if len(faces) > 1 and len(faces) != len(photos):
        raise OptionRejected(
            f"--face is given {len(faces)} times for {len(photos)} photos: "
            "give it once for all, or once for each --identity"
        )
    one_for_all = [*faces, None][0]
    chosen = faces if len(faces) == len(photos) else [one_for_all] * len(photos)
    return tuple(
        Identity(image=photo.path, weight=weight, face=number)
        for photo, weight, number in zip(photos, shares(photos), chosen, strict=True)
    )
