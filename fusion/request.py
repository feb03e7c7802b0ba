"""What a user asks for; it may leave things open (None, "auto"), which `resolve` answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, BeforeValidator, ConfigDict, SkipValidation, ValidationError

from fusion.errors import (
    InvalidEmbedding,
    InvalidRequest,
)
from models import SchedulerName
from prompting import Attributes

EMBEDDING_WIDTH: Final = 512
ImageInput = str | Path | bytes | Image.Image | NDArray[np.uint8]
AttributeValue = str | int | bool | None | Sequence[str]
DrawingMode = Literal["exact", "fast"]


def _picture(value: object) -> object:
    kinds = (str, Path, bytes, Image.Image, np.ndarray)
    if value is not None and not isinstance(value, kinds):
        raise ValueError(
            f"a picture is a path, bytes, a PIL image or an array, not {type(value).__name__}"
        )
    return value


def _numbers(value: object) -> object:
    if value is None or isinstance(value, np.ndarray):
        return value
    try:
        return np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"an embedding is {EMBEDDING_WIDTH} numbers") from error


Picture = Annotated[SkipValidation[ImageInput] | None, BeforeValidator(_picture)]
Embedding = Annotated[SkipValidation[NDArray[np.floating]] | None, BeforeValidator(_numbers)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise _translated(error, tuple(type(self).model_fields)) from error


class Identity(_Strict):
    """A person: a picture of one, or the embedding itself.

    image: a path, bytes, a PIL image or uint8 [height, width, 3]; or
    embedding: float [512], of unit length as ArcFace gives it (else it is made so);
    weight: this person's share among all; face: which face of the picture, counted from 1, left to
    right; needed only where there are several. name: what messages and results call it; else the
    file's name, or its number.
    """

    image: Picture = None
    embedding: Embedding = None
    weight: float = 1.0
    face: int | None = None
    name: str | None = None


class FusionRequest(_Strict):
    """What to draw. None means: as the bundle does it by default.

    identities: the people, by weight; none draws nobody in particular, or the target's own person.
    target: a picture to fuse into; None draws a free portrait. target_face: which face of it.
    mask: a picture of the target's size that says where it is drawn anew, instead of around its
    head: where white, or if it is transparent anywhere, where it is transparent.
    attributes: what the portrait should show; text: the same in free words, where attributes win.
    prompt, negative_prompt: given, used as they are; a prompt goes without a text.
    steps: "auto" for as many as the request is complex (told in the trace), a number, or "few" for
    the few steps, and the scheduler unless one is given, that the bundle draws nearly as well with.
    size: (width, height) in pixels, of a free portrait only.
    strength: how much of the target is drawn anew, over 0 up to 1. seed: picture k has seed + k.
    min_identity: the least cosine to the wished face; a picture below it is drawn again, up to
    max_retries times. verify: measure the result's similarity. scheduler: another than the
    bundle's. eta: DDIM's η (arXiv:2010.02502). mode: "fast" approximates (see fusion.fast).
    guidance_interval: from which share of the drawing to which guidance is on (arXiv:2404.07724).
    previews: events with a picture on the way, of the first picture of `count`.
    """

    identities: tuple[Identity, ...] = ()
    target: Picture = None
    target_face: int | None = None
    mask: Picture = None
    attributes: Mapping[str, AttributeValue] | Attributes | None = None
    text: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    steps: int | Literal["auto", "few"] | None = "auto"
    guidance_scale: float | None = None
    identity_scale: float | None = None
    strength: float | None = None
    size: tuple[int, int] | None = None
    seed: int = 7
    count: int = 1
    min_identity: float | None = None
    max_retries: int = 3
    verify: bool = True
    scheduler: SchedulerName | None = None
    eta: float = 0.0
    mode: DrawingMode = "exact"
    guidance_interval: tuple[float, float] | None = None
    previews: int = 0


def unit_embedding(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """The embedding as float32 [512] of unit length; one of unit length stays bit for bit.

    Raises InvalidEmbedding.
    """
    given = np.asarray(values)
    if given.shape != (EMBEDDING_WIDTH,) or not np.issubdtype(given.dtype, np.number):
        raise InvalidEmbedding(
            f"an embedding has {EMBEDDING_WIDTH} numbers, this one has shape {given.shape}"
        )
    embedding: NDArray[np.float32] = given.astype(np.float32)
    length = float(np.linalg.norm(embedding))
    if not math.isfinite(length) or length < 1e-6:
        raise InvalidEmbedding("an embedding has finite numbers, not all of them zero")
    return embedding if abs(length - 1) < 1e-3 else (embedding / length).astype(np.float32)


def name_of(identity: Identity, number: int) -> str:
    """How messages call the identity: as it says, else its file's name, else its number."""
    if identity.name:
        return identity.name
    if isinstance(identity.image, str | Path):
        return Path(identity.image).name
    return f"identity {number}"


def _translated(error: ValidationError, known: tuple[str, ...]) -> InvalidRequest:
    """The first of pydantic's complaints, in one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return InvalidRequest(f"{where} is not known here; known are {', '.join(known)}")
    cause = first.get("ctx", {}).get("error")
    return InvalidRequest(f"{where}: {cause if cause is not None else first['msg']}")
