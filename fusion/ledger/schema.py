"""The ledger's tables. What is written is never changed nor deleted: triggers see to that."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    literal_column,
    text,
)

from fusion.database import Schema

VERSION: Final = 1
GENESIS: Final = bytes(32)  # what the first line follows
metadata = MetaData()
# SQLite counts only in a column of this very type.
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")

version = Table("limner_ledger_version", metadata, Column("version", Integer, primary_key=True))

prices = Table(
    "limner_ledger_prices",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("text", Text, nullable=False),  # the table as it was written
    Column("added", BigInteger, nullable=False),
)

requests = Table(
    "limner_ledger_requests",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("id", String(96), nullable=False, unique=True),
    Column("tenant", String(64), nullable=False),
    Column("key", String(64), nullable=False),
    Column("source", String(32), nullable=False),  # serve, fuse, ab, library …
    Column("kind", String(32), nullable=False),  # portrait, fusion
    Column("bundle", String(128), nullable=False),
    Column("bundle_digest", String(80), nullable=False),
    Column("template", String(512), nullable=False),  # names of the attributes, never their values
    Column("prices", LargeBinary(32), ForeignKey("limner_ledger_prices.sha256"), nullable=False),
    Column("owner", String(128), nullable=False),  # the process that reserved it
    Column("at", BigInteger, nullable=False),  # microseconds since the epoch, UTC
)
Index("limner_ledger_requests_tenant", requests.c.tenant, requests.c.at)

lines = Table(
    "limner_ledger_lines",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("request", _NUMBER, ForeignKey("limner_ledger_requests.number"), nullable=False),
    Column("item", String(32), nullable=False),
    Column("correction", SmallInteger, nullable=False),  # 0: the line itself
    Column("quantity", BigInteger, nullable=False),
    Column("price", BigInteger, nullable=False),  # nano-units of the currency …
    Column("per", BigInteger, nullable=False),  # … for so many
    Column("cost", BigInteger, nullable=False),  # nano-units
    Column("prices", LargeBinary(32), nullable=False),  # the price table's sha256
    Column("note", String(255), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    UniqueConstraint("request", "item", "correction", name="limner_ledger_lines_once"),
)
# So that reports find the few requests with corrections; as a literal, or SQLite would not use it.
IS_CORRECTION: Final = lines.c.correction > literal_column("0")
Index(
    "limner_ledger_lines_corrections",
    lines.c.request,
    sqlite_where=IS_CORRECTION,
    postgresql_where=IS_CORRECTION,
)

head = Table(  # the newest line: what the next one follows, and who writes waits for
    "limner_ledger_head",
    metadata,
    Column("only", Boolean, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

budgets = Table(
    "limner_ledger_budgets",
    metadata,
    Column("key", String(64), nullable=False),
    Column("number", Integer, nullable=False),  # the highest is in force
    Column("amount", BigInteger),  # nano-units; null: no budget any more
    Column("currency", String(3), nullable=False),
    Column("period", String(8), nullable=False),  # month, ever
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("key", "number", name="limner_ledger_budgets_once"),
)

totals = Table(  # sums of the lines, so that a budget is looked up at once; `verify` adds them up
    "limner_ledger_totals",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("month", String(7), primary_key=True),  # of the reservation, UTC
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
)


def longest(column: Column[str]) -> int:
    """How many letters a column takes; SQLite would take more, PostgreSQL none of them."""
    return int(getattr(column.type, "length", 0))


_APPEND_ONLY: Final = (prices, requests, lines, budgets)
_SAID: Final = "the ledger is append-only: write a correction"


def _made(connection: Connection, backend: str) -> None:
    connection.execute(insert(head).values(only=True, sequence=0, hash=GENESIS))
    if backend == "sqlite":
        for table in _APPEND_ONLY:
            for what in ("UPDATE", "DELETE"):
                _refused(connection, table, what, "")
            # REPLACE would delete a row, and no trigger would be told of that.
            _refused(connection, table, "INSERT", f"WHEN {_is_there(table)}")
        return
    connection.execute(
        text(
            "CREATE OR REPLACE FUNCTION limner_ledger_append_only() RETURNS trigger AS $$ BEGIN "
            f"RAISE EXCEPTION '{_SAID}'; END $$ LANGUAGE plpgsql"
        )
    )
    for table in _APPEND_ONLY:
        for number, what in enumerate(("UPDATE OR DELETE", "TRUNCATE")):
            each = "STATEMENT" if number else "ROW"
            connection.execute(
                text(
                    f"CREATE TRIGGER {table.name}_kept_{number} BEFORE {what} ON {table.name} "
                    f"FOR EACH {each} EXECUTE FUNCTION limner_ledger_append_only()"
                )
            )


def _refused(connection: Connection, table: Table, what: str, when: str) -> None:
    """A trigger of SQLite."""
    name = f"{table.name}_no_{what.lower()}"
    connection.execute(
        text(
            f"CREATE TRIGGER {name} BEFORE {what} ON {table.name} {when} "
            f"BEGIN SELECT RAISE(ABORT, '{_SAID}'); END"
        )
    )


def _is_there(table: Table) -> str:
    """Whether a new row of SQLite would take the place of another."""
    unique = [
        [column.name for column in one.columns]
        for one in table.constraints
        if isinstance(one, PrimaryKeyConstraint | UniqueConstraint) and len(one.columns)
    ]
    return " OR ".join(
        f"EXISTS (SELECT 1 FROM {table.name} WHERE "
        + " AND ".join(f'"{name}" = NEW."{name}"' for name in names)
        + ")"
        for names in unique
    )


LEDGER_SCHEMA: Final = Schema(metadata, version, VERSION, _made)
