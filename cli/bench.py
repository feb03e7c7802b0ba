"""`limner bench`: how fast this machine draws, where the time goes, and what saving costs."""

import statistics
from typing import Annotated

import typer

from cli import bench_memory, bench_precision
from cli.options import BundleOption, JsonOption, examples

EXAMPLES = examples(
    ("limner bench", "five portraits of 20 steps with a face and words"),
    ("limner bench --steps 10 --count 20 --json", "other numbers, for a program"),
    ("limner bench precision", "what fp16, bf16 and int8 cost, save and lose"),
    ("limner bench memory", "what --memory low, normal and high cost and save"),
)
PHOTO_SIZE = 256  # pixels
WARM_UP = 1  # pictures that are drawn and not counted


group = typer.Typer(invoke_without_command=True)


@group.callback(epilog=EXAMPLES)
def bench(
    context: typer.Context,
    count: Annotated[int, typer.Option(min=1, help="Portraits to draw.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps of each.")] = 20,
    bundle: BundleOption = "mini",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw portraits, one after another and at once; tell seconds, stages and memory."""
    if context.invoked_subcommand is not None:
        return
    import time

    from cli.console import print_json, progress, say, table
    from cli.drawing import load_engine
    from cli.drawn import draw, new_people
    from cli.report import stage_rows
    from fusion import FusionRequest, Identity

    started = time.perf_counter()
    engine = load_engine(bundle, device)
    with progress() as bar:
        bar.add_task("loading the models", total=None)
        engine.warm()
    load_seconds = time.perf_counter() - started
    (person,) = (draw(seed, {}, PHOTO_SIZE) for seed in new_people(1, 7))

    def request(seed: int) -> FusionRequest:
        return FusionRequest(
            identities=(Identity(image=person.picture),),
            attributes={"age": 60, "expression": "smiling", "glasses": True},
            steps=steps,
            seed=seed,
        )

    with progress() as bar:
        seeds = bar.track(range(count + WARM_UP), description="painting")
        results = [engine.fuse(request(seed)) for seed in seeds]
    with progress() as bar:
        together = engine.fuse_all(request(seed) for seed in range(count))
        started = time.perf_counter()
        list(bar.track(together, total=count, description="painting them at once"))
        together_seconds = (time.perf_counter() - started) / count
    counted = results[WARM_UP:]
    seconds = [result.usage.seconds for result in counted]
    peak = max(result.usage.peak_memory_bytes for result in counted)
    if as_json:
        print_json(
            {
                "bundle": bundle,
                "steps": steps,
                "count": count,
                "load_seconds": load_seconds,
                "median_seconds": statistics.median(seconds),
                "seconds": seconds,
                "together_seconds": together_seconds,
                "peak_memory_bytes": peak,
            }
        )
        return
    say(
        f"{steps} steps: {statistics.median(seconds):.2f} s a portrait "
        f"(median of {count}, slowest {max(seconds):.2f} s); loading took {load_seconds:.1f} s; "
        f"{peak / 2**20:.0f} MiB at most"
    )
    say(
        f"{count} at once: {together_seconds:.2f} s each, "
        f"{statistics.median(seconds) / together_seconds:.1f} times as many"
    )
    table(["stage", "seconds a picture", "share", "memory it added"], stage_rows(counted))


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    group.command("precision", epilog=bench_precision.EXAMPLES)(bench_precision.precision)
    group.command("memory", epilog=bench_memory.EXAMPLES)(bench_memory.memory)
    app.add_typer(group, name="bench")
