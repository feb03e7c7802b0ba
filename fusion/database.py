"""A relational database behind Limner's books and jobs: SQLite or PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

_BUSY_MILLISECONDS: Final = 15_000
_OURS: Final = "limner_"  # how the names of our tables begin
_READS: Final = "limner_reads"
_MAKING: Final = 0x6C696D6E6572  # the lock of who makes tables in PostgreSQL


class DatabaseUnusable(ValueError):
    """A database that cannot be opened or understood; says why and what to do."""


@dataclass(frozen=True)
class Schema:
    """Tables that are made together. version: one row of one column, compared with `number`.

    after: told once they are new, with the connection and the backend's name.
    """

    tables: MetaData
    version: Table
    number: int
    after: Callable[[Connection, str], None] = lambda connection, backend: None


class Database:
    """A pool of connections. Safe to share between threads."""

    def __init__(
        self,
        url: str,
        busy_milliseconds: int = _BUSY_MILLISECONDS,
        flushed: bool = True,
        only_read: bool = False,
    ) -> None:
        """busy_milliseconds: how long a write waits for another's. flushed: whether it waits for
        the disk, too: without, a power cut (no crash of ours) may take the newest writes.
        only_read: an SQLite file stays as it is, whatever it is.

        Raises DatabaseUnusable for a URL that names no database; nothing is opened yet.
        """
        try:
            parsed = make_url(url)
            options: dict[str, Any] = {
                "hide_parameters": True,  # errors are logged, and parameters are people's
            }
            if parsed.get_backend_name() != "sqlite":
                options |= {"pool_pre_ping": True, "isolation_level": "READ COMMITTED"}
                seconds = {"connect_timeout": str(max(busy_milliseconds // 1000, 2))}
                parsed = parsed.update_query_dict({**seconds, **parsed.query})
            self._engine = create_engine(parsed, **options)
        except (ArgumentError, ImportError, ValueError) as error:
            raise DatabaseUnusable(
                f"the database's address cannot be used ({error}): give one such as "
                "sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME (extra: postgres)"
            ) from error
        self._process = os.getpid()
        self.backend = parsed.get_backend_name()
        named = parsed.database or ""
        self.file = named.removeprefix("file:") if self.backend == "sqlite" else None
        if self.backend == "sqlite":
            _prepare_sqlite(self._engine, busy_milliseconds, flushed, only_read)
        else:
            _prepare_postgres(self._engine, busy_milliseconds)

    def prepare(self, schema: Schema) -> None:
        """Make the tables where they are missing; where none is, nothing is written.

        Raises DatabaseUnusable.
        """
        if _foreign(self.file):
            raise DatabaseUnusable(
                f"{self.file} is a database of another program's: name another file"
            )
        try:
            with self.reading() as connection:
                found = _version(connection, schema)
            if found is None:
                with self.writing() as connection:
                    found = self._made(connection, schema)
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).split("\n")[0]
            raise DatabaseUnusable(
                f"the {self.backend} database {self.file or ''} cannot be opened ({reason}): check "
                "that it is there, that it is a database of Limner's, and that it can be written"
            ) from error
        if found != schema.number:
            raise DatabaseUnusable(
                f"the database is of version {found}, this Limner knows {schema.number}: use "
                f"{'a newer' if found > schema.number else 'an older'} Limner, or another database"
            )

    def _made(self, connection: Connection, schema: Schema) -> int:
        """Make what is missing, unless another process was first; the version there is."""
        if self.backend == "postgresql":  # SQLite has one writer anyhow
            connection.execute(select(func.pg_advisory_xact_lock(_MAKING)))
        found = _version(connection, schema)
        if found is not None:
            return found
        schema.tables.create_all(connection)
        if connection.execute(select(schema.version)).first() is None:
            connection.execute(insert(schema.version).values([schema.number]))
            schema.after(connection, self.backend)
        return schema.number

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with, which waits for nobody and sees one moment of the database."""
        options: dict[str, Any] = {_READS: True}
        if self.backend != "sqlite":  # where each statement would see another moment
            options["isolation_level"] = "REPEATABLE READ"
        with self._pool().connect().execution_options(**options) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of it happens, or nothing."""
        with self._pool().begin() as connection:
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _pool(self) -> Engine:
        """The connections; new ones in a process forked off, where the parent's would be shared."""
        if self._process != os.getpid():
            self._parents = self._engine.pool  # never closed here: they are the parent's
            self._engine.dispose(close=False)
            self._process = os.getpid()
        return self._engine


def sqlite_url(file: Path) -> str:
    """The address of a file, whatever signs are in its name."""
    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


def _foreign(file: str | None) -> bool:
    """Whether this SQLite file has tables, and none of them is ours; it is only read."""
    if not file or not Path(file).is_file():
        return False
    try:
        with closing(
            sqlite3.connect(f"{Path(file).absolute().as_uri()}?mode=ro", uri=True)
        ) as there:
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            names = [name for (name,) in there.execute(query)]
    except sqlite3.Error:  # opening it for good says it better
        return False
    return bool(names) and not any(name.startswith(_OURS) for name in names)


def _version(connection: Connection, schema: Schema) -> int | None:
    """Of what is there; None where tables are missing that this version has."""
    there = set(inspect(connection).get_table_names())
    found = None
    if schema.version.name in there:
        found = connection.execute(select(schema.version)).scalar()
    if found is not None and found <= schema.number and schema.tables.tables.keys() - there:
        return None
    return found


def _prepare_sqlite(engine: Engine, busy_milliseconds: int, flushed: bool, only_read: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        for pragma in (
            f"busy_timeout={busy_milliseconds}",
            f"synchronous={'FULL' if flushed else 'NORMAL'}",
            "foreign_keys=ON",
            "secure_delete=ON",  # forgotten pictures leave no bytes behind
        ):
            connection.execute(f"PRAGMA {pragma}")
        if only_read:
            connection.execute("PRAGMA query_only=ON")
        elif connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with suppress(sqlite3.OperationalError):  # a file to be read only stays as it is
                connection.execute("PRAGMA journal_mode=WAL")  # readers do not wait for the writer

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # A write that starts as a read would fail where two do so at once.
        reads = connection.get_execution_options().get(_READS)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare_postgres(engine: Engine, busy_milliseconds: int) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {busy_milliseconds}")
        connection.commit()
