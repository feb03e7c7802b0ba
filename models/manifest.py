"""The description of a bundle: what `bundle.toml` may say, read and written.

A bundle is a directory in the standard layouts plus this file. Nothing in the code knows a bundle
by name: whatever differs between two bundles is said here.
"""

from __future__ import annotations

import json
import re
import tomllib
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.errors import BundleCorrupt

SCHEMA = 1
MANIFEST_FILE = "bundle.toml"
CARD_FILE = "card.json"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


SchedulerName = Literal["ddim", "dpm++2m", "euler", "unipc"]


class ComponentKind(StrEnum):
    """The standard layouts a component can have; each says which class loads it."""

    PIPELINE = "diffusers-pipeline"  # StableDiffusionPipeline.save_pretrained
    IDENTITY = "ip-adapter-faceid"  # one safetensors file: image_proj.*, ip_adapter.*
    FACES = "insightface-pack"  # a flat directory of *.onnx
    CLIP = "clip"  # image_encoder/ and text_projection.safetensors, for text agreement
    JUDGES = "judges"  # *.onnx that never condition a picture, described by judges.toml
    LORA = "lora"  # one safetensors file that changes the denoiser; a bundle may have several


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRecord(_Table):
    """What one file must be: its sha256 in hexadecimal and its size in bytes."""

    sha256: str
    bytes: Annotated[int, Field(ge=0)]

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, value: str) -> str:
        if not _SHA256.fullmatch(value):
            raise ValueError("sha256 is 64 lower-case hexadecimal digits")
        return value


class ComponentDescription(_Table):
    """One part of a bundle: where it lies, how it is read, where it came from.

    scale: with which a LoRA is applied; 1 for every other kind.
    """

    name: str
    path: str
    kind: ComponentKind
    source: str
    revision: str
    licence: str
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        return relative_path(value)

    @model_validator(mode="after")
    def _scaled(self) -> Self:
        if self.scale != 1.0 and self.kind is not ComponentKind.LORA:
            raise ValueError(f"only a component of kind {ComponentKind.LORA.value!r} has a scale")
        return self


class Component(ComponentDescription):
    """A described component with the digest of each of its files, by path inside it."""

    files: Annotated[dict[str, FileRecord], Field(min_length=1)]

    @field_validator("files")
    @classmethod
    def _files_inside(cls, value: dict[str, FileRecord]) -> dict[str, FileRecord]:
        return {relative_path(path): record for path, record in value.items()}

    @model_validator(mode="after")
    def _one_lora(self) -> Self:
        if self.kind is ComponentKind.LORA and not _is_lora(tuple(self.files)):
            raise ValueError("a LoRA is exactly one safetensors file")
        return self


class FewSteps(_Table):
    """What steps="few" draws with: so few steps of that scheduler that draw nearly as well."""

    steps: Annotated[int, Field(ge=1, le=100)]
    scheduler: SchedulerName


class Defaults(_Table):
    """What a request that says nothing gets. negative_prompt: to which exclusions are added; None
    is the prompt optimiser's own. few_steps: None where nobody measured any.
    """

    steps: Annotated[int, Field(ge=1, le=1000)] = 20
    guidance_scale: Annotated[float, Field(ge=0)] = 7.5
    identity_scale: Annotated[float, Field(ge=0)] = 1.0
    strength: Annotated[float, Field(gt=0, le=1)] = 0.6
    negative_prompt: str | None = None
    few_steps: FewSteps | None = None


_Side = Annotated[int, Field(ge=32, multiple_of=32)]  # 32 is the detector's largest stride


_Share = Annotated[float, Field(gt=0, lt=1)]


class FacesSettings(_Table):
    """How the bundle's face pack is used; sizes in pixels.

    detector_sizes: (width, height) of the detector's input; with several, faces of all are merged.
    embedding_norms: least and greatest length of an embedding, before it is made a unit, that the
        recogniser gives to people of the kind it was trained on. What lies outside is no face to
        this bundle: so a photograph is told from a drawing.
    confirm_score: the least score of a face once it was seen at a good size; what is under it is
        no face to this bundle.
    placement: where the face's box lies in training pictures: its centre's x and y and its height,
        in shares of their side. So is a larger target cut. None: as in common portraits.
    """

    detector_sizes: Annotated[tuple[tuple[_Side, _Side], ...], Field(min_length=1)]
    score_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    overlap_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.4
    smallest_face: Annotated[int, Field(ge=1)] = 32  # shorter side of its box
    confirm_score: Annotated[float, Field(ge=0, lt=1)] = 0.0
    embedding_norms: tuple[Annotated[float, Field(ge=0)], float] | None = None
    placement: tuple[_Share, _Share, _Share] | None = None


class Draws(_Table):
    """What kind of people the bundle knows, in words for the user."""

    people: str = "photographed"  # completes "this bundle draws … people"
    hint: str = ""  # said when no face is found: what to do about it


class _Head(_Table):
    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    title: str
    licence: str
    size: Annotated[int, Field(ge=64, multiple_of=8)]  # side of the pictures it was trained on
    draws: Draws = Draws()
    defaults: Defaults = Defaults()
    faces: FacesSettings | None = None

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @field_validator("schema_version")
    @classmethod
    def _known(cls, value: int) -> int:
        if value != SCHEMA:
            raise ValueError(f"schema {value} is not known, this version reads schema {SCHEMA}")
        return value


def _check_components(head: _Head, components: tuple[ComponentDescription, ...]) -> None:
    names = [component.name for component in components]
    if len(set(names)) != len(names):
        raise ValueError("two components have the same name")
    kinds = [component.kind for component in components]
    unique = [kind for kind in kinds if kind is not ComponentKind.LORA]
    if len(set(unique)) != len(unique):
        raise ValueError("two components have the same kind")
    if ComponentKind.PIPELINE not in kinds:
        raise ValueError(f"a bundle has a component of kind {ComponentKind.PIPELINE.value!r}")
    if ComponentKind.FACES in kinds and head.faces is None:
        raise ValueError("a bundle with a face pack has a [faces] table")


class BundleDescription(_Head):
    """A bundle about to be sealed: everything but the digests."""

    component: tuple[ComponentDescription, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _check_components(self, self.component)
        return self


class BundleManifest(_Head):
    """A sealed bundle: every file with its digest."""

    component: tuple[Component, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _check_components(self, self.component)
        return self


def _is_lora(files: tuple[str, ...]) -> bool:
    return len(files) == 1 and files[0].endswith(".safetensors")


def relative_path(path: str) -> str:
    """`path` in its plain form. Raises ValueError where it would leave the bundle."""
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError(f"{path!r} does not stay inside the bundle")
    return parts.as_posix()


def read_manifest(file: Path) -> BundleManifest:
    """The manifest in `file`. Raises BundleCorrupt naming the line or the key that is wrong."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BundleCorrupt(f"{file} cannot be read: {error}; restore it") from error
    try:
        return BundleManifest.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BundleCorrupt(f"{file}: {where}: {first['msg']}; correct or restore it") from error


def write_manifest(file: Path, manifest: BundleManifest) -> None:
    """Write `manifest` as TOML, atomically; `read_manifest` gives an equal one back."""
    lines: list[str] = []
    tables = manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
    components = tables.pop("component")
    _write_table(lines, "", tables)
    for component in components:
        files = component.pop("files")
        if component["scale"] == 1.0:
            del component["scale"]  # said of LoRA only, and only where it is another
        lines += ["", "[[component]]"]
        _write_table(lines, "component", component)
        lines += ["", "[component.files]"]
        for path, record in files.items():
            digest, size = record["sha256"], record["bytes"]
            lines.append(f'{_key(path)} = {{ sha256 = "{digest}", bytes = {size} }}')
    temporary = file.with_name(f".{file.name}.partial")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(file)


def _write_table(lines: list[str], prefix: str, table: dict[str, object]) -> None:
    nested = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines += [f"{_key(key)} = {_value(table[key])}" for key in table if key not in nested]
    for key, value in nested.items():
        name = f"{prefix}.{_key(key)}" if prefix else _key(key)
        lines += ["", f"[{name}]"]
        _write_table(lines, name, value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _value(value: object) -> str:
    # JSON's strings, numbers, booleans and arrays are TOML's too; DEL is the one exception.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
