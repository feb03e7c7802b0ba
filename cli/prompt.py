"""`limner prompt`: the words a portrait would be drawn from, and what became of those asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import OptionRejected
from cli.options import BundleOption, JsonOption, SettingsOption, TextOption, examples

if TYPE_CHECKING:
    from cli.words import Wording
    from prompting import PromptPlan

EXAMPLES = examples(
    ("limner prompt --set age=60 --set expression=smiling --set glasses", "words out"),
    ('limner prompt --text "a smiling old man in a park" --explain', "what became of each word"),
    ('limner prompt --text "一位戴眼镜的老人，没有胡子" --json', "free words, for a program"),
    ("limner prompt --keys", "what --set takes"),
    ("limner prompt --set hat --tokenizer path/to/tokenizer", "counted by another tokenizer"),
)
_FATES = {"kept": "prompt", "dropped": "dropped", "negative": "negative prompt"}


def prompt(
    text: TextOption = None,
    settings: SettingsOption = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A CLIP tokenizer's directory; without: the bundle's."),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, max=75, help="The most tokens to spend.")] = 75,
    bundle: BundleOption = "mini",
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what became of every word, token by token.")
    ] = False,
    keys: Annotated[
        bool, typer.Option("--keys", help="List the attributes and the values they know.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the shortest prompt that says what was asked for, and what that saves."""
    from cli.console import print_json
    from cli.words import open_wording
    from prompting import optimize, parse_settings

    if keys:
        _list_keys(as_json)
        return
    if not settings and not (text or "").strip():
        raise OptionRejected("nothing to say: give --set KEY=VALUE, --text WORDS or both")
    attributes = parse_settings(settings or ())
    optimize(attributes, text)  # what cannot be understood is found before a tokenizer is loaded
    wording = open_wording(tokenizer or bundle)
    plan = wording.plan(attributes, text, budget)
    if as_json:
        print_json(_as_json(plan, wording))
        return
    _tell(plan, wording)
    if explain:
        _explain(plan, text, wording)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("prompt", epilog=EXAMPLES)(prompt)


def _tell(plan: "PromptPlan", wording: "Wording") -> None:
    from cli.console import say, table

    say(first=f'"{plan.prompt}"')
    if plan.negative_prompt:
        tokens = len(wording.pieces(plan.negative_prompt))
        say(f'not: "{plan.negative_prompt}" (its own tokens: {tokens})')
    saved = plan.baseline_tokens - plan.tokens
    share = f", {100 * saved / plan.baseline_tokens:.0f} % fewer" if saved > 0 else ""
    say(f"{plan.tokens} tokens; {plan.baseline_tokens} in ordinary words{share}")
    rows = [
        [one.words, one.attribute, one.said or one.reason, _FATES[one.fate], one.tokens]
        for one in plan.decisions
        if one.fate != "removed"
    ]
    table(["asked for", "attribute", "said as, or why not", "where", "tokens"], rows)
    reasons: dict[str, list[str]] = {}
    for one in plan.decisions:
        if one.fate == "removed":
            reasons.setdefault(one.reason, []).append(one.words)
    for reason, words in reasons.items():
        say(f" {', '.join(dict.fromkeys(words))} ({reason})", first="left out:")


def _explain(plan: "PromptPlan", text: str | None, wording: "Wording") -> None:
    """Before and after, token by token."""
    from cli.console import say

    shown = {"before": text, "after": plan.prompt, "not": plan.negative_prompt}
    for name, words in shown.items():
        if words:
            pieces = wording.pieces(words)
            say(f" ({len(pieces)}): {' '.join(piece for piece, _ in pieces)}", first=name)


def _as_json(plan: "PromptPlan", wording: "Wording") -> dict[str, object]:
    return {
        "prompt": plan.prompt,
        "negative_prompt": plan.negative_prompt,
        "tokens": plan.tokens,
        "baseline_tokens": plan.baseline_tokens,
        "kept": list(plan.kept),
        "dropped": list(plan.dropped),
        "removed": list(plan.removed),
        "layout_version": plan.layout_version,
        "decisions": [
            {
                "words": one.words,
                "attribute": one.attribute,
                "fate": one.fate,
                "said": one.said,
                "tokens": one.tokens,
                "reason": one.reason,
            }
            for one in plan.decisions
        ],
        "token_ids": [number for _, number in wording.pieces(plan.prompt)],
    }


def _list_keys(as_json: bool) -> None:
    from cli.console import print_json, table
    from prompting import describe_attributes

    described = describe_attributes()
    if as_json:
        print_json(
            [
                {
                    "key": one.key,
                    "takes": one.takes,
                    "closed": one.is_closed,
                    "values": list(one.values),
                    "called": list(one.called),
                }
                for one in described
            ]
        )
        return
    rows = [[one.key, one.takes, ", ".join(one.values)] for one in described]
    table(["key", "takes", "values it knows"], rows)
