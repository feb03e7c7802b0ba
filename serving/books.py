"""The books of a server's jobs: lines that are written with the job's own change, or not at all.

A job is drawn in *takes*: one, and another each time it is taken up again after it was let go of.
Each take is a request of the ledger, reserved before it is drawn and settled once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from sqlalchemy import Connection, select

from fusion import (
    Account,
    Book,
    Ending,
    LedgerError,
    Opening,
    PriceTable,
    Quantity,
    RequestUnknown,
    account_of,
    left_open,
)
from serving.database import UNFINISHED, Database, jobs

log = logging.getLogger("limner.ledger")
SOURCE: Final = "serve"
_SIGN: Final = "server "  # before its id: an owner that no engine's own ledger releases


@dataclass(frozen=True)
class Settlement:
    """What a take has used, and how it ended. request: its id in the ledger."""

    request: str
    quantities: tuple[Quantity, ...]
    ending: Ending


def take_id(job_id: str, take: int) -> str:
    """A take's id in the ledger: the job's own for the first, then JOB/2, JOB/3 …"""
    return job_id if take == 1 else f"{job_id}/{take}"


class Books:
    """Books takes within the transactions of the jobs' store. Safe to share between threads."""

    def __init__(self, prices: PriceTable, server_id: str) -> None:
        """prices: what is reserved from now on costs. server_id: of whom it is reserved by."""
        self._book = Book(prices)
        self._owner = f"{_SIGN}{server_id}"

    def opening(self, drawn: Opening, tenant: str, key_id: str) -> Opening:
        """A take as this server opens it. drawn: as the engine describes it."""
        return replace(drawn, tenant=tenant, key=key_id, source=SOURCE, owner=self._owner)

    def reserve(self, connection: Connection, openings: Sequence[Opening]) -> None:
        """Open takes, all or none. Raises BudgetExceeded, CurrencyMismatch."""
        if openings:
            self._book.reserve(connection, openings)

    def ensure(self, connection: Connection, opening: Opening) -> None:
        """Open a take of a job that was accepted before, unless it is open: no budget stops it."""
        try:
            account_of(connection, opening.id)
        except RequestUnknown:
            self._book.reserve(connection, [opening], held=False)

    def settle(self, connection: Connection, settlement: Settlement) -> Account | None:
        """Close a take; what the ledger then says of it. None where it was never opened.

        What the ledger refuses to write is logged, and the take released: the picture counts more.
        """
        try:
            return self._book.settle(
                connection, settlement.request, settlement.quantities, settlement.ending
            )
        except RequestUnknown:  # accepted before there were books
            return None
        except LedgerError:
            log.exception("what %s used cannot be booked", settlement.request)
            return self._book.settle(connection, settlement.request, (), Ending.RELEASED)

    def close(self, connection: Connection, job_id: str, ending: Ending) -> None:
        """Close what is open of a job of which nobody can tell what it used."""
        for take in count(1):
            try:
                account = account_of(connection, take_id(job_id, take))
            except RequestUnknown:
                return
            if account.ending is None:
                self._book.settle(connection, account.id, (), ending)

    def release_left(self, database: Database) -> int:
        """Release what is open of jobs that are no more, or have ended; how many takes."""
        with database.reading() as connection:
            if not any(row.owner.startswith(_SIGN) for row in left_open(connection)):
                return 0
        with database.writing() as connection:
            left = [row.id for row in left_open(connection) if row.owner.startswith(_SIGN)]
            under_way = set(
                connection.execute(select(jobs.c.id).where(jobs.c.state.in_(UNFINISHED))).scalars()
            )
            gone = [one for one in left if one.partition("/")[0] not in under_way]
            for one in gone:
                self._book.settle(connection, one, (), Ending.RELEASED)
        return len(gone)
