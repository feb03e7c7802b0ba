"""Keys: who may ask, for which tenant, and how often. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from fusion import Budget, Period, budget_of, set_budget
from serving.database import Database, keys
from serving.errors import KeyUnknown, NameTaken, ServingError

PREFIX: Final = "lim"
_TOKEN: Final = re.compile(rf"{PREFIX}_([0-9a-z]{{12}})_([0-9A-Za-z_-]{{43}})")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LETTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_MOST_A_MINUTE: Final = 1_000_000


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"  # its tenant's requests, prompts, models
    DRAW = "draw"
    METRICS = "metrics"  # of the whole server


ALL_SCOPES: Final = (Scope.READ, Scope.DRAW)


@dataclass(frozen=True)
class ApiKey:
    """A key as it is known: without its secret.

    tenant: whose requests and remembered states it sees. requests_per_minute: None is the server's
    own limit. created, revoked: seconds since the epoch.
    """

    id: str
    name: str
    tenant: str
    scopes: tuple[Scope, ...]
    requests_per_minute: int | None
    created: float
    revoked: float | None

    def may(self, scope: Scope) -> bool:
        """Whether the key was given the scope."""
        return scope in self.scopes


class KeyStore:
    """The keys of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        name: str,
        *,
        tenant: str | None = None,
        scopes: Sequence[Scope] = ALL_SCOPES,
        requests_per_minute: int | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key, and the token that is shown this once. tenant: the key's name unless given.

        Raises NameTaken, ServingError.
        """
        tenant = name if tenant is None else tenant
        for what, value in (("name", name), ("tenant", tenant)):
            if not _NAME.fullmatch(value):
                raise ServingError(
                    f"a key's {what} is 1 to 64 letters, digits, dots, dashes, underscores or @, "
                    f"not {value!r}"
                )
        if requests_per_minute is not None and not 1 <= requests_per_minute <= _MOST_A_MINUTE:
            raise ServingError(
                f"{requests_per_minute} requests a minute: give a number from 1 to {_MOST_A_MINUTE}"
            )
        if not scopes:
            raise ServingError("a key without a scope may do nothing: give it one")
        identifier = "".join(secrets.choice(_LETTERS) for _ in range(12))
        secret = secrets.token_urlsafe(32)
        key = ApiKey(
            identifier,
            name,
            tenant,
            tuple(dict.fromkeys(scopes)),
            requests_per_minute,
            time.time(),
            None,
        )
        with self._database.writing() as connection:
            live = select(keys.c.id).where(keys.c.name == name, keys.c.revoked.is_(None))
            if connection.execute(live).first() is not None:
                raise NameTaken(f"there is a key named {name}: revoke it, or choose another name")
            connection.execute(
                insert(keys).values(
                    id=identifier,
                    name=name,
                    tenant=tenant,
                    secret_sha256=_hashed(secret),
                    scopes=" ".join(key.scopes),
                    requests_per_minute=requests_per_minute,
                    created=key.created,
                )
            )
        return key, f"{PREFIX}_{identifier}_{secret}"

    def list(self) -> tuple[ApiKey, ...]:
        """All keys, revoked ones too, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.created)).all()
        return tuple(_read(row) for row in rows)

    def revoke(self, name_or_id: str) -> ApiKey:
        """End a key at once. Raises KeyUnknown."""
        now = time.time()
        with self._database.writing() as connection:
            row = _live(connection, name_or_id)
            connection.execute(update(keys).where(keys.c.id == row.id).values(revoked=now))
        return _read(row)

    def set_budget(
        self, name_or_id: str, amount: int | None, currency: str, period: Period = "month"
    ) -> ApiKey:
        """Say how much a key may cost from now on, in nano-units; None: as much as it likes.

        Raises KeyUnknown, QuantityRejected, PriceRejected.
        """
        with self._database.writing() as connection:
            row = _live(connection, name_or_id)
            set_budget(connection, row.id, amount, currency, period)
        return _read(row)

    def budget(self, key_id: str) -> Budget | None:
        """A key's budget and how it stands; None without one."""
        with self._database.reading() as connection:
            return budget_of(connection, key_id)

    def authenticate(self, token: str) -> ApiKey | None:
        """The live key of a token; None for anything else."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        with self._database.reading() as connection:
            row = connection.execute(select(keys).where(keys.c.id == found[1])).first()
        known = "" if row is None else row.secret_sha256
        # Compared in any case, so that an unknown id takes no less time than a known one.
        right = hmac.compare_digest(_hashed(found[2]), known)
        return _read(row) if row is not None and right and row.revoked is None else None


def _live(connection: Connection, name_or_id: str) -> Row[Any]:
    wanted = (keys.c.name == name_or_id) | (keys.c.id == name_or_id)
    row = connection.execute(select(keys).where(wanted, keys.c.revoked.is_(None))).first()
    if row is None:
        raise KeyUnknown(f"there is no live key {name_or_id}: see `limner keys list`")
    return row


def _hashed(secret: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        row.tenant,
        tuple(Scope(scope) for scope in row.scopes.split()),
        row.requests_per_minute,
        row.created,
        row.revoked,
    )
