"""`limner train-mini`: train the mini bundle anew, or one model of it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.errors import OptionRejected
from cli.options import examples

EXAMPLES = examples(
    ("limner train-mini --minutes 180", "everything, within three hours of training"),
    ("limner train-mini --only denoiser --minutes 60", "one model; the others must be there"),
    ("limner train-mini --start-from mini --minutes 90", "the bundle that ships, trained on"),
    ("limner train-mini --preset test -o doll", "the whole way in a minute, to see it run"),
)
SIZES = (64, 128, 256)


def train_mini(
    only: Annotated[
        str | None, typer.Option(metavar="NAME", help="One stage; a wrong name lists them all.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Training time, of the one stage or of all together.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where the models are trained.")
    ] = "auto",
    size: Annotated[int | None, typer.Option(help="Side of the pictures: 128 or 256.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads and rendering processes.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where everything is kept between runs."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where the finished bundle goes."),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(metavar="BUNDLE", help="Go on from a bundle's models, not from nothing."),
    ] = None,
    preset: Annotated[str, typer.Option(help="mini, or test: seconds instead of hours.")] = "mini",
) -> None:
    """Train the mini bundle on the drawn world: hours on two CPU cores.

    Shows its progress, keeps checkpoints, and records what each model reaches on people it never
    saw. A run that was killed goes on where its last checkpoint stood: give the same command again.
    """
    from cli.console import say
    from cli.outputs import check_directory

    if size is not None and size not in SIZES:
        raise OptionRejected(f"--size takes {', '.join(map(str, SIZES))}, not {size}")
    if minutes is not None and minutes <= 0:
        raise OptionRejected(f"--minutes takes a number over 0, not {minutes:g}")
    for folder in (cache, output):
        if folder is not None:
            check_directory(folder)

    from training import train_mini as train

    bundle = train(
        only=only,
        minutes=minutes,
        device=device,
        size=size,
        threads=threads,
        cache=cache,
        output=output,
        preset=preset,
        start_from=start_from,
    )
    say(f"The bundle is {bundle}. Measure it:  limner models card {bundle} --measure")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train-mini", epilog=EXAMPLES)(train_mini)
