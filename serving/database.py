"""The tables behind the server, in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from serving.errors import DatabaseUnusable

SCHEMA_VERSION: Final = 1
_BUSY_MILLISECONDS: Final = 15_000
_READS: Final = "limner_reads"

metadata = MetaData()

schema = Table("limner_schema", metadata, Column("version", Integer, primary_key=True))

canary = Table("limner_canary", metadata, Column("sealed", LargeBinary, nullable=False))

keys = Table(
    "limner_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("secret_sha256", String(64), nullable=False),  # never the secret itself
    Column("scopes", String(64), nullable=False),
    Column("requests_per_minute", Integer),
    Column("created", Float, nullable=False),
    Column("revoked", Float),
)

jobs = Table(
    "limner_jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),  # every change is one more, or it does not happen
    Column("packet", LargeBinary, nullable=False),  # sealed
    Column("digest", String(64), nullable=False),  # of what was asked for
    Column("idempotency_key", String(255)),
    Column("owner", String(32), nullable=False),  # the server that has it in hand
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    UniqueConstraint("tenant", "idempotency_key", name="limner_jobs_idempotency"),
)
Index("limner_jobs_retries", jobs.c.key_id, jobs.c.digest, jobs.c.created)
Index("limner_jobs_states", jobs.c.state, jobs.c.created)
Index("limner_jobs_expiry", jobs.c.expires)

payloads = Table(
    "limner_payloads",
    metadata,
    Column("job_id", String(40), ForeignKey("limner_jobs.id", ondelete="CASCADE")),
    Column("role", String(16), nullable=False),  # given: what came with it; drawn: what came out
    Column("number", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("job_id", "role", "number", name="limner_payloads_place"),
)

servers = Table(
    "limner_servers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_created", Float, nullable=False),
    Column("seen", Float, nullable=False),
)


class Database:
    """A pool of connections. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Raises DatabaseUnusable for a URL that names no database; nothing is opened yet."""
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
        if self.backend == "sqlite":
            _prepare_sqlite(self._engine)

    def prepare(self) -> Database:
        """Make the tables where they are missing. Raises DatabaseUnusable."""
        try:
            with self.writing() as connection:
                metadata.create_all(connection)
                found = connection.execute(select(schema.c.version)).scalar()
                if found is None:
                    connection.execute(insert(schema).values(version=SCHEMA_VERSION))
        except IntegrityError:
            found = SCHEMA_VERSION  # another server was first
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).split("\n")[0]
            raise DatabaseUnusable(
                f"the {self.backend} database cannot be opened ({reason}): check that it is there, "
                "that it is a database of Limner's, and that it can be written"
            ) from error
        if found is not None and found > SCHEMA_VERSION:
            raise DatabaseUnusable(
                f"the database is of version {found}, this Limner knows {SCHEMA_VERSION}: use a "
                "newer Limner, or another database"
            )
        return self

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


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        for pragma in (
            "journal_mode=WAL",  # readers do not wait for the writer
            "synchronous=FULL",  # what was accepted survives a power cut too
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_MILLISECONDS}",
            "secure_delete=ON",  # forgotten pictures leave no bytes behind
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # A write that starts as a read would fail where two do so at once.
        reads = connection.get_execution_options().get(_READS)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
