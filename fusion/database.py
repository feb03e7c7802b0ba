"""A relational database behind Limner's books and jobs: SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

_BUSY_MILLISECONDS: Final = 15_000
_READS: Final = "limner_reads"


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
        self, url: str, busy_milliseconds: int = _BUSY_MILLISECONDS, flushed: bool = True
    ) -> None:
        """busy_milliseconds: how long a write to SQLite waits for another's. flushed: whether it
        waits for the disk, too: without, a power cut (no crash of ours) may take the newest writes.

        Raises DatabaseUnusable for a URL that names no database; nothing is opened yet.
        """
        try:
            parsed = make_url(url)
            options: dict[str, Any] = {
                "pool_pre_ping": parsed.get_backend_name() != "sqlite",
                "hide_parameters": True,  # errors are logged, and parameters are people's
            }
            self._engine = create_engine(parsed, **options)
        except (ArgumentError, ImportError, ValueError) as error:
            raise DatabaseUnusable(
                f"the database's address cannot be used ({error}): give one such as "
                "sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME (extra: postgres)"
            ) from error
        self.backend = parsed.get_backend_name()
        self.file = parsed.database if self.backend == "sqlite" else None
        if self.backend == "sqlite":
            _prepare_sqlite(self._engine, busy_milliseconds, flushed)

    def prepare(self, schema: Schema) -> None:
        """Make the tables where they are missing. Raises DatabaseUnusable."""
        try:
            with self.writing() as connection:
                schema.tables.create_all(connection)
                found = connection.execute(select(schema.version)).scalar()
                if found is None:
                    connection.execute(insert(schema.version).values([schema.number]))
                    schema.after(connection, self.backend)
        except IntegrityError:
            found = schema.number  # another process was first
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).split("\n")[0]
            raise DatabaseUnusable(
                f"the {self.backend} database cannot be opened ({reason}): check that it is there, "
                "that it is a database of Limner's, and that it can be written"
            ) from error
        if found is not None and found > schema.number:
            raise DatabaseUnusable(
                f"the database is of version {found}, this Limner knows {schema.number}: use a "
                "newer Limner, or another database"
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with, which waits for nobody."""
        with self._engine.connect().execution_options(**{_READS: True}) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of it happens, or nothing."""
        with self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()


def _prepare_sqlite(engine: Engine, busy_milliseconds: int, flushed: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        for pragma in (
            f"busy_timeout={busy_milliseconds}",
            "journal_mode=WAL",  # readers do not wait for the writer
            f"synchronous={'FULL' if flushed else 'NORMAL'}",
            "foreign_keys=ON",
            "secure_delete=ON",  # forgotten pictures leave no bytes behind
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # A write that starts as a read would fail where two do so at once.
        reads = connection.get_execution_options().get(_READS)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
