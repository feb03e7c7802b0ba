"""The ledger that the command line's own drawing is booked in."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import remark

if TYPE_CHECKING:
    from fusion import Account, Ledger


@contextmanager
def books(where: str | None, prices: Path | None, source: str) -> Iterator["Ledger | None"]:
    """A ledger, closed at the end; None, told in a line, where it cannot be had: the picture is
    worth more. prices: else $LIMNER_PRICES, else nothing costs anything.

    Raises PriceRejected.
    """
    from fusion import DatabaseUnusable, Ledger, free_prices, load_prices

    named = prices or os.environ.get("LIMNER_PRICES")
    table = load_prices(named) if named else free_prices()
    logging.getLogger("limner.ledger").setLevel(logging.CRITICAL)  # the result's warnings say it
    try:
        ledger = Ledger(where, table, source=source)
    except (DatabaseUnusable, OSError) as error:
        remark(f"note: nothing is booked: {error}")
        yield None
        return
    with ledger:
        yield ledger


def account_line(account: "Account") -> str:
    """What the ledger says a request cost."""
    from fusion import NO_CURRENCY, decimal_of

    priced = account.currency != NO_CURRENCY
    cost = f"{decimal_of(account.cost)} {account.currency}, " if priced else ""
    return f"{cost}booked as {account.id}"


def account_as_json(account: "Account") -> dict[str, object]:
    """All that the ledger says of a request; money as exact decimals in text."""
    from fusion import decimal_of

    return {
        "request": account.id,
        "ending": str(account.ending),
        "currency": account.currency,
        "cost": decimal_of(account.cost),
        "prices": account.prices,
        "lines": [
            {"item": line.item, "quantity": line.quantity, "cost": decimal_of(line.cost)}
            for line in account.lines
            if line.item not in ("reserved", "settled")
        ],
    }
