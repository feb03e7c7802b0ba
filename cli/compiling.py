"""`limner compile`: engines for a bundle, built ahead."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption, PrecisionOption, examples

if TYPE_CHECKING:
    from models import EngineEntry

EXAMPLES = examples(
    ("limner compile", "machine code for the mini bundle on this machine: a minute or two"),
    ("limner compile sd15-faceid --sizes 512x512,512x768", "for two sizes of portraits"),
    ("limner compile --backend onnx", "for ONNX Runtime (pip install 'limner\\[onnx]')"),
    ("limner compile --list", "the engines on this machine, and how near to eager they are"),
    ("limner compile mini --remove", "forget those of a bundle"),
)


def compile_(
    bundle: Annotated[
        str | None, typer.Argument(metavar="[BUNDLE]", help="A bundle's name or directory.")
    ] = None,
    backend: Annotated[
        str,
        typer.Option(help="compiled (torch's compiler), onnx, onnx-tensorrt or tensorrt."),
    ] = "compiled",
    sizes: Annotated[
        str | None,
        typer.Option(metavar="WxH,…", help="Sizes of portraits; without: the bundle's own."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: PrecisionOption = "auto",
    list_: Annotated[bool, typer.Option("--list", help="List what is built already.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Forget a bundle's engines.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build engines ahead, so that portraits are drawn faster from the first one on.

    Each is held against eager first and refused where it differs; requests find it by themselves
    (backend auto). Engines lie in $LIMNER_ENGINES, else in the user's cache folder.
    """
    from cli.console import progress, say
    from cli.errors import OptionRejected
    from models import EngineStore

    store = EngineStore()
    if list_ or remove:
        entries = [one for one in store.entries() if bundle in (None, one.record.bundle)]
        if remove and bundle is None:
            raise OptionRejected("--remove takes a bundle's name: limner compile mini --remove")
        if remove:
            for entry in entries:
                store.remove(entry)
            say(f"{len(entries)} engines removed from {store.root}")
            return
        _show(entries, as_json, store.root)
        return
    if backend in ("auto", "eager"):
        raise OptionRejected(
            f"--backend {backend} needs no engine: give compiled, onnx or tensorrt"
        )
    wanted = _sizes(sizes)
    with progress() as bar:
        task = bar.add_task("starting", total=None)
        from fusion import compile_bundle

        built = compile_bundle(
            bundle or "mini",
            backend,
            wanted,
            device=device,
            precision=precision,
            doing=lambda what: bar.update(task, description=what),
        )
    _show(built, as_json, store.root)


def _sizes(text: str | None) -> list[tuple[int, int]]:
    """Sizes in pixels. Raises OptionRejected."""
    from cli.errors import OptionRejected
    from cli.options import parse_size

    try:
        sizes = [parse_size(part.strip()) for part in text.split(",")] if text else []
    except OptionRejected:
        raise OptionRejected(f'--sizes takes sizes such as 512x512,512x768, not "{text}"') from None
    return [size for size in sizes if size is not None]


def _show(entries: "Sequence[EngineEntry]", as_json: bool, root: Path) -> None:
    from cli.console import print_json, say, table

    if as_json:
        print_json([{"folder": str(one.folder), **one.record.model_dump()} for one in entries])
        return
    if not entries:
        say(f"No engines in {root}; build some with: limner compile")
        return
    columns = ["bundle", "backend", "graph", "latents", "precision", "MiB", "dB", "seconds"]
    rows = [
        [
            one.record.bundle,
            one.record.backend,
            one.record.graph,
            f"{one.record.width}×{one.record.height}",
            one.record.dtype,
            f"{one.size_bytes / 2**20:.1f}",
            f"{one.record.psnr_db:.0f}",
            f"{one.record.build_seconds:.0f}",
        ]
        for one in entries
    ]
    table(columns, rows)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("compile", epilog=EXAMPLES)(compile_)
