"""`limner costs verify`, `requests`, `show` and `correct`: the books themselves."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.costs_options import (
    LedgerOption,
    SinceOption,
    TenantOption,
    UntilOption,
    ledger_of,
)
from cli.errors import OptionRejected
from cli.options import JsonOption, examples

_HASH_LETTERS = 64
BROKEN = 3  # exit code of `verify`
RequestArgument = Annotated[
    str, typer.Argument(metavar="REQUEST", help="Its id, or a beginning of it.")
]


def verify(
    context: typer.Context,
    known: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ:HASH", help="A line as noted earlier, elsewhere: it must still be there."
        ),
    ] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the hash chain from the first line, and name the first that does not fit.

    Exit code: 0 if every line fits, 3 if one does not. Note the last line's number and hash
    somewhere else: who can rewrite the whole file can rewrite the whole chain.
    """
    from cli.console import print_json, say
    from eval import ledger_name, open_ledger
    from fusion import verify_chain

    noted = _known(known)
    where = ledger_of(context, ledger)
    with open_ledger(where) as connection:
        verdict = verify_chain(connection, noted)
    if as_json:
        print_json(
            {
                "ledger": ledger_name(where), "holds": verdict.holds, "lines": verdict.lines,
                "hash": verdict.hash, "broken": verdict.broken or None, "why": verdict.why,
            }
        )  # fmt: skip
    elif verdict.holds:
        say(f": {verdict.lines:,} lines, every one fits", first=ledger_name(where))
        say(f"note elsewhere: --known {verdict.lines}:{verdict.hash}")
    else:
        say(f": {verdict.why}", first=ledger_name(where))
        say(f"{verdict.lines:,} lines before it fit; the last has the hash {verdict.hash}")
    raise typer.Exit(0 if verdict.holds else BROKEN)


def show(
    context: typer.Context,
    request: RequestArgument,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """All lines of a request, as they are in the chain."""
    from cli.console import print_json, say, table
    from eval import amount_column, exact_text, open_ledger, price_text
    from fusion import whole_id, written_request

    with open_ledger(ledger_of(context, ledger)) as connection:
        found = written_request(connection, whole_id(connection, request))
    if as_json:
        print_json(
            found._asdict()
            | {"at": _stamp(found.at)}
            | {"lines": [one._asdict() | {"at": _stamp(one.at)} for one in found.lines]}
        )
        return
    who = ", ".join(
        f"{name} {value}"
        for name, value in (
            ("tenant", found.tenant), ("key", found.key), ("source", found.source),
            ("bundle", found.bundle), ("attributes", found.template),
        )
        if value
    )  # fmt: skip
    say(f": {found.kind}, opened {_stamp(found.at)}, {who}", first=found.id)
    named = f"{found.prices_name}, {found.lines[0].prices[:12]}"
    money = f"cost, {found.currency}"
    costs = amount_column([one.cost for one in found.lines])
    table(
        ["line", "item", "quantity", "price", money, "note", "hash"],
        [
            [
                one.sequence,
                one.item + (f", correction {one.correction}" if one.correction else ""),
                f"{one.quantity:,}",
                price_text(one.item, one.price, one.per),
                cost if one.cost else "",
                # A digest of what the request is says nothing to people.
                "" if one.item == "reserved" else " ".join(one.note.split()),
                one.hash[:8],
            ]
            for one, cost in zip(found.lines, costs, strict=True)
        ],
        right={"quantity", money},
    )
    total = sum(one.cost for one in found.lines)
    say(f"{exact_text(total)} {found.currency} by the price table {named}")


def requests(
    context: typer.Context,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the latest.")] = 20,
    since: SinceOption = None,
    until: UntilOption = None,
    tenant: TenantOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the latest requests, the newest first: ids for `show` and `correct`."""
    from cli.console import print_json, say, table
    from eval import amount_column, cost_question, ledger_name, open_ledger
    from fusion import NO_CURRENCY, decimal_of, latest_requests

    asked = cost_question(since, until, tenant)
    where = ledger_of(context, ledger)
    with open_ledger(where) as connection:
        found = latest_requests(
            connection, last, since=asked.since, until=asked.until, tenant=asked.tenant
        )
    if as_json:
        print_json(
            [one._asdict() | {"at": _stamp(one.at), "cost": decimal_of(one.cost)} for one in found]
        )
        return
    if not found:
        say(": no such requests", first=ledger_name(where))
        return
    costs = amount_column([one.cost for one in found])
    table(
        ["request", "opened, UTC", "tenant", "ending", "pictures", "cost", ""],
        [
            [
                one.id, _stamp(one.at)[:16].replace("T", " "), one.tenant,
                one.ending, f"{one.pictures:,}", "" if free else cost, "" if free else one.currency,
            ]
            for one, cost in zip(found, costs, strict=True)
            for free in (one.currency == NO_CURRENCY,)
        ],
        right={"pictures", "cost"},
    )  # fmt: skip


def correct(
    context: typer.Context,
    request: RequestArgument,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="See `limner costs prices --items`.")],
    difference: Annotated[
        str, typer.Argument(metavar="DIFFERENCE", help="What to add, such as +5 or -1000000.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger for good.")],
    ledger: LedgerOption = None,
) -> None:
    """Change an item of a settled request by a line more; what is written stays as it is."""
    from cli.console import say
    from eval import exact_text, open_ledger
    from fusion import Ledger, whole_id

    try:
        amount = int(difference)
    except ValueError as error:
        raise OptionRejected(
            f"the difference is a whole number such as -1000, not {difference!r}"
        ) from error
    where = ledger_of(context, ledger)
    with open_ledger(where) as connection:  # a ledger is not made for a correction
        whole = whole_id(connection, request)
    with Ledger(where, source="costs") as book:
        account = book.correct(whole, item, amount, reason)
    say(
        f": {account.quantity(item):,}, the request costs {exact_text(account.cost)} "
        f"{account.currency}",
        first=f"{item} of {whole}",
    )


def register(group: typer.Typer) -> None:
    """Add the commands to the group."""
    group.command(
        epilog=examples(
            ("limner costs verify", "the user's own ledger"),
            ("limner costs verify --known 5120:3fa9…", "and the line noted last month"),
        )
    )(verify)
    group.command(
        epilog=examples(
            ("limner costs requests --last 5", "the newest"),
            ("limner costs requests --tenant school --since 2026-11", "a tenant's, of a month"),
        )
    )(requests)
    group.command(epilog=examples(("limner costs show req_1", "what it used, at which price")))(
        show
    )
    group.command(
        epilog=examples(
            (
                'limner costs correct req_1 images -1 --reason "one was black"',
                "costs what the corrected quantity costs",
            )
        ),
        context_settings={"ignore_unknown_options": True},
    )(correct)


def _known(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, sign = text.partition(":")
    whole = len(sign) == _HASH_LETTERS and not set(sign.lower()) - set("0123456789abcdef")
    if not number.isdecimal() or not whole:
        raise OptionRejected(
            f"--known takes a line and its whole hash of {_HASH_LETTERS} letters, as `limner costs "
            f"verify` prints them, not {text!r}"
        )
    return int(number), sign.lower()


def _stamp(microseconds: int) -> str:
    when = datetime.fromtimestamp(microseconds / 1e6, UTC)
    return when.isoformat(timespec="seconds")
