"""`limner costs prices` and `elsewhere`: tables that people write, explained and checked."""

from pathlib import Path
from typing import Annotated

import typer

from cli.costs_options import LedgerOption, ledger_of
from cli.options import JsonOption, examples


def prices(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A price table to check and show.")
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a table to begin with.")
    ] = False,
    items: Annotated[bool, typer.Option("--items", help="List what is counted, and how.")] = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the price tables that the ledger keeps; check one of yours before it is used."""
    if example:
        from eval import cost_prices_example

        print(cost_prices_example(), end="")
    elif items:
        _tell_items(as_json)
    elif file is not None:
        _tell_table(file, as_json)
    else:
        _tell_kept(ledger_of(context, ledger), as_json)


def elsewhere(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A file of services to check.")
    ] = None,
) -> None:
    """Print the services that are known, to copy and edit; or check a file of yours."""
    from cli.console import table
    from eval import cost_services, cost_services_example

    if file is None:
        print(cost_services_example(), end="")
        return
    table(
        ["service", "picture", "1M text", "1M image", "currency", "noted"],
        [
            [one.name, one.picture, one.text_tokens, one.image_tokens, one.currency, one.noted]
            for one in cost_services(file)
        ],
    )


def register(group: typer.Typer) -> None:
    """Add the commands to the group."""
    group.command(
        epilog=examples(
            ("limner costs prices --example > prices.toml", "a table to begin with"),
            ("limner costs prices prices.toml", "is it right, and what does it say"),
            ("limner costs prices --items", "what may have a price"),
            ("limner costs prices", "those the ledger keeps"),
        )
    )(prices)
    group.command(
        epilog=examples(
            ("limner costs elsewhere > services.toml", "then edit it"),
            ("limner costs --elsewhere services.toml", "and compare"),
        )
    )(elsewhere)


def _tell_items(as_json: bool) -> None:
    from cli.console import print_json, table
    from fusion import ITEMS

    rows = [
        {"item": one.name, "unit": str(one.unit), "billable": not one.peak}
        for one in ITEMS.values()
    ]
    if as_json:
        print_json(rows)
        return
    table(
        ["item", "unit", "may have a price"],
        [[one["item"], one["unit"], one["billable"]] for one in rows],
    )


def _tell_table(file: Path, as_json: bool) -> None:
    from cli.console import print_json, say, table
    from eval import price_text
    from fusion import ITEMS, decimal_of, load_prices

    found = load_prices(file)
    if as_json:
        print_json(
            {
                "name": found.name, "currency": found.currency,
                "bill_unfinished": found.bill_unfinished, "sha256": found.sha256.hex(),
                "prices": [
                    {"item": item, "amount": decimal_of(one.amount), "per": one.per,
                     "unit": str(ITEMS[item].unit)}
                    for item, one in found.prices.items()
                ],
            }
        )  # fmt: skip
        return
    bills = "is billed" if found.bill_unfinished else "is free"
    say(
        f": {found.currency}; what failed or was cancelled {bills}; sha256 "
        f"{found.sha256.hex()[:12]}",
        first=found.name,
    )
    table(
        ["item", f"price, {found.currency}"],
        [[item, price_text(item, one.amount, one.per)] for item, one in found.prices.items()],
    )


def _tell_kept(ledger: str | None, as_json: bool) -> None:
    from datetime import UTC, datetime

    from cli.console import print_json, table
    from eval import open_ledger
    from fusion import kept_prices

    with open_ledger(ledger) as connection:
        kept = kept_prices(connection)
    rows = [
        {
            "name": one.name, "currency": one.currency,
            "since": datetime.fromtimestamp(one.added / 1e6, UTC).isoformat(timespec="seconds"),
            "sha256": one.sha256,
        }
        for one in kept
    ]  # fmt: skip
    if as_json:
        print_json([row | {"text": one.text} for row, one in zip(rows, kept, strict=True)])
        return
    table(
        list(rows[0]) if rows else ["name"],
        [[row["name"], row["currency"], row["since"], row["sha256"][:12]] for row in rows],
    )
