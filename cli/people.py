"""`limner people`: new drawn people with their attributes, to play with."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import OutputRejected
from cli.options import JsonOption, SettingsOption, examples

LARGEST_SIDE = 1024  # world.renderer's, which is too heavy to import for a help page
TRUTH = "people.json"
EXAMPLES = examples(
    ("limner people 8 -o people/", "eight people nobody has seen before"),
    ("limner people 4 --set gender=woman --set glasses -o people/", "four women with glasses"),
    ("limner people 3 --seed 7 -o people/", "the same three on every machine"),
)


def people(
    count: Annotated[
        int, typer.Argument(metavar="[COUNT]", min=1, max=1000, help="How many people.")
    ] = 8,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the pictures go.")
    ] = Path("people"),
    settings: SettingsOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Same seed, same people; without: new ones.")
    ] = None,
    size: Annotated[int, typer.Option(min=64, max=LARGEST_SIDE, help="Side in pixels.")] = 256,
    as_json: JsonOption = False,
) -> None:
    """Draw new people, each with the truth about what the picture shows.

    They were never seen in training. `people.json` beside the pictures says what each one shows,
    also of the people an earlier run left there.
    """
    from cli.console import print_json, progress, say, table
    from cli.drawn import draw, new_people, read_wish
    from cli.outputs import check_directory, check_files, image_writer, write_all

    check_directory(output)
    wish = read_wish(settings)
    paths = {
        identity: output / f"person-{identity}.png"
        for identity in new_people(count, seed, wish.gender)
    }
    check_files([*paths.values(), output / TRUTH])
    known = _read_truth(output / TRUTH)
    with progress() as bar:
        pictures = {
            paths[identity]: draw(identity, wish.look, size)
            for identity in bar.track(paths, description="drawing people")
        }
    truth = {
        path.name: {"seed": person.seed, **person.attributes} for path, person in pictures.items()
    }
    writers = {path: image_writer(person.picture, path) for path, person in pictures.items()}
    write_all({**writers, output / TRUTH: _dump({**known, **truth})})
    if as_json:
        print_json(truth)
        return
    table(["picture", "shows"], [[str(path), person.words] for path, person in pictures.items()])
    first, second = [*pictures, None][:2]
    identities = f"--identity {first}" + (f" --identity {second}:0.3" if second else "")
    say(f"Try next:  limner fuse {identities} --set expression=smiling -o out.png")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("people", epilog=EXAMPLES)(people)


def _read_truth(path: Path) -> dict[str, object]:
    """What an earlier run wrote there, which stays; empty without one. Raises OutputRejected."""
    if not path.exists():
        return {}
    try:
        truth = json.loads(path.read_bytes())
    except ValueError:
        truth = None
    if not isinstance(truth, dict):
        raise OutputRejected(f"{path} was not written by limner people: choose another folder")
    return truth


def _dump(value: Mapping[str, object]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    return write
