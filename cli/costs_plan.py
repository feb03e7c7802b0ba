"""`limner costs plan`: machines and money for the traffic that is expected."""

from typing import Annotated

import typer

from cli.costs_options import (
    LanguageOption,
    LedgerOption,
    SinceOption,
    UntilOption,
    ledger_of,
)
from cli.errors import OptionRejected
from cli.options import JsonOption, examples


def plan(
    context: typer.Context,
    pictures: Annotated[float, typer.Option(help="Delivered in a day.")],
    peak: Annotated[
        float, typer.Option(help="The busiest minutes, in averages of the busy hours.")
    ] = 3.0,
    hours: Annotated[float, typer.Option(help="Busy hours of a day, in which they come.")] = 10.0,
    utilisation: Annotated[float, typer.Option(help="How busy a machine may be, up to 1.")] = 0.7,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Denoising steps of a picture; else as measured."),
    ] = None,
    guided: Annotated[
        bool, typer.Option(help="With --steps: two evaluations for each step, or one.")
    ] = True,
    evaluations: Annotated[
        float | None, typer.Option(help="Of the denoiser for a picture: steps, twice that guided.")
    ] = None,
    evaluation_seconds: Annotated[
        float | None, typer.Option(help="Of the device for each, shared by its batch.")
    ] = None,
    other_seconds: Annotated[
        float | None, typer.Option(help="Of all other stages, for a picture.")
    ] = None,
    machine_hour: Annotated[float | None, typer.Option(help="What a machine's hour costs.")] = None,
    currency: Annotated[str, typer.Option(help="Of --machine-hour.")] = "EUR",
    bundle: Annotated[
        str | None, typer.Option("--bundle", "-b", metavar="NAME", help="Measured on it alone.")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    ledger: LedgerOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """How many machines, and what they cost: from stage times as measured, or as given.

    The denoiser's time is shared by the requests of a batch, so it counts by evaluation.
    """
    from dataclasses import asdict, replace

    from cli.console import print_json, say, table
    from eval import CostPace, CostTraffic, cost_pace, cost_question, costs_speech, plan_costs

    speech = costs_speech(language or "en")
    traffic = CostTraffic(pictures, hours, peak, utilisation)
    if steps is not None and evaluations is not None:
        raise OptionRejected("--steps and --evaluations say the same: give one of them")
    if evaluations is not None and evaluation_seconds is not None and other_seconds is not None:
        pace = CostPace(evaluations, evaluation_seconds, other_seconds)
    else:
        question = cost_question(since, until)
        found = cost_pace(ledger_of(context, ledger), question, bundle)
        drawn = found.evaluations if steps is None else found.at_steps(steps, guided)
        pace = replace(
            found,
            evaluations=drawn if evaluations is None else evaluations,
            evaluation_seconds=(
                found.evaluation_seconds if evaluation_seconds is None else evaluation_seconds
            ),
            other_seconds=found.other_seconds if other_seconds is None else other_seconds,
        )
    made = plan_costs(traffic, pace, machine_hour, currency)
    if as_json:
        print_json(asdict(made) | {"formulas": dict(made.formulas)})
        return
    say(
        ": "
        + (
            speech("plan.measured", pictures=f"{pace.pictures:,}")
            if pace.pictures
            else speech("plan.given")
        ),
        first=speech("plan.title"),
    )
    table(
        ["", speech("page.formula"), ""],
        [[speech(f"plan.{key}"), text, speech(f"plan.{key}_of")] for key, text in made.formulas],
    )


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command(
        epilog=examples(
            ("limner costs plan --pictures 20000 --machine-hour 2.10", "as measured here"),
            ("limner costs plan --pictures 20000 --steps 12 --peak 5 --hours 8", "fewer steps"),
            (
                "limner costs plan --pictures 20000 --evaluations 24 --evaluation-seconds 0.02 "
                "--other-seconds 0.3",
                "without a ledger",
            ),
        )
    )(plan)
