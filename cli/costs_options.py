"""The options that the commands of `limner costs` share."""

from typing import Annotated

import typer

LedgerOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL",
        help="The ledger; else $LIMNER_LEDGER, else the user's own. A server's: its database.",
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="DAY", help="Requests opened from then on: 2026-11-25 or 2026-11, UTC."),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="DAY", help="Requests opened before then; that day is not in.")
]
TenantOption = Annotated[str | None, typer.Option(metavar="NAME", help="One tenant's only.")]
LanguageOption = Annotated[str | None, typer.Option(metavar="en|zh", help="Of the words.")]


def ledger_of(context: typer.Context, given: str | None) -> str | None:
    """A sub-command's own --ledger, else the one before it."""
    before = context.obj if isinstance(context.obj, str) else None
    return given if given is not None else before
