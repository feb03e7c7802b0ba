"""Jobs in the database: accepted whole or not at all, changed atomically, sealed, expiring."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cache import Digest
from fusion import Account, Ending, Opening, RequestUnknown, TaskState, account_of
from serving.books import Books, Settlement
from serving.database import UNFINISHED, Database, jobs, payloads
from serving.packet import JobPacket, open_packet, seal_packet
from serving.seal import Seal, SealBroken

GIVEN: Final = "given"
DRAWN: Final = "drawn"
PayloadRole = Literal["given", "drawn"]


class JobChanged(RuntimeError):
    """Somebody else changed the job meanwhile, or it is no more."""


class AlreadyAccepted(RuntimeError):
    """The idempotency key was used before. job_id, digest: of that request."""

    def __init__(self, job_id: str, digest: str) -> None:
        super().__init__(f"accepted before as {job_id}")
        self.job_id = job_id
        self.digest = digest


@dataclass(frozen=True)
class Job:
    """A job as it was read; `revision` is what a change of it must still find."""

    id: str
    tenant: str
    key_id: str
    revision: int
    digest: str
    created: float
    expires: float
    packet: JobPacket


@dataclass(frozen=True)
class NewJob:
    """A job about to be accepted, with what came with it, by number. opening: of its first take,
    as it is booked.
    """

    packet: JobPacket
    given: Sequence[bytes]
    digest: Digest
    idempotency_key: str | None = None
    opening: Opening | None = None


class JobStore:
    """The jobs of a database, and their takes in its ledger. Safe to share between threads."""

    def __init__(self, database: Database, seal: Seal, books: Books) -> None:
        self._database = database
        self._seal = seal
        self._books = books

    def accept(
        self,
        new: Sequence[NewJob],
        *,
        tenant: str,
        key_id: str,
        owner: str,
    ) -> tuple[Job, ...]:
        """Take jobs in, all of them or none; once this returns they are not lost.

        Raises AlreadyAccepted where the first one's idempotency key was used; BudgetExceeded and
        CurrencyMismatch, where the key's budget does not allow all of them.
        """
        taken = tuple(
            Job(
                one.packet.task.id,
                tenant,
                key_id,
                1,
                one.digest,
                one.packet.task.created,
                one.packet.expires,
                one.packet,
            )
            for one in new
        )
        rows = [
            {
                "id": job.id,
                "tenant": tenant,
                "key_id": key_id,
                "state": job.packet.state.value,
                "revision": job.revision,
                "packet": seal_packet(self._seal, job.packet),
                "digest": job.digest,
                "idempotency_key": one.idempotency_key,
                "owner": owner,
                "created": job.created,
                "expires": job.expires,
            }
            for job, one in zip(taken, new, strict=True)
        ]
        sealed = [
            row for job, one in zip(taken, new, strict=True) for row in self._sealed(job.id, one)
        ]
        try:
            with self._database.writing() as connection:
                connection.execute(insert(jobs), rows)
                if sealed:
                    connection.execute(insert(payloads), sealed)
                openings = [one.opening for one in new if one.opening is not None]
                self._books.reserve(connection, openings)  # last: from here on others wait
        except IntegrityError as error:
            before = self._keyed(tenant, new[0].idempotency_key)
            if before is None:
                raise
            raise AlreadyAccepted(before.id, before.digest) from error
        return taken

    def change(
        self,
        job: Job,
        packet: JobPacket,
        *,
        owner: str | None = None,
        opening: Opening | None = None,
        accepted: bool = False,
    ) -> Job:
        """The job with another packet; it happens whole, or not.

        opening: of a take that begins. accepted: it is opened unless it is already, whatever the
        budget.
        Raises JobChanged where the job is no longer what was read; BudgetExceeded and
        CurrencyMismatch, which leave it as it was.
        """
        with self._database.writing() as connection:
            changed = self._change(connection, job, packet, owner)
            if opening is not None and accepted:
                self._books.ensure(connection, opening)
            elif opening is not None:
                self._books.reserve(connection, [opening])
        return changed

    def end(
        self,
        job: Job,
        packet: JobPacket,
        settlement: Settlement | None,
        *,
        drawn: Sequence[bytes] = (),
        forget_given: bool = False,
    ) -> tuple[Job, Account | None]:
        """The job at its take's end, with what was drawn and what the ledger then says of the take,
        which the packet tells as its usage; it happens whole, or not.

        forget_given: forget what came with it (and what an earlier try may have drawn).
        Raises JobChanged where the job is no longer what was read.
        """
        same = (jobs.c.id == job.id) & (jobs.c.revision == job.revision)
        with self._database.writing() as connection:
            held = select(jobs.c.id).where(same).with_for_update()
            if connection.execute(held).first() is None:
                raise JobChanged(f"job {job.id} was changed meanwhile")
            if forget_given:
                connection.execute(delete(payloads).where(payloads.c.job_id == job.id))
            if drawn:
                rows = [self._row(job.id, DRAWN, *pair) for pair in enumerate(drawn)]
                connection.execute(insert(payloads), rows)
            account = None if settlement is None else self._books.settle(connection, settlement)
            if account is not None:
                packet = packet.booked(account)
            return self._change(connection, job, packet), account

    def account(self, request: str) -> Account | None:
        """What the ledger says of a take; None where it knows nothing of it."""
        with self._database.reading() as connection:
            try:
                return account_of(connection, request)
            except RequestUnknown:
                return None

    def get(self, job_id: str, tenant: str | None = None) -> Job | None:
        """The job, if it is there, the tenant's, and its time is not over."""
        query = select(jobs).where(jobs.c.id == job_id)
        if tenant is not None:
            query = query.where(jobs.c.tenant == tenant)
        return self._one(query)

    def keyed(self, tenant: str, idempotency_key: str) -> tuple[str, str] | None:
        """The id and the digest of the job that the idempotency key was used for."""
        row = self._keyed(tenant, idempotency_key)
        return None if row is None else (row.id, row.digest)

    def latest(self, key_id: str, digest: str, since: float) -> Job | None:
        """The newest job of the key that asked for the same, no older than that."""
        return self._one(
            select(jobs)
            .where(jobs.c.key_id == key_id, jobs.c.digest == digest, jobs.c.created >= since)
            .order_by(jobs.c.created.desc())
            .limit(1)
        )

    def newest(self, tenant: str, most: int, before: Job | None = None) -> tuple[Job, ...]:
        """The tenant's newest jobs, older than one of them where it is given."""
        query = (
            select(jobs)
            .where(jobs.c.tenant == tenant, jobs.c.expires > time.time())
            .order_by(jobs.c.created.desc(), jobs.c.id)
            .limit(most)
        )
        if before is not None:
            older = jobs.c.created < before.created
            query = query.where(
                older | ((jobs.c.created == before.created) & (jobs.c.id > before.id))
            )
        return tuple(job for job in self._all(query) if job is not None)

    def payloads(self, job_id: str, role: PayloadRole) -> Mapping[int, bytes]:
        """What came with a job, or was drawn for it, by number. Raises SealBroken."""
        query = (
            select(payloads.c.number, payloads.c.sealed)
            .where(payloads.c.job_id == job_id, payloads.c.role == role)
            .order_by(payloads.c.number)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {
            row.number: self._seal.open(row.sealed, f"{role} {row.number} of {job_id}")
            for row in rows
        }

    def delete(self, job_id: str, tenant: str) -> bool:
        """Forget a job and all that came with it; whether there was one. What is open of it in the
        books is closed.
        """
        mine = (jobs.c.id == job_id) & (jobs.c.tenant == tenant)
        with self._database.writing() as connection:
            found = connection.execute(select(jobs.c.state).where(mine).with_for_update()).first()
            if found is None:
                return False
            self._forget(connection, job_id)
            connection.execute(delete(jobs).where(mine))
            waited = found.state == TaskState.QUEUED.value
            self._books.close(connection, job_id, Ending.CANCELLED if waited else Ending.RELEASED)
        return True

    def left_by(self, living: Iterable[str]) -> tuple[tuple[str, Job | None], ...]:
        """Jobs that no living server will finish, oldest first: id and job; None where the packet
        cannot be opened any more.
        """
        query = (
            select(jobs)
            .where(jobs.c.state.in_(UNFINISHED), jobs.c.owner.not_in(list(living)))
            .order_by(jobs.c.created)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple((row.id, self._read(row)) for row in rows)

    def give_up(self, job_id: str) -> None:
        """End a job whose packet cannot be opened."""
        unfinished = (jobs.c.id == job_id) & jobs.c.state.in_(UNFINISHED)
        given_up = update(jobs).where(unfinished)
        values = {"state": TaskState.FAILED.value, "revision": jobs.c.revision + 1}
        with self._database.writing() as connection:
            if connection.execute(given_up.values(values)).rowcount == 1:
                self._forget(connection, job_id, GIVEN)
                self._books.close(connection, job_id, Ending.FAILED)

    def sweep(self, now: float) -> int:
        """Forget what has expired; how many jobs. What is open of them in the books is closed."""
        expired = jobs.c.expires <= now
        old = select(jobs.c.id).where(expired)
        with self._database.writing() as connection:
            # Held first, as every other change does it: none waits for another in a circle.
            held = select(jobs.c.id, jobs.c.state).where(expired).with_for_update()
            left = [row.id for row in connection.execute(held) if row.state in UNFINISHED]
            connection.execute(delete(payloads).where(payloads.c.job_id.in_(old)))
            swept = connection.execute(delete(jobs).where(expired)).rowcount
            for job_id in left:
                self._books.close(connection, job_id, Ending.EXPIRED)
        return swept

    def _change(
        self, connection: Connection, job: Job, packet: JobPacket, owner: str | None = None
    ) -> Job:
        values: dict[str, object] = {
            "packet": seal_packet(self._seal, packet),
            "state": packet.state.value,
            "revision": job.revision + 1,
        }
        if owner is not None:
            values["owner"] = owner
        found = update(jobs).where(jobs.c.id == job.id, jobs.c.revision == job.revision)
        if connection.execute(found.values(**values)).rowcount != 1:
            raise JobChanged(f"job {job.id} was changed meanwhile")
        return replace(job, revision=job.revision + 1, packet=packet)

    def _sealed(self, job_id: str, new: NewJob) -> list[dict[str, object]]:
        return [self._row(job_id, GIVEN, *pair) for pair in enumerate(new.given)]

    def _row(self, job_id: str, role: PayloadRole, number: int, data: bytes) -> dict[str, object]:
        sealed = self._seal.close(data, f"{role} {number} of {job_id}")
        return {"job_id": job_id, "role": role, "number": number, "sealed": sealed}

    def _forget(self, connection: Connection, job_id: str, *roles: PayloadRole) -> None:
        connection.execute(
            delete(payloads).where(
                payloads.c.job_id == job_id, payloads.c.role.in_(roles or (GIVEN, DRAWN))
            )
        )

    def _keyed(self, tenant: str, idempotency_key: str | None) -> Any:
        if idempotency_key is None:
            return None
        query = select(jobs.c.id, jobs.c.digest).where(
            jobs.c.tenant == tenant, jobs.c.idempotency_key == idempotency_key
        )
        with self._database.reading() as connection:
            return connection.execute(query).first()

    def _one(self, query: Select[Any]) -> Job | None:
        return next(iter(self._all(query)), None)

    def _all(self, query: Select[Any]) -> tuple[Job | None, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(self._read(row) for row in rows)

    def _read(self, row: Row[Any]) -> Job | None:
        try:
            packet = open_packet(self._seal, row.packet, row.id)
        except SealBroken:
            return None
        return Job(
            row.id,
            row.tenant,
            row.key_id,
            row.revision,
            row.digest,
            row.created,
            row.expires,
            packet,
        )
