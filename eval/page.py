"""A card as people read it: a page in Markdown, and a table in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.card import Card, Chapter, Figure, Table

if TYPE_CHECKING:
    from rich.console import Console

WIDE_COLUMNS = 110  # of a terminal, from which on everything is shown
_ESSENTIAL = (0, 1, 3, 4)  # figure, measured, bar, holds
_HEAD = ("figure", "measured", "95 % interval", "bar", "holds", "ceiling", "n")


def render_card(card: Card) -> str:
    """The card as a page in Markdown; sample sheets are linked by the names of their files."""
    barred = [figure for figure in card.figures() if figure.bar is not None]
    held = len(barred) - len(card.missed)
    verdict = "All bars hold" if held == len(barred) else f"{held} of {len(barred)} bars hold"
    lines = [
        f"# Card of the bundle `{card.bundle}`",
        "",
        f"{card.title}. Measured on held-out drawn people, whom no model was trained on, by judges",
        "that never condition a picture.",
        "",
        f"**{verdict}.**",
        "",
        f"- measured {card.measured_at} in {card.seconds:.0f} s on {card.machine}",
        f"- digest of the bundle `{card.digest[:16]}`",
        f"- again with `{card.command}`",
    ]
    if card.quick:
        lines.append("- **quick**: a small sample, so the figures are rough; the intervals say how")
    lines += [
        "",
        "A *ceiling* is what the same measurement gives where a perfect model stood: real pictures",
        "instead of drawn ones. *n* counts what is independent: people, pairs or pictures.",
    ]
    lines += ["", "## The bars", "", render_bars(card)]
    for chapter in card.chapters:
        lines += ["", *_chapter(chapter)]
    return "\n".join(lines) + "\n"


def render_bars(card: Card) -> str:
    """The figures that have a bar, as one Markdown table; the README shows it."""
    return "\n".join(_markdown(("", *_HEAD[:5]), _bar_rows(card)))


def print_card(card: Card, console: "Console") -> None:
    """The figures of a card as one table on a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Drawn
    from rich.text import Text

    # A narrow terminal leaves out how sure a figure is, rather than breaking its name.
    shown = range(len(_HEAD)) if console.width >= WIDE_COLUMNS else _ESSENTIAL
    drawn = Drawn(box=SIMPLE_HEAD, title=f"{card.bundle}: {card.title}", title_justify="left")
    for index in shown:
        left = _HEAD[index] in ("figure", "holds")
        drawn.add_column(_HEAD[index], justify="left" if left else "right", no_wrap=index > 0)
    for chapter in card.chapters:
        if chapter.figures:
            drawn.add_row(Text(chapter.title, style="bold"))
        for figure in chapter.figures:
            cells = (f"  {figure.title}", *_cells(figure, "no")[1:])
            style = "red" if figure.holds is False else None
            drawn.add_row(*(cells[index] for index in shown), style=style)
    console.print(drawn)
    scale = "a small sample (quick)" if card.quick else "the full sample"
    console.print(f"measured {card.measured_at} on {scale}, {card.machine}")
    console.print(f"again: {card.command}")


def _chapter(chapter: Chapter) -> list[str]:
    lines = [f"## {chapter.title}", "", chapter.method]
    if chapter.figures:
        lines += ["", *_markdown(_HEAD, [_cells(figure, "**no**") for figure in chapter.figures])]
        notes = [
            f"- {figure.title}: {said}" for figure in chapter.figures if (said := _said(figure))
        ]
        lines += ["", *notes] if notes else []
    for table in chapter.tables:
        lines += ["", *_table(table)]
    for sample in chapter.samples:
        lines += ["", f"![{sample.title}]({sample.file})"]
    return lines


def _said(figure: Figure) -> str:
    """What is to be remarked of a figure: its note, and that its bar is out of reach."""
    beyond = "" if figure.within_reach else "the ceiling itself lies under this bar"
    return "; ".join(part for part in (figure.note, beyond) if part)


def _bar_rows(card: Card) -> list[tuple[str, ...]]:
    """The figures that have a bar, with the chapter each stands in."""
    return [
        (chapter.title, *_cells(figure, "**no**")[:5])
        for chapter in card.chapters
        for figure in chapter.figures
        if figure.bar is not None
    ]


def _table(table: Table) -> list[str]:
    lines = [f"### {table.title}", "", *_markdown(table.columns, table.rows)]
    return [*lines, "", table.note] if table.note else lines


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _cells(figure: Figure, refusal: str) -> tuple[str, ...]:
    interval = ""
    if figure.interval is not None:
        low, high = figure.interval
        interval = f"{_number(low, figure)} – {_number(high, figure)}"
    holds = {True: "yes", False: refusal, None: ""}[figure.holds]
    ceiling = "" if figure.ceiling is None else _number(figure.ceiling, figure)
    count = str(figure.count) if figure.count else ""
    return (figure.title, _value(figure), interval, _bar(figure), holds, ceiling, count)


def _number(value: float, figure: Figure) -> str:
    if figure.unit == "share":
        return f"{100 * value:.{max(0, figure.digits - 2)}f} %"
    return f"{value:.{figure.digits}f}"


def _value(figure: Figure) -> str:
    unit = {"": "", "share": "", "°": "°"}.get(figure.unit, f" {figure.unit}")
    return f"{_number(figure.value, figure)}{unit}"


def _bar(figure: Figure) -> str:
    if figure.bar is None:
        return ""
    sign = "≥" if figure.wanted == "at least" else "≤"
    return f"{sign} {_number(figure.bar, figure)}"
