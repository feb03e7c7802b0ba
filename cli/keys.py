"""`limner keys`: who may use the server, and how much it may cost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import OptionRejected
from cli.options import JsonOption, examples
from cli.serve import DatabaseOption, FolderOption, require_extra

if TYPE_CHECKING:
    from fusion import Budget
    from serving import ApiKey, KeyStore

group = typer.Typer(
    help="Keys of the server: made, listed, ended. Without one nobody gets in.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@group.command(
    epilog=examples(
        ("limner keys add ada", "her key; her requests are seen with it alone"),
        ("limner keys add ada-phone --tenant ada", "another key to the same requests"),
        ("limner keys add prometheus --scope metrics", "may read /metrics and nothing else"),
    )
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is called.")],
    tenant: Annotated[
        str | None,
        typer.Option(help="Whose requests and remembered words it shares; else its own name."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may: read, draw, metrics; repeated. Without: read and draw."),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Requests a minute; else the server's own limit.")
    ] = None,
    data: FolderOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show it, this once: only its hash is kept."""
    from cli.console import print_json, remark, say

    with _keys(data, database, makes=True) as keys:
        from serving import Scope

        known = [str(one) for one in Scope]
        if unknown := [one for one in scope or () if one not in known]:
            raise OptionRejected(f"--scope takes {', '.join(known)}, not {unknown[0]!r}")
        scopes = [Scope(one) for one in scope or ("read", "draw")]
        key, token = keys.add(name, tenant=tenant, scopes=scopes, requests_per_minute=rate)
    if as_json:
        print_json({**_shown(key), "key": token})
    else:
        say(token)
        remark(f"the key of {key.name} (tenant {key.tenant}); it is not shown again")


@group.command("list", epilog=examples(("limner keys list --json", "for a program")))
def list_(
    data: FolderOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List the keys, ended ones too; never the keys themselves."""
    from cli.console import print_json, table

    with _keys(data, database) as keys:
        listed = [(key, keys.budget(key.id)) for key in keys.list()]
    if as_json:
        print_json([{**_shown(key), "budget": _as_json(budget)} for key, budget in listed])
        return
    rows = [{**_shown(key), "budget": _in_words(budget)} for key, budget in listed]
    columns = ["name", "tenant", "may", "a minute", "budget", "made", "state", "id"]
    table(columns, [[str(row[column]) for column in columns] for row in rows])


@group.command(
    epilog=examples(
        ("limner keys budget ada 5.00 --currency EUR", "at most that much a month (UTC)"),
        ("limner keys budget ada 20 --currency EUR --period ever", "and no more after that"),
        ("limner keys budget ada --none", "as much as she likes"),
    )
)
def budget(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")],
    amount: Annotated[
        str | None, typer.Argument(metavar="AMOUNT", help="A decimal number such as 5.00.")
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="That of the server's prices; else that of $LIMNER_PRICES."
        ),
    ] = None,
    period: Annotated[str, typer.Option(help="month or ever.")] = "month",
    none: Annotated[bool, typer.Option("--none", help="Take the budget away.")] = False,
    data: FolderOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say how much a key may cost: what exceeds it is refused before it is drawn."""
    from cli.console import say

    if (amount is None) is not none:
        raise OptionRejected("give either an AMOUNT or --none")
    if period not in ("month", "ever"):
        raise OptionRejected(f"--period takes month or ever, not {period!r}")
    with _keys(data, database) as keys:
        from fusion import NO_CURRENCY, nano

        given = None if amount is None else nano(amount)
        code = (currency or _currency_of_prices()) if given is not None else NO_CURRENCY
        key = keys.set_budget(name, given, code, "ever" if period == "ever" else "month")
        held = keys.budget(key.id)
    say(f"{key.name} ({key.id}): {_in_words(held)}")


@group.command(epilog=examples(("limner keys revoke ada-phone", "it ends at once")))
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")],
    data: FolderOption = None,
    database: DatabaseOption = None,
) -> None:
    """End a key, at once and for good."""
    from cli.console import say

    with _keys(data, database) as keys:
        key = keys.revoke(name)
    say(f"{key.name} ({key.id}) is revoked")


def register(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="keys")


@contextmanager
def _keys(
    data: FolderOption, database: DatabaseOption, makes: bool = False
) -> "Iterator[KeyStore]":
    """The keys of a server that need not run. makes: its data too, where there is none yet."""
    require_extra()
    from serving import Database, KeyStore, ServerSettings, default_folder

    settings = ServerSettings(folder=data or default_folder(), database=database)
    if database is None and not makes and not (settings.folder / "limner.db").exists():
        raise OptionRejected(
            f"{settings.folder} holds no server's data: name its folder with --data, or make a "
            "first key with `limner keys add NAME`"
        )
    if database is None:
        settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    opened = Database(settings.database_url).prepared()
    try:
        yield KeyStore(opened)
    finally:
        opened.close()


def _currency_of_prices() -> str:
    from fusion import load_prices
    from serving import ServerSettings

    prices = ServerSettings().prices
    if prices is None:
        raise OptionRejected("say --currency, that of the server's price table, such as EUR")
    return load_prices(prices).currency


def _in_words(budget: "Budget | None") -> str:
    from fusion import decimal_of

    if budget is None:
        return "none"
    when = "a month" if budget.period == "month" else "in all"
    used = decimal_of(budget.spent + budget.reserved)
    return f"{used} of {decimal_of(budget.amount)} {budget.currency} {when}"


def _as_json(budget: "Budget | None") -> dict[str, str] | None:
    from fusion import decimal_of

    if budget is None:
        return None
    return {
        "amount": decimal_of(budget.amount),
        "currency": budget.currency,
        "period": budget.period,
        "spent": decimal_of(budget.spent),
        "reserved": decimal_of(budget.reserved),
    }


def _shown(key: "ApiKey") -> dict[str, object]:
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(key.created))
    return {
        "name": key.name,
        "tenant": key.tenant,
        "may": ", ".join(key.scopes),
        "a minute": key.requests_per_minute or "as the server",
        "made": made,
        "state": "live" if key.revoked is None else "ended",
        "id": key.id,
    }
