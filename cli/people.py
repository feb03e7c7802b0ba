"""`limner people`: new drawn people with their attributes, to play with."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption, SettingsOption, examples

if TYPE_CHECKING:
    from PIL.Image import Image

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
    size: Annotated[int, typer.Option(min=64, max=2048, help="Side of a picture in pixels.")] = 256,
    as_json: JsonOption = False,
) -> None:
    """Draw new people, each with the truth about what the picture shows.

    They were never seen in training. `people.json` beside the pictures says what each one shows.
    """
    from cli.console import print_json, progress, say, table
    from cli.drawn import draw, new_people, read_wish
    from cli.outputs import check_directory, write_all

    check_directory(output)
    wish = read_wish(settings)
    seeds = new_people(count, seed, wish.gender)
    with progress() as bar:
        drawn = [
            draw(identity, wish.look, size)
            for identity in bar.track(seeds, description="drawing people")
        ]
    pictures = {output / f"person-{person.seed}.png": person for person in drawn}
    truth = {
        path.name: {"seed": person.seed, **person.attributes} for path, person in pictures.items()
    }
    writers = {path: _save(person.picture) for path, person in pictures.items()}
    write_all({**writers, output / "people.json": _dump(truth)})
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


def _save(picture: "Image") -> Callable[[Path], None]:
    return lambda path: picture.save(path)


def _dump(value: Mapping[str, object]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    return write
