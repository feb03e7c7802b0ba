"""`limner prompt`: the words a portrait would be drawn from, and what they cost."""

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import OptionRejected
from cli.options import BundleOption, JsonOption, SettingsOption, TextOption, examples

EXAMPLES = examples(
    ("limner prompt --set age=60 --set expression=smiling --set glasses", "words out"),
    ('limner prompt --text "a smiling old man in a park" --json', "free words, for a program"),
    ("limner prompt --set hat --tokenizer path/to/tokenizer", "counted by another tokenizer"),
)


def prompt(
    text: TextOption = None,
    settings: SettingsOption = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A CLIP tokenizer's directory; without: the bundle's."),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, max=75, help="The most tokens to spend.")] = 75,
    bundle: BundleOption = "mini",
    as_json: JsonOption = False,
) -> None:
    """Show the prompt that attributes and words become, and its length in tokens."""
    from cli.console import print_json, say
    from cli.words import plan_words
    from prompting import parse_settings

    if not settings and not text:
        raise OptionRejected("nothing to say: give --set KEY=VALUE, --text WORDS or both")
    plan = plan_words(parse_settings(settings or ()), text, tokenizer or bundle, budget)
    if as_json:
        print_json(
            {
                "prompt": plan.prompt,
                "negative_prompt": plan.negative_prompt,
                "tokens": plan.tokens,
                "baseline_tokens": plan.baseline_tokens,
                "kept": list(plan.kept),
                "dropped": list(plan.dropped),
            }
        )
        return
    say(first=f'"{plan.prompt}"')
    if plan.negative_prompt:
        say(f'not: "{plan.negative_prompt}"')
    say(f"{plan.tokens} tokens, {plan.baseline_tokens} in ordinary words")
    if plan.dropped:
        say(f"dropped: {', '.join(plan.dropped)}")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("prompt", epilog=EXAMPLES)(prompt)
