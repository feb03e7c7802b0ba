"""`sources.lock.toml` in a fetched bundle: where each file came from, and what it was."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.bundle import LOCK_FILE
from models.errors import SourceRejected

SCHEMA = 1


class LockedFile(BaseModel):
    """One file: identity of its origin, what was fetched, and what lies there now.

    url: empty for a text that the description says. sha256, bytes: of what was fetched.
    kept: sha256 of what lies in the bundle; another one where it was converted.
    vouched: who says that sha256: "published", "hub", "first pull", "local" or "description".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    identity: str
    url: str
    revision: str
    commit: str
    sha256: str
    bytes: int
    kept: str
    vouched: str
    date: str


class SourceLock(BaseModel):
    """All files that have come so far. manifest: digest of the description they are of."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    bundle: str
    manifest: str
    file: tuple[LockedFile, ...] = ()

    def of(self, path: str) -> LockedFile | None:
        """The record of a file by its path in the bundle."""
        return next((record for record in self.file if record.path == path), None)

    def with_file(self, record: LockedFile) -> SourceLock:
        """The same with one record more, in place of an earlier one of that path."""
        others = tuple(old for old in self.file if old.path != record.path)
        return self.model_copy(update={"file": (*others, record)})

    def without(self, paths: Iterable[str]) -> SourceLock:
        """The same without the records of these paths."""
        gone = set(paths)
        return self.model_copy(
            update={"file": tuple(record for record in self.file if record.path not in gone)}
        )


def read_lock(directory: Path) -> SourceLock | None:
    """The lock of a bundle, or of what has come of it; None where there is none.

    Raises SourceRejected for one that cannot be understood.
    """
    file = directory / LOCK_FILE
    if not file.is_file():
        return None
    try:
        return SourceLock.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise SourceRejected(f"{file} cannot be read: {reason}; remove it to lock anew") from error


def write_lock(directory: Path, lock: SourceLock) -> None:
    """Write a lock, whole or not at all."""
    lines = [f"schema = {lock.schema_version}"]
    lines += [f"bundle = {_text(lock.bundle)}", f"manifest = {_text(lock.manifest)}"]
    for record in sorted(lock.file, key=lambda one: one.path):
        lines += ["", "[[file]]"]
        lines += [f"{key} = {_text(value)}" for key, value in record.model_dump().items()]
    temporary = directory / f".{LOCK_FILE}.partial"
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(directory / LOCK_FILE)


def _text(value: object) -> str:
    # JSON's strings and numbers are TOML's too; DEL is the one exception.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
