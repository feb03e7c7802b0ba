"""A ledger opened to be read: nothing is made, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from eval.costs.errors import LedgerMissing
from fusion import LEDGER_SCHEMA, Database, DatabaseUnusable, ledger_url

_USUAL: Final = ("limner.db", "ledger.db")  # a server's, a user's own


def ledger_name(where: str | Path | None = None) -> str:
    """How a ledger is called in a report: its file, or its address without the password."""
    url = ledger_url(where)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return url
    is_file = parsed.get_backend_name() == "sqlite"
    return parsed.database or url if is_file else parsed.render_as_string(hide_password=True)


@contextmanager
def reading(where: str | Path | None = None) -> Iterator[Connection]:
    """A snapshot of the ledger `where` is, as `fusion.ledger_url` finds it.

    Raises LedgerMissing where there is none, DatabaseUnusable where it cannot be understood.
    """
    database, name = Database(ledger_url(where), only_read=True), ledger_name(where)
    if database.file is not None and Path(database.file).is_dir():
        raise LedgerMissing(_a_folder(Path(database.file)))
    if database.file is not None and not Path(database.file).is_file():
        raise LedgerMissing(
            f"there is no ledger at {name}: it is made with the first request; name another with "
            "--ledger FILE or $LIMNER_LEDGER"
        )
    try:
        with database.reading() as connection:
            _check(connection, name)
            yield connection
    except DBAPIError as error:
        reason = str(error.orig or error).split("\n")[0]
        raise DatabaseUnusable(f"the ledger {name} cannot be read ({reason})") from error
    finally:
        database.close()


def _a_folder(folder: Path) -> str:
    held = [folder / name for name in _USUAL if (folder / name).is_file()]
    named = f"name the file in it: --ledger {held[0]}" if held else "name the ledger's file"
    return f"{folder} is a folder, no ledger: {named}"


def _check(connection: Connection, name: str) -> None:
    try:
        version = connection.execute(select(LEDGER_SCHEMA.version)).scalar()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).split("\n")[0]
        raise LedgerMissing(f"{name} is no ledger of Limner's ({reason})") from error
    if version != LEDGER_SCHEMA.number:
        raise DatabaseUnusable(
            f"the ledger {name} is of version {version}, this Limner knows {LEDGER_SCHEMA.number}: "
            "use the Limner that wrote it, or a newer one"
        )
