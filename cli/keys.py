"""`limner keys`: who may use the server."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import OptionRejected
from cli.options import JsonOption, examples
from cli.serve import DatabaseOption, FolderOption, require_extra

if TYPE_CHECKING:
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
        rows = [_shown(key) for key in keys.list()]
    if as_json:
        print_json(rows)
        return
    columns = ["name", "tenant", "may", "a minute", "made", "state", "id"]
    table(columns, [[str(row[column]) for column in columns] for row in rows])


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
