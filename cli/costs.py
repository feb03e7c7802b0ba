"""`limner costs`: what was used and what it cost, from the ledger."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import costs_books, costs_plan, costs_prices
from cli.costs_options import (
    LanguageOption,
    LedgerOption,
    SinceOption,
    TenantOption,
    UntilOption,
)
from cli.errors import OptionRejected
from cli.options import examples

if TYPE_CHECKING:
    from eval import CostReport

FORMATS = ("table", "csv", "json", "focus", "html")
_BY_SUFFIX = {".csv": "csv", ".json": "json", ".html": "html", ".htm": "html"}
_HTML = Path("costs.html")

group = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode="rich",
    help="What requests used and cost, from the ledger: by tenant, key, day, bundle, stage; what "
    "caching and few tokens saved; what it would cost elsewhere. Alone, it reports.",
    epilog=examples(
        ("limner costs", "the whole ledger"),
        ("limner costs --since 2026-11 --by tenant --by bundle", "of November, divided twice"),
        ("limner costs --by tenant -o costs.html", "one page, offline, that prints well"),
        ("limner costs --format focus -o focus.csv", "FinOps FOCUS, a row for each line"),
        ("limner costs verify", "walk the hash chain"),
    ),
)


@group.callback()
def costs(
    context: typer.Context,
    ledger: LedgerOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    tenant: TenantOption = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="tenant, key, day, bundle, source, kind, template or stage; may be repeated.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORM", help="table, csv, json, focus or html; else as FILE ends."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Instead of the terminal. --format html without it writes ./costs.html.",
        ),
    ] = None,
    language: LanguageOption = None,
    prices: Annotated[
        Path | None,
        typer.Option(metavar="TABLE.toml", help="Also what it would cost by this table of yours."),
    ] = None,
    elsewhere: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Other services and their prices; `limner costs elsewhere` prints those known.",
        ),
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(min=1, help="Of the machine that drew, for CPU shares; else of this one."),
    ] = None,
) -> None:
    """Report, or go on to a sub-command, which takes --ledger from here."""
    context.obj = ledger
    if context.invoked_subcommand is not None:
        return
    chosen = _form(form, output)
    from eval import cost_question, cost_services, costs_speech, read_costs
    from fusion import load_prices

    question = cost_question(since, until, tenant, by or ())
    speech = costs_speech(language or "en")
    other = None if prices is None else load_prices(prices)
    if chosen == "focus":
        for option, given in (("--by", by), ("--prices", prices), ("--elsewhere", elsewhere)):
            if given:
                raise OptionRejected(f"focus has every line as it was billed: leave {option} out")
        _write_focus(ledger, output, question)
        return
    report = read_costs(
        ledger, question,
        prices=other, services=cost_services(elsewhere), cores=cores or _cores(),
    )  # fmt: skip
    if chosen == "table" and output is None:
        from cli.costs_report import tell_costs

        tell_costs(report, speech)
    else:
        _write(_text(report, chosen, language), chosen, output)


def register(app: typer.Typer) -> None:
    """Add the group to the application."""
    for module in (costs_books, costs_plan, costs_prices):
        module.register(group)
    app.add_typer(group, name="costs")


def _form(form: str | None, output: Path | None) -> str:
    if form is None:
        return (
            "table"
            if output is None
            else _BY_SUFFIX.get(output.suffix.lower(), "") or _unknown(output)
        )
    if form not in FORMATS:
        raise OptionRejected(f"--format takes {', '.join(FORMATS)}, not {form!r}")
    if form == "table" and output is not None:
        raise OptionRejected("a table goes to the terminal: give --format csv, json, focus or html")
    return form


def _unknown(output: Path) -> str:
    raise OptionRejected(
        f"{output} does not end in .html, .csv or .json: say what it should be with --format"
    )


def _text(report: "CostReport", form: str, language: str | None) -> str:
    import json

    from eval import costs_as_csv, costs_as_json, render_costs

    if form == "csv":
        return costs_as_csv(report)
    if form == "json":
        return json.dumps(costs_as_json(report), indent=2, ensure_ascii=False) + "\n"
    return render_costs(report, language)


def _write(text: str, form: str, output: Path | None) -> None:
    from cli.console import say
    from cli.outputs import check_files, write_all

    if output is None and form != "html":
        print(text, end="")
        return
    path = output or _HTML
    check_files([path])
    write_all({path: lambda draft: _put(draft, text)})
    say(f"report: {path if output else path.resolve()}")


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_focus(ledger: str | None, output: Path | None, question: object) -> None:
    import sys

    from cli.console import say
    from cli.outputs import check_files, write_all
    from eval import write_costs_focus

    if output is None:
        write_costs_focus(ledger, question, sys.stdout)  # type: ignore[arg-type]
        return
    check_files([output])
    counted: list[int] = []

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as stream:
            counted.append(write_costs_focus(ledger, question, stream))  # type: ignore[arg-type]

    write_all({output: write})
    say(f"{counted[0]:,} rows: {output}")


def _cores() -> int:
    import os

    return os.cpu_count() or 1
