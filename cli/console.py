"""How the terminal is spoken to: results on stdout, progress and remarks on stderr."""

import json
import os
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeVar

from cli.errors import without_controls

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")
_PIPED_COLUMNS = 100  # where there is no terminal to ask


def standard_output() -> "Console":
    """The console results go to."""
    from rich.console import Console

    unknown = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    width = _PIPED_COLUMNS if unknown else None
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def standard_error() -> "Console":
    """The console progress and remarks go to."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


@contextmanager
def progress(*, remaining: bool = False) -> Iterator["Progress"]:
    """A progress display on stderr: bars on a terminal, silence elsewhere; gone when done.

    remaining: tell the time left beside the time passed.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = standard_error()
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=32),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    left = (TextColumn("left"), TimeRemainingColumn()) if remaining else ()
    with Progress(
        *columns,
        *left,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=False,  # the engine's thread redirects it for InsightFace's chatter
        redirect_stderr=False,
    ) as bar:
        yield bar


def tracked(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """The items one by one: a bar on a terminal, a line on stderr elsewhere."""
    if not standard_error().is_terminal:
        remark(f"{description}: {total}")
    with progress() as bar:
        yield from bar.track(items, total=total, description=description)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
    right: Container[str] = (),
) -> None:
    """Print a table on stdout; columns whose every cell is a number stand to the right, and those
    named in `right`.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[index]) for row in rows)
        justify: Literal["left", "right"] = "right" if numeric or name in right else "left"
        drawn.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cell(value)) for value in row))  # a file may be called [red].png
    standard_output().print(drawn)


def say(text: str = "", *, first: str = "") -> None:
    """Print a line of results on stdout as it is, after what comes `first`, in bold."""
    from rich.text import Text

    standard_output().print(
        Text.assemble((without_controls(first), "bold"), without_controls(text))
    )


def remark(text: str) -> None:
    """Print a line about the work, not its result, on stderr."""
    standard_error().print(text)


def print_json(value: Mapping[str, object] | Sequence[object]) -> None:
    """Print machine-readable JSON on stdout, and nothing else."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return without_controls(str(value))
