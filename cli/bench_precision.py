"""`limner bench precision`: what each precision costs, saves and loses on this machine."""

import statistics
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from cli.closeness import Closeness, closeness
from cli.options import BundleOption, JsonOption, examples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fusion import BundleSource, Engine, FusionResult

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

    Held against fp32 of the same seeds; all are loaded at once, and take turns. What this machine
    cannot do is told with its reason.
    """
    from cli.console import print_json, progress, say
    from models import PRECISIONS, DeviceUnavailable, choose_device

    place = choose_device(device)
    refused: dict[str, str] = {}
    with ExitStack() as stack, progress() as bar:
        entries: list[_Entry] = []
        for name in bar.track(PRECISIONS, description="loading"):
            try:
                entry = _Entry.of(bundle, device, name)
            except DeviceUnavailable as error:
                refused[name] = str(error)
            else:
                stack.enter_context(entry.engine)
                entries.append(entry)
        # Turn by turn, so that whatever else the machine does slows all of them.
        for seed in bar.track(range(-1, count), description="drawing"):
            for entry in entries:
                entry.draw(steps, seed)
    drawn = {entry.precision: entry.drawn() for entry in entries}
    rows = [
        _row(name, drawn[name], drawn[EXACT]) if name in drawn else Row(name, refused[name])
        for name in PRECISIONS
    ]
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


@dataclass(frozen=True)
class _Entry:
    """A precision with its engine, and what it has drawn so far."""

    precision: str
    source: "BundleSource"
    engine: "Engine"
    results: "list[FusionResult]" = field(default_factory=list)

    @classmethod
    def of(cls, bundle: str, device: str, name: str) -> "_Entry":
        """With its models loaded. Raises DeviceUnavailable."""
        from fusion import BundleSource, Engine
        from models import open_bundle

        source = BundleSource(open_bundle(bundle), device, name)
        return cls(name, source, Engine(source).warm())

    def draw(self, steps: int, seed: int) -> None:
        """Draw the person; a seed below 0 warms up and does not count."""
        from cli.drawn import draw, new_people
        from fusion import FusionRequest, Identity

        (person,) = (draw(one, {}, PHOTO_SIZE) for one in new_people(1, FIRST_PERSON))
        known = self.source.knows_identities
        request = FusionRequest(
            identities=(Identity(image=person.picture),) if known else (),
            attributes={"age": 60, "expression": "smiling", "glasses": True},
            steps=steps,
            seed=max(seed, 0),
        )
        result = self.engine.fuse(request)
        if seed >= 0:
            self.results.append(result)

    def drawn(self) -> Drawn:
        """All of it."""
        import numpy as np

        reports = [report for result in self.results for report in result.pictures]
        cosines = [report.wished_cosine for report in reports if report.face_found]
        return Drawn(
            pictures=tuple(np.asarray(result.images[0]) for result in self.results),
            seconds=tuple(result.usage.seconds for result in self.results),
            cosine=statistics.fmean(cosines) if cosines else None,
            weight_bytes=self.source.weight_bytes,
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
