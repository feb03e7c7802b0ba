"""`limner ab`: two or more arms on the same people, wishes and seeds, and what can be believed."""

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cli.options import JsonOption, examples

if TYPE_CHECKING:
    from eval import ABOverall, ABResult

RUN = "run"
MISSED, UNDECIDED = 3, 4  # exit codes of a gate
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FOLDER", help="Of the run; else out/ab/NAME."),
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Forget what an earlier run left in the folder.")
]


class _RunByDefault(TyperGroup):
    """`limner ab CONFIG.toml` is `limner ab run CONFIG.toml`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # click's own types
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            meant = "." not in args[0] and get_close_matches(args[0], self.commands, 1)
            if not meant or Path(args[0]).exists():
                args = [RUN, *args]
        return super().resolve_command(ctx, args)


group = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="A/B runs: the same people, wishes and seeds drawn by two or more arms; is one as good as "
    "the other, and what does it save? [cyan]limner ab CONFIG.toml[/cyan] runs one.",
    epilog=examples(
        ("limner ab example > ab.toml", "a config to begin with"),
        ("limner ab ab.toml", "run it; stopped, the same command goes on"),
        ("limner ab aa", "the same arm twice: nothing may be found"),
    ),
)


@group.command(
    RUN,
    epilog=examples(
        ("limner ab ab.toml", "draw, judge, compare; out/ab/NAME/report.html"),
        ("limner ab ab.toml --stop-early", "stop as soon as it is decided"),
        ("limner ab ab.toml --json", "the whole result, for a program"),
    ),
)
def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Arms, suite, gate.")],
    output: OutputOption = None,
    fresh: FreshOption = False,
    stop_early: Annotated[
        bool,
        typer.Option("--stop-early", help="Stop once the sequential test has decided the gate."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a config: every case in every arm, resumable; then verdicts and a report.

    Exit code: 0 if the gate holds, 3 if it does not, 4 if it is undecided.
    """
    from cli.ab_report import folder_of, tell_result, told_by
    from cli.console import print_json
    from eval import read_ab_config, run_ab

    read = read_ab_config(config)
    if stop_early:
        read = read.stopping_early()
    folder = folder_of(read, output)
    command = f"limner ab {config}" + (" --stop-early" if stop_early else "")
    with told_by() as listener:
        result = run_ab(read, folder, listener, command=command, fresh=fresh)
    if as_json:
        print_json(result.model_dump(mode="json", by_alias=True))
    else:
        tell_result(result, folder)
    raise typer.Exit(exit_code(result))


@group.command(
    epilog=examples(("limner ab report out/ab/ab", "also while the run goes on, or after a stop"))
)
def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a run.")],
    as_json: JsonOption = False,
) -> None:
    """Compare what a run has come to so far, and write its report anew."""
    from cli.ab_report import tell_result
    from cli.console import print_json
    from eval import report_ab

    result = report_ab(folder, command=f"limner ab report {folder}")
    if as_json:
        print_json(result.model_dump(mode="json", by_alias=True))
    else:
        tell_result(result, folder)
    raise typer.Exit(exit_code(result))


@group.command(
    epilog=examples(
        ("limner ab aa", "20 small runs, 200 simulated ones"),
        ("limner ab aa ab.toml --runs 5", "the reference of a config against itself"),
    )
)
def aa(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="[CONFIG.toml]", help="Whose reference; else the defaults."),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=1000, help="Real runs.")] = 20,
    people: Annotated[int, typer.Option(min=8, max=1000, help="People of each real run.")] = 12,
    simulated: Annotated[
        int, typer.Option(min=0, max=100_000, help="Runs resampled from the real ones.")
    ] = 200,
    output: OutputOption = None,
    fresh: FreshOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw the same arm twice, with other noise: what is found then is found by chance.

    Exit code: 0 if at most 5 % of the runs find something, at once or under 19 looks, else 3.
    """
    from cli.ab_report import tell_null, told_by
    from cli.console import print_json
    from eval import null_ab

    folder = output or Path("out") / "ab" / "aa"
    with told_by() as listener:
        found = null_ab(
            config, folder, listener, runs=runs, people=people, simulated=simulated, fresh=fresh
        )
    if as_json:
        print_json(found.model_dump(mode="json", by_alias=True))
    else:
        tell_null(found, folder)
    raise typer.Exit(0 if found.holds else MISSED)


@group.command(epilog=examples(("limner ab suites", "what a config's suite may name")))
def suites(as_json: JsonOption = False) -> None:
    """List the suites: who is drawn, and how often."""
    from cli.console import print_json, table
    from eval import list_ab_suites

    rows = [
        {"name": suite.name, "what": suite.title, "people": suite.people, "cases": suite.cases}
        for suite in list_ab_suites()
    ]
    if as_json:
        print_json(rows)
        return
    table(list(rows[0]), [list(row.values()) for row in rows])


@group.command(
    epilog=examples(
        ("limner ab example > ab.toml", "a config"),
        ("limner ab example --suite > suite.toml", "a suite of your own photographs"),
    )
)
def example(
    suite: Annotated[
        bool, typer.Option("--suite", help="A suite of photographs instead of a config.")
    ] = False,
) -> None:
    """Print a config to begin with, every setting explained."""
    from eval import ab_example

    print(ab_example("suite" if suite else "config"), end="")


def exit_code(result: "ABResult") -> int:
    """0 if every arm's gate holds, 4 if one is undecided and none is missed, else 3."""
    return max((_code(one) for one in result.overall), default=0, key=_gravity)


def register(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="ab")


def _code(overall: "ABOverall") -> int:
    if overall.holds:
        return 0
    return UNDECIDED if overall.verdict == "undecided" else MISSED


def _gravity(code: int) -> int:
    return {0: 0, UNDECIDED: 1, MISSED: 2}[code]
