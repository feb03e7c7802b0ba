"""`limner bench precision`: what each precision costs, saves and loses on this machine."""

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli.closeness import Closeness, closeness
from cli.options import BundleOption, JsonOption, examples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXAMPLES = examples(
    ("limner bench precision", "fp32, bf16, fp16 and int8 on the mini bundle"),
    ("limner bench precision --count 16 --json", "more portraits, for a program"),
)
EXACT = "fp32"  # what the others are held against
LEAST_GAIN = 0.9  # of the seconds: less is noise
PHOTO_SIZE = 256  # pixels
FIRST_PERSON = 7


@dataclass(frozen=True)
class Drawn:
    """What a precision drew. seconds: of each portrait; cosine: mean likeness to the person, None
    where none was measured; weight_bytes: of denoiser, autoencoder and text encoder.
    """

    pictures: "tuple[NDArray[np.uint8], ...]"
    seconds: tuple[float, ...]
    cosine: float | None
    weight_bytes: int


@dataclass(frozen=True)
class Row:
    """One precision. refused: why it cannot be used here, or why its loss is too great."""

    precision: str
    refused: str | None = None
    median_seconds: float | None = None
    fastest_seconds: float | None = None
    weight_bytes: int | None = None
    closeness: Closeness | None = None
    cosine: float | None = None
    cosine_change: float | None = None


def precision(
    count: Annotated[int, typer.Option(min=1, help="Portraits to draw, each of a seed.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps of each.")] = 20,
    bundle: BundleOption = "mini",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw the same portraits in every precision; tell seconds, bytes of weights and what is lost.

    Held against fp32 of the same seeds. What this machine cannot do is told with its reason.
    """
    from cli.console import print_json, progress, say
    from models import PRECISIONS, DeviceUnavailable, choose_device

    place = choose_device(device)
    exact = _draw(bundle, device, EXACT, count, steps)
    rows = [_row(EXACT, exact, exact)]
    with progress() as bar:
        others = [name for name in PRECISIONS if name != EXACT]
        for name in bar.track(others, description="drawing"):
            try:
                drawn = _draw(bundle, device, name, count, steps)
            except DeviceUnavailable as error:
                rows.append(Row(name, refused=str(error)))
            else:
                rows.append(_row(name, drawn, exact))
    if as_json:
        print_json(
            {
                "bundle": bundle,
                "device": str(place),
                "steps": steps,
                "count": count,
                "precisions": [asdict(row) for row in rows],
            }
        )
        return
    _tell(rows)
    for row in rows:
        if row.refused:
            say(f": {row.refused}", first=row.precision)
    say(_verdict(rows))


def _draw(bundle: str, device: str, name: str, count: int, steps: int) -> Drawn:
    """Portraits of one person, one after another, the first of them twice to warm up.

    Raises DeviceUnavailable.
    """
    import numpy as np

    from cli.drawn import draw, new_people
    from fusion import Engine, FusionRequest, Identity, PreparedSource
    from models import open_bundle

    source = PreparedSource(open_bundle(bundle), device, name)
    (person,) = (draw(seed, {}, PHOTO_SIZE) for seed in new_people(1, FIRST_PERSON))
    with Engine(source) as engine:
        results = [
            engine.fuse(
                FusionRequest(
                    identities=(Identity(image=person.picture),) if source.knows_identities else (),
                    attributes={"age": 60, "expression": "smiling", "glasses": True},
                    steps=steps,
                    seed=seed,
                )
            )
            for seed in (0, *range(count))
        ][1:]
    reports = [report for result in results for report in result.pictures]
    cosines = [report.wished_cosine for report in reports if report.face_found]
    return Drawn(
        pictures=tuple(np.asarray(result.images[0]) for result in results),
        seconds=tuple(result.usage.seconds for result in results),
        cosine=statistics.fmean(cosines) if cosines else None,
        weight_bytes=source.weight_bytes,
    )


def _row(name: str, drawn: Drawn, exact: Drawn) -> Row:
    from models import loss_refusal

    near = closeness(drawn.pictures, exact.pictures)
    known = drawn.cosine is not None and exact.cosine is not None
    return Row(
        name,
        refused=loss_refusal(near.psnr) if name == "int8" else None,
        median_seconds=statistics.median(drawn.seconds),
        fastest_seconds=min(drawn.seconds),
        weight_bytes=drawn.weight_bytes,
        closeness=near,
        cosine=drawn.cosine,
        cosine_change=(drawn.cosine or 0) - (exact.cosine or 0) if known else None,
    )


def _tell(rows: list[Row]) -> None:
    from cli.console import table

    table(
        ["precision", "s", "fastest", "MiB", "PSNR", "worst", "SSIM", "cosine", "change"],
        [
            [
                row.precision,
                f"{row.median_seconds:.2f}",
                f"{row.fastest_seconds:.2f}",
                f"{(row.weight_bytes or 0) / 2**20:.1f}",
                f"{row.closeness.psnr:.1f}",
                f"{row.closeness.least_psnr:.1f}",
                f"{row.closeness.ssim:.4f}",
                "-" if row.cosine is None else f"{row.cosine:.3f}",
                "-" if row.cosine_change is None else f"{row.cosine_change:+.3f}",
            ]
            for row in rows
            if row.closeness is not None
        ],
        title="s: seconds a portrait, median; MiB: of weights; PSNR: dB, against fp32",
    )


def _verdict(rows: list[Row]) -> str:
    """What pays here, in a line: a tenth faster than fp32 at its fastest, and not refused."""
    exact = next(row for row in rows if row.precision == EXACT)
    least = LEAST_GAIN * (exact.fastest_seconds or 0)
    faster = [
        row.precision
        for row in rows
        if row.fastest_seconds is not None and not row.refused and row.fastest_seconds < least
    ]
    if not faster:
        return "nothing is a tenth faster than fp32 here: the others save memory only"
    return f"a tenth faster than fp32 here, or more: {', '.join(faster)}"
