"""Which servers live: so that one takes over what a dead one had in hand, and nothing else."""

from __future__ import annotations

import os
import socket
import time
import uuid
from typing import Any, Final

import psutil
from sqlalchemy import Connection, Row, delete, insert, select, update

from serving.database import Database, servers

BEAT_SECONDS: Final = 3.0
SILENT_SECONDS: Final = 20.0  # after which a server elsewhere counts as dead


def _place() -> str:
    """Where process numbers mean the same: this machine, and this container on it."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()} {psutil.boot_time():.0f} {space}"


class Registry:
    """The servers of a database; this one among them, once it has signed in."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.id = uuid.uuid4().hex
        self._host = _place()

    def sign_in(self) -> None:
        """Be one of those that live."""
        with self._database.writing() as connection:
            self._enter(connection)

    def beat(self) -> None:
        """Say that this one still lives, also where others had struck it off."""
        with self._database.writing() as connection:
            mine = update(servers).where(servers.c.id == self.id).values(seen=time.time())
            if connection.execute(mine).rowcount == 0:
                self._enter(connection)

    def sign_out(self) -> None:
        """Be dead to the others at once."""
        with self._database.writing() as connection:
            connection.execute(delete(servers).where(servers.c.id == self.id))

    def living(self) -> tuple[str, ...]:
        """The ids of those that live; the dead are struck off."""
        with self._database.reading() as connection:
            rows = connection.execute(select(servers)).all()
        living = tuple(row.id for row in rows if self._lives(row))
        dead = [row.id for row in rows if row.id not in living]
        if dead:
            with self._database.writing() as connection:
                connection.execute(delete(servers).where(servers.c.id.in_(dead)))
        return living

    def _enter(self, connection: Connection) -> None:
        connection.execute(
            insert(servers).values(
                id=self.id,
                host=self._host,
                pid=os.getpid(),
                process_created=psutil.Process().create_time(),
                seen=time.time(),
            )
        )

    def _lives(self, row: Row[Any]) -> bool:
        if row.id == self.id:
            return True
        if row.host != self._host:
            return bool(time.time() - row.seen < SILENT_SECONDS)
        try:  # a neighbour on this machine can be looked at
            created = psutil.Process(row.pid).create_time()
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True
        return bool(abs(created - row.process_created) < 1)
