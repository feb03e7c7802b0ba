"""The tables behind the server, in SQLite or PostgreSQL."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from fusion import LEDGER_SCHEMA, DatabaseUnusable, Schema, TaskState
from fusion import Database as AnyDatabase

SCHEMA_VERSION: Final = 1
UNFINISHED: Final = (TaskState.QUEUED.value, TaskState.RUNNING.value)

__all__ = [
    "UNFINISHED", "Database", "DatabaseUnusable", "canary", "jobs", "keys", "payloads", "servers",
]  # fmt: skip

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


_SCHEMA: Final = Schema(metadata, schema, SCHEMA_VERSION)


class Database(AnyDatabase):
    """A pool of connections to the server's tables and its ledger. Thread-safe."""

    def prepared(self) -> Database:
        """Make the tables where they are missing. Raises DatabaseUnusable."""
        self.prepare(_SCHEMA)
        self.prepare(LEDGER_SCHEMA)
        return self
