"""Sealing: what lies in the database is encrypted, authenticated, and expires."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import insert, select

from serving.database import Database, canary
from serving.errors import SecretMissing

SECRET_VARIABLE: Final = "LIMNER_SECRET"
SECRET_FILE: Final = "secret.key"


class SealBroken(ValueError):
    """What was opened was changed, is of another secret or place, or has expired."""


class Seal:
    """Fernet (AES-128-CBC with HMAC-SHA256 and a time) by the `cryptography` library.

    What is sealed names its place, so that a row cannot be passed off as another's.
    """

    def __init__(self, secrets: list[str]) -> None:
        """secrets: the first seals, all of them open. Raises SecretMissing for what is none."""
        try:
            self._fernet = MultiFernet([Fernet(secret) for secret in secrets])
        except (ValueError, TypeError) as error:
            raise SecretMissing(
                f"{SECRET_VARIABLE} (or {SECRET_FILE}) holds no secret: it takes 32 bytes in "
                "URL-safe base64, several separated by commas; remove the file to have a new one"
            ) from error

    def close(self, data: bytes, place: str) -> bytes:
        """The data sealed for a place."""
        return self._fernet.encrypt(place.encode() + b"\0" + data)

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed for that place. Raises SealBroken."""
        try:
            opened = self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise SealBroken(f"{place} cannot be opened: changed, expired or foreign") from error
        found, _, data = opened.partition(b"\0")
        if found != place.encode():
            raise SealBroken(f"{place} holds what belongs elsewhere")
        return data


def open_seal(folder: Path) -> Seal:
    """The server's seal: from $LIMNER_SECRET, or from a file in its folder, made at first use.

    Raises SecretMissing for a secret that is none, OSError where the file cannot be made.
    """
    if given := os.environ.get(SECRET_VARIABLE):
        return Seal([part.strip() for part in given.split(",")])
    path = folder / SECRET_FILE
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with open(path, "x", opener=_private) as file:
            file.write(Fernet.generate_key().decode() + "\n")
    except FileExistsError:
        pass
    return Seal([part.strip() for part in path.read_text().split(",")])


def check_seal(seal: Seal, database: Database) -> None:
    """Refuse to start with another secret than the database's jobs were sealed with.

    Raises SecretMissing.
    """
    with database.writing() as connection:
        sealed = connection.execute(select(canary.c.sealed)).scalar()
        if sealed is None:
            connection.execute(insert(canary).values(sealed=seal.close(b"sings", "canary")))
            return
    try:
        seal.open(sealed, "canary")
    except SealBroken as error:
        raise SecretMissing(
            "this database was sealed with another secret: give the one of its server as "
            f"{SECRET_VARIABLE}, or {SECRET_FILE} in the data folder; what it has accepted is lost "
            "otherwise"
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
