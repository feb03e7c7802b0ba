"""`limner cache`: prompts encoded ahead, kept on disk, so that an engine starts warm."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import OptionRejected, explain
from cli.options import BundleOption, JsonOption, SettingsOption, TextOption, examples

if TYPE_CHECKING:
    from fusion import Engine, FusionRequest

group = typer.Typer(
    no_args_is_help=True,
    help="Prompts encoded ahead: warm a pool, see what it holds, save it elsewhere.",
)
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--folder", "-f", metavar="FOLDER", help="The pool's folder; without: the bundle's own."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


@group.command(
    epilog=examples(
        ("limner cache warm prompts.txt", "a prompt in each line, in words"),
        ("limner cache warm requests.jsonl", '{"attributes": {"age": 35}, "text": "…"} in each'),
        ("limner cache warm --set age=35 --set glasses", "one request"),
        ("limner cache warm prompts.txt --folder pool", "kept in a folder of your own"),
        ("limner fuse -i a.png --set age=35 --cache pool", "starts from it"),
    )
)
def warm(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Requests, one in each line.")
    ] = None,
    settings: SettingsOption = None,
    text: TextOption = None,
    folder: FolderOption = None,
    bundle: BundleOption = "mini",
    device: DeviceOption = "auto",
) -> None:
    """Encode the words of requests and keep their text states in the pool's folder."""
    from cli.console import say, tracked
    from cli.outputs import check_directory
    from prompting import parse_settings

    requests = list(_requests(file)) if file is not None else []
    if settings or text:
        requests.append(_request(parse_settings(settings or ()), text))
    if not requests:
        raise OptionRejected(
            f"{file} holds no requests: give one in each line, in words or as JSON"
            if file is not None
            else "nothing to encode: give a FILE, --set KEY=VALUE or --text WORDS"
        )
    place = folder or default_folder(bundle)
    check_directory(place)
    engine = _engine(bundle, device, place if (place / "index.json").exists() else None)
    before = engine.prompts.pool.statistics()
    for _ in tracked(engine.encode_prompts(requests), "encoding prompts", len(requests)):
        pass
    engine.prompts.save(place)
    after = engine.prompts.pool.statistics()
    reused = after.positions_reused - before.positions_reused
    asked = after.positions_asked - before.positions_asked
    say(
        f": {after.held_wholes} prompts and {after.held_slabs} shared beginnings, "
        f"{after.size_bytes / 2**20:.1f} MiB; {reused} of {asked} positions were reused",
        first=str(place),
    )


@group.command(epilog=examples(("limner cache stats", "what the mini bundle's pool holds")))
def stats(
    folder: FolderOption = None, bundle: BundleOption = "mini", as_json: JsonOption = False
) -> None:
    """Show what a pool on disk holds, and whether it is whole: prompts, beginnings, bytes."""
    from cli.console import print_json, table
    from models import read_pool_index

    place = folder or default_folder(bundle)
    index = read_pool_index(place, verify=True)
    rows = []
    for namespace in sorted({entry.namespace for entry in index.entries}):
        held = [entry for entry in index.entries if entry.namespace == namespace]
        slabs = [entry for entry in held if entry.start is not None]
        rows.append(
            {
                "namespace": "/".join(namespace) or "everyone",
                "prompts": len(held) - len(slabs),
                "shared beginnings": len(slabs),
                "positions in them": sum(len(e.tokens) - (e.start or 0) for e in slabs),
            }
        )
    size = (place / index.states).stat().st_size if (place / index.states).is_file() else 0
    if as_json:
        print_json({"folder": str(place), "bytes": size, "model": index.model, "held": rows})
        return
    title = f"{place}: {size / 2**20:.1f} MiB, of text encoder {index.model[:12]}"
    columns = ["namespace", "prompts", "shared beginnings", "positions in them"]
    table(columns, [[row[column] for column in columns] for row in rows], title=title)


@group.command(epilog=examples(("limner cache save /mnt/pool", "to carry to another machine")))
def save(
    destination: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where it goes.")],
    folder: FolderOption = None,
    bundle: BundleOption = "mini",
    device: DeviceOption = "auto",
) -> None:
    """Check a pool against the bundle's text encoder and write it to another folder."""
    from cli.console import say

    place = folder or default_folder(bundle)
    if destination.resolve() == place.resolve():
        raise OptionRejected(f"{destination} is where the pool lies: give another folder")
    engine = _engine(bundle, device, place)
    say(f": {engine.prompts.save(destination)} entries", first=str(destination))


def default_folder(bundle: str) -> Path:
    """Where the pool of a bundle lies: in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = bundle
    if Path(bundle).is_dir():  # of bundles in folders, two may have one name
        place = Path(bundle).resolve()
        name = f"{place.name}-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
    return Path(base) / "limner" / "prompts" / name


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="cache")


def _engine(bundle: str, device: str, warm_from: Path | None) -> "Engine":
    from cli.drawing import load_engine

    return load_engine(bundle, device, warm_from).warm()


def _requests(file: Path) -> Iterator["FusionRequest"]:
    """A request from each line that is not empty: a JSON object, or words."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise OptionRejected(f"{file} is no text in UTF-8: {error.reason}") from error
    for number, line in enumerate(lines, 1):
        words = line.strip()
        if not words:
            continue
        try:
            if not words.startswith("{"):
                yield _request(None, words)
                continue
            given = json.loads(words)
            unknown = set(given) - {"attributes", "text"}
            if unknown:
                raise ValueError(f"{sorted(unknown)[0]}: only attributes and text are read")
            yield _request(given.get("attributes"), given.get("text"))
        except ValueError as error:
            raise OptionRejected(f"{file}, line {number}: {explain(error).line}") from error


def _request(attributes: object, text: str | None) -> "FusionRequest":
    from fusion import FusionRequest
    from prompting import optimize

    request = FusionRequest.model_validate({"attributes": attributes, "text": text})
    optimize(request.attributes, request.text)  # what cannot be said is found before loading
    return request
