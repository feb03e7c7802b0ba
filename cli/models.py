"""`limner models`: the bundles on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import pull
from cli.options import JsonOption, examples

if TYPE_CHECKING:
    from eval import Card
    from models import Bundle

group = typer.Typer(
    no_args_is_help=True,
    help="Bundles: those on this machine, and public ones that can be fetched to it.",
)


@group.command("list", epilog=examples(("limner models list", "what is on this machine")))
def list_(as_json: JsonOption = False) -> None:
    """List the bundles, here or to be fetched: what each draws, how large, which licence, where."""
    from cli.console import print_json, say, table
    from models import list_bundles, list_sources

    here = list_bundles()
    rows = [_summary(name) for name in here]
    rows += [_public(name) for name in list_sources() if name not in here]
    if as_json:
        print_json(rows)
        return
    columns = ["name", "draws", "size", "MiB", "licence", "state"]
    # The command would push the names out of a narrow table; it follows under it.
    shown = [{**row, "state": str(row["state"]).split(": limner")[0]} for row in rows]
    table(columns, [[row[column] for column in columns] for row in shown])
    for row in rows:
        if ": limner models pull" in str(row["state"]):
            say(f" limner models pull {row['name']}", first="fetch it:")
    for row in rows:
        if row["where"]:
            say(f" lies in {row['where']}", first=str(row["name"]))


@group.command(
    epilog=examples(
        ("limner models verify", "every bundle"), ("limner models verify mini", "one of them")
    )
)
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; without: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read every file of a bundle and compare it with the digest its manifest gives."""
    from cli.console import print_json, progress, say
    from models import list_bundles, open_bundle, verify_bundle

    told: list[dict[str, object]] = []
    for name in names or list_bundles():
        bundle = open_bundle(name)
        total = _bytes(bundle)
        with progress() as bar:
            task = bar.add_task(f"reading {name}", total=total)
            count = verify_bundle(bundle, lambda _, size, t=task: bar.advance(t, size))  # type: ignore[misc]
        told.append({"name": name, "files": count, "bytes": total, "where": str(bundle.directory)})
        if not as_json:
            say(
                f"{name}: {count} files, {total / 2**20:.1f} MiB, every digest as the manifest says"
            )
    if as_json:
        print_json(told)
    elif not told:
        say("no bundle is here; fetch one with: limner models pull NAME, see limner models list")


@group.command(
    epilog=examples(
        ("limner models card mini", "the figures that were measured"),
        ("limner models card mini --measure", "measured anew, in minutes"),
    )
)
def card(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name or directory.")] = "mini",
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure anew on people it never saw: minutes.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small sample, shown and not kept as the card.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where page and sheets go."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Show what a bundle reaches on people it never saw, as the judges measured it."""
    from cli.console import print_json, standard_output
    from cli.errors import OptionRejected
    from models import open_bundle

    if (quick or output) and not measure:
        raise OptionRejected("--quick and --output belong to --measure: give it as well")
    bundle = open_bundle(name)
    if measure:
        shown = _measure(bundle, output or Path("out") / f"card-{bundle.name}", quick, device)
    else:
        from eval import read_card

        shown = read_card(bundle.card)
    if as_json:
        print_json(shown.model_dump(mode="json", by_alias=True))
    else:
        from eval import print_card

        print_card(shown, standard_output())


def register(app: typer.Typer) -> None:
    """Add the group to the application."""
    pull.register(group)
    app.add_typer(group, name="models")


def _measure(bundle: "Bundle", folder: Path, quick: bool, device: str) -> "Card":
    """Measure; the full sample's figures become the bundle's card."""
    from cli.console import progress, remark
    from cli.outputs import check_directory
    from eval import measure_card

    check_directory(folder)
    if not quick:
        check_directory(bundle.directory)
    with progress() as bar:
        card = measure_card(bundle, folder, quick=quick, progress=bar, device=device)
    if not quick:
        card.write(bundle.directory)
    remark(f"page and sample sheets: {folder}")
    return card


def _bytes(bundle: "Bundle") -> int:
    return sum(record.bytes for _, record in bundle.files())


def _summary(name: str) -> dict[str, object]:
    from models import BundleCorrupt, BundleNotFound, open_bundle

    try:
        bundle = open_bundle(name)
    except (BundleCorrupt, BundleNotFound) as error:
        unknown = dict.fromkeys(("draws", "size", "MiB", "licence", "where"), "")
        return {"name": name, **unknown, "state": str(error)}
    manifest = bundle.manifest
    return {
        "name": name,
        "draws": f"{manifest.draws.people} people",
        "size": f"{manifest.size}²",
        "MiB": f"{_bytes(bundle) / 2**20:.1f}",
        "licence": manifest.licence,
        "state": "complete",
        "where": str(bundle.directory),
    }


def _public(name: str) -> dict[str, object]:
    from models import is_begun, read_source

    source = read_source(name)
    said = source.description
    known = all(file.size is not None for file in source.files if file.fetched)
    begun = is_begun(name)
    return {
        "name": name,
        "draws": f"{said.draws.people} people",
        "size": f"{said.size}²",
        "MiB": f"{'' if known else '≥ '}{source.known_bytes / 2**20:.1f}",
        "licence": said.licence,
        "state": f"{'begun' if begun else 'not here'}: limner models pull {name}",
        "where": "",
    }
