"""What the description of a public bundle may say: the TOML files of `models/sources` and users'
own, checked key by key. `source.py` makes of it what is to be done.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.manifest import (
    SCHEMA,
    ComponentKind,
    Defaults,
    Draws,
    FacesSettings,
    relative_path,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ORIGINS = ("from", "url", "path", "write")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class LicenceTable(_Table):
    """A licence by name, where its words are, and in a sentence what it allows."""

    name: Annotated[str, Field(min_length=1)]
    url: Annotated[str, Field(pattern=r"^https?://")]
    allows: Annotated[str, Field(min_length=1)]


class _Published(_Table):
    """What is publicly known of a file's content; what is not known enters the lock file."""

    sha256: str | None = None
    bytes: Annotated[int, Field(ge=0)] | None = None

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, value: str | None) -> str | None:
        if value is not None and not _SHA256.fullmatch(value):
            raise ValueError("sha256 is 64 lower-case hexadecimal digits")
        return value


class ArchiveTable(_Published):
    """A zip of which some members are wanted."""

    url: Annotated[str, Field(pattern=r"^https?://")]


class FileTable(_Published):
    """One file of a component, `to` its path there, from exactly one origin.

    from: its path in the repository `hub` at `revision`, or its name in `archive`.
    url: a plain address. path: a file on this machine. write: its text, said here.
    convert: it is a torch file of tensors, kept as safetensors.
    """

    to: str
    source: Annotated[str | None, Field(alias="from")] = None
    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    revision: Annotated[str, Field(min_length=1)] | None = None
    archive: str | None = None
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    path: Annotated[str, Field(min_length=1)] | None = None
    write: str | None = None
    convert: bool = False
    licence: str | None = None

    @field_validator("to", "source")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        return None if value is None else relative_path(value)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [self.source, self.url, self.path, self.write]
        if sum(origin is not None for origin in given) != 1:
            raise ValueError(f"{self.to}: give exactly one of {', '.join(_ORIGINS)}")
        if self.source is not None and (self.hub is None) == (self.archive is None):
            raise ValueError(f"{self.to}: 'from' needs either hub and revision, or archive")
        if self.source is not None and self.hub is not None and self.revision is None:
            raise ValueError(f"{self.to}: hub {self.hub} needs a revision, best a commit")
        if self.convert and not self.to.endswith(".safetensors"):
            raise ValueError(f"{self.to}: what is converted ends in .safetensors")
        if self.write is not None and (self.convert or self.sha256 or self.bytes is not None):
            raise ValueError(f"{self.to}: a text said here has neither convert, sha256 nor bytes")
        return self


class ComponentTable(_Table):
    """A component: its layout, its files, and what they have in common.

    folder: a directory on this machine all of whose files belong to it. path: where it lies in the
    bundle, else as it is called.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    kind: ComponentKind
    path: str | None = None
    folder: Annotated[str, Field(min_length=1)] | None = None
    scale: float = 1.0
    licence: str
    file: tuple[FileTable, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        targets = [file.to for file in self.file]
        if len(set(targets)) != len(targets):
            raise ValueError(f"{self.name}: two files go to the same place")
        if not targets and self.folder is None:
            raise ValueError(f"{self.name}: give a [[component.file]] for each file, or a folder")
        if self.folder is not None:
            return self
        if self.kind is ComponentKind.PIPELINE and "model_index.json" not in targets:
            raise ValueError(
                f"{self.name}: a pipeline has a model_index.json; a checkpoint in a single file "
                "is made one by diffusers: StableDiffusionPipeline.from_single_file(FILE)"
                ".save_pretrained(FOLDER), then folder = FOLDER"
            )
        single = [target for target in targets if target.endswith(".safetensors")]
        kinds = (ComponentKind.LORA, ComponentKind.IDENTITY)
        if self.kind in kinds and (len(single), len(targets)) != (1, 1):
            raise ValueError(f"{self.name}: a {self.kind.value} is exactly one safetensors file")
        return self


class SourceTable(_Table):
    """A whole description; `extends` was resolved before, and is kept to know the base by."""

    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    title: str
    licence: str
    size: Annotated[int, Field(ge=64, multiple_of=8)]
    extends: str | None = None
    draws: Draws = Draws()
    defaults: Defaults = Defaults()
    faces: FacesSettings | None = None
    licences: Annotated[dict[str, LicenceTable], Field(min_length=1)]
    archives: dict[str, ArchiveTable] = {}
    component: Annotated[tuple[ComponentTable, ...], Field(min_length=1)]

    @field_validator("schema_version")
    @classmethod
    def _known(cls, value: int) -> int:
        if value != SCHEMA:
            raise ValueError(f"schema {value} is not known, this version reads schema {SCHEMA}")
        return value

    @model_validator(mode="after")
    def _references(self) -> Self:
        for part in self.component:
            for licence in (part.licence, *(file.licence for file in part.file)):
                if licence is not None and licence not in self.licences:
                    raise ValueError(f"{part.name}: there is no [licences.{licence}]")
            for file in part.file:
                if file.archive is not None and file.archive not in self.archives:
                    raise ValueError(f"{file.to}: there is no [archives.{file.archive!r}]")
        return self
