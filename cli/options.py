"""The options several commands share, and the small languages they are written in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.errors import OptionRejected

LARGEST_WEIGHT = 1e6  # fusion.resolved's, which is too heavy to import for a help page

BundleOption = Annotated[
    str, typer.Option("--bundle", "-b", metavar="NAME", help="A bundle's name or directory.")
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="An attribute: age=60, expression=smiling, glasses, hat=none … May be repeated; "
        "`limner prompt --keys` lists them all.",
    ),
]
TextOption = Annotated[
    str | None, typer.Option("--text", "-t", metavar="WORDS", help="Free words about the portrait.")
]
PrecisionOption = Annotated[str, typer.Option(help="auto, fp32, bf16, fp16 or int8.")]
BackendOption = Annotated[
    str,
    typer.Option(
        help="auto: what `limner compile` has built, else eager. By name: compiled, onnx, tensorrt "
        "…, built on first use."
    ),
]
FacePackOption = Annotated[
    str | None,
    typer.Option(
        "--faces-pack", metavar="NAME", help="An InsightFace pack's name or folder for the photos."
    ),
]
LoraOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lora",
        metavar="FILE[:SCALE]",
        help="A LoRA's safetensors file, merged for this portrait. May be repeated.",
    ),
]
MemoryOption = Annotated[
    str,
    typer.Option(
        "--memory",
        metavar="MODE",
        help="How much memory to spend: low, normal or high; low is slower.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of words.")]


def examples(*lines: tuple[str, str]) -> str:
    """The end of a help page: commands to type, each over what it does (rich's markup)."""
    shown = [f"  [cyan]{command}[/cyan]\n    [dim]{meaning}[/dim]" for command, meaning in lines]
    return "[bold]Examples[/bold]\n" + "\n".join(shown)


@dataclass(frozen=True)
class WeightedPhoto:
    """A photo and the weight given with it; None where it takes what the others leave."""

    path: Path
    weight: float | None


def parse_identity(text: str) -> WeightedPhoto:
    """`b.png:0.3` is a photo and its weight; a file whose name has such an ending is itself.

    The weight is only read here; whether it makes sense is the request's own check.
    """
    name, colon, tail = text.rpartition(":")
    if colon and name and not Path(text).exists():
        try:
            return WeightedPhoto(Path(name), float(tail))
        except ValueError:
            pass
    return WeightedPhoto(Path(text), None)


def shares(photos: Sequence[WeightedPhoto]) -> list[float]:
    """A weight for every photo: those without one share evenly what the others leave of 1.

    `a.png b.png:0.3` is 0.7 and 0.3. Raises OptionRejected where nothing is left to share.
    """
    given = [photo.weight for photo in photos if photo.weight is not None]
    without = [photo.path for photo in photos if photo.weight is None]
    if any(not 0 <= weight <= LARGEST_WEIGHT for weight in given):
        return [1.0 if photo.weight is None else photo.weight for photo in photos]  # refused later
    left = 1.0 - math.fsum(given)
    if without and left <= 1e-6:
        raise OptionRejected(
            f"the weights given already make {math.fsum(given):g}, which leaves nothing for "
            f"{without[0]}: give it a weight too, such as {without[0]}:0.5"
        )
    return [left / len(without) if photo.weight is None else photo.weight for photo in photos]


def parse_steps(text: str | None) -> int | Literal["auto", "few"]:
    """A number, or a word of the request; "auto" where nothing is given. Raises OptionRejected."""
    if text is None or text.strip().lower() == "auto":
        return "auto"
    if text.strip().lower() == "few":
        return "few"
    if text.strip().isdecimal():
        return int(text)
    raise OptionRejected(f'--steps takes a whole number, auto or few, not "{text}"')


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`512x768` is (width, height) in pixels; `512` is a square. Raises OptionRejected."""
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) in (1, 2) and all(part.strip().isdecimal() for part in parts):
        return int(parts[0]), int(parts[-1])
    raise OptionRejected(f'--size takes WIDTHxHEIGHT such as 512x768, not "{text}"')
