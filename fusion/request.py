"""What a user asks for, and the same with every question answered.

A `FusionRequest` may leave things open (None, "auto"); `resolve` answers them from the bundle's
defaults and gives a frozen `ResolvedRequest` in which no None survives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, BeforeValidator, ConfigDict, SkipValidation, ValidationError

from fusion.errors import (
    InvalidEmbedding,
    InvalidIdentity,
    InvalidRequest,
    InvalidSize,
    InvalidWeights,
)
from prompting import Attributes, optimize

EMBEDDING_WIDTH: Final = 512
MAX_IDENTITIES: Final = 8
MAX_PICTURES: Final = 16
MAX_WEIGHT: Final = 1e6
MAX_STEPS: Final = 500
MAX_GUIDANCE_SCALE: Final = 50.0
MAX_IDENTITY_SCALE: Final = 5.0
MAX_RETRIES: Final = 10
MAX_PREVIEWS: Final = 20
SMALLEST_SIDE_PIXELS: Final = 64
LARGEST_SIDE_PIXELS: Final = 2048
SIDE_MULTIPLE_PIXELS: Final = 8
NO_GATE: Final = -1.0  # the least a cosine can be, so that nothing is rejected

ImageInput = str | Path | bytes | Image.Image | NDArray[np.uint8]
AttributeValue = str | int | bool | None | Sequence[str]
SchedulerName = Literal["ddim", "dpm++2m", "euler", "unipc"]
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
    right; needed only where there are several.
    """

    image: Picture = None
    embedding: Embedding = None
    weight: float = 1.0
    face: int | None = None


class FusionRequest(_Strict):
    """What to draw. None means: as the bundle does it by default.

    identities: the people, by weight; none draws nobody in particular, or the target's own person.
    target: a picture to fuse into; None draws a free portrait. target_face: which face of it.
    attributes: what the portrait should show; text: the same in free words, where attributes win.
    prompt, negative_prompt: given, used as they are; a prompt goes without a text.
    steps: "auto" for as many as the request is complex (told in the trace), or a number.
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
    attributes: Mapping[str, AttributeValue] | Attributes | None = None
    text: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    steps: int | Literal["auto"] | None = "auto"
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


@dataclass(frozen=True)
class RequestDefaults:
    """What a request that says nothing gets; size in pixels (width, height). negative_prompt: to
    which exclusions are added; None is the prompt optimiser's own. auto_steps: the fewest and the
    most that steps="auto" takes.
    """

    steps: int
    guidance_scale: float
    identity_scale: float
    strength: float
    size: tuple[int, int]
    negative_prompt: str | None = None
    auto_steps: tuple[int, int] = (15, 30)


@dataclass(frozen=True)
class ResolvedIdentity:
    """How one person takes part; weights sum to 1. face: counted from 1, 0 = the only one."""

    name: str
    weight: float
    face: int


@dataclass(frozen=True)
class Words:
    """What is to be said: either the prompt as given, or attributes and text to make one of.

    given: whether `prompt` is used as it is; negative_given: likewise. Where it is not, exclusions
    extend `negative_prompt`, or the prompt optimiser's own if that is None.
    """

    attributes: Attributes
    text: str
    prompt: str
    given: bool
    negative_prompt: str | None
    negative_given: bool


@dataclass(frozen=True)
class ResolvedRequest:
    """A request in which every question is answered. `fuses`: whether there is a target.

    steps_range: what `steps` is chosen from once words and target are known, fewest and most; until
    then it is the most. Where steps are given both are the same.
    """

    identities: tuple[ResolvedIdentity, ...]
    fuses: bool
    target_face: int
    words: Words
    steps: int
    steps_range: tuple[int, int]
    guidance_scale: float
    guidance_interval: tuple[float, float]
    identity_scale: float
    strength: float
    size: tuple[int, int]
    seed: int
    count: int
    min_identity: float
    max_retries: int
    verify: bool
    scheduler: SchedulerName | Literal["bundle"]
    eta: float
    mode: DrawingMode
    previews: int

    @property
    def gated(self) -> bool:
        """Whether pictures below `min_identity` are drawn again."""
        return self.min_identity > NO_GATE

    def unverified(self) -> ResolvedRequest:
        """The same without what can be left out: looking at the result, second drawings, …"""
        return replace(self, verify=False, min_identity=NO_GATE, max_retries=0, previews=0)


def resolve(request: FusionRequest, defaults: RequestDefaults) -> ResolvedRequest:
    """The request with every question answered, before anything is read or loaded.

    Raises InvalidRequest and its kinds, and `prompting`'s UnknownAttribute, InvalidAttribute and
    UnreadableText.
    """
    identities = _identities(request.identities)
    fuses = request.target is not None
    if request.target_face is not None and not fuses:
        raise InvalidRequest("target_face chooses a face of the target: give a target as well")
    if request.size is not None and fuses:
        raise InvalidSize("with a target the picture has the target's size: leave size out")
    fewest, most = _steps(request.steps, defaults)
    gate = NO_GATE if request.min_identity is None else request.min_identity
    if request.min_identity is not None and not request.verify:
        raise InvalidRequest("min_identity needs the result verified: leave verify on")
    return ResolvedRequest(
        identities=identities,
        fuses=fuses,
        target_face=_face("target_face", request.target_face),
        words=_words(request, defaults.negative_prompt),
        steps=most,
        steps_range=(fewest, most),
        guidance_interval=_interval(request.guidance_interval),
        guidance_scale=_real(
            "guidance_scale", request.guidance_scale, defaults.guidance_scale, 0, MAX_GUIDANCE_SCALE
        ),
        identity_scale=_real(
            "identity_scale", request.identity_scale, defaults.identity_scale, 0, MAX_IDENTITY_SCALE
        ),
        strength=_strength(request.strength, defaults.strength),
        size=_size(request.size, defaults.size),
        seed=_whole("seed", request.seed, 0, 2**63 - 1 - MAX_PICTURES),
        count=_whole("count", request.count, 1, MAX_PICTURES),
        min_identity=_real("min_identity", gate, NO_GATE, NO_GATE, 1),
        max_retries=_whole("max_retries", request.max_retries, 0, MAX_RETRIES),
        verify=request.verify,
        scheduler=request.scheduler or "bundle",
        eta=_real("eta", request.eta, 0.0, 0, 1),
        mode=request.mode,
        previews=_whole("previews", request.previews, 0, MAX_PREVIEWS),
    )


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


def _identities(given: tuple[Identity, ...]) -> tuple[ResolvedIdentity, ...]:
    if len(given) > MAX_IDENTITIES:
        raise InvalidIdentity(
            f"{len(given)} identities are too many: give at most {MAX_IDENTITIES}"
        )
    for number, identity in enumerate(given, 1):
        if (identity.image is None) == (identity.embedding is None):
            raise InvalidIdentity(f"identity {number}: give either an image or an embedding")
        if identity.embedding is not None:
            unit_embedding(identity.embedding)
        if not 0 <= identity.weight <= MAX_WEIGHT:
            raise InvalidWeights(
                f"identity {number} has weight {identity.weight:g}: "
                f"give a number from 0 to {MAX_WEIGHT:g}"
            )
    total = math.fsum(identity.weight for identity in given)
    if given and total <= 0:
        raise InvalidWeights("the weights of the identities sum to zero: give one of them more")
    return tuple(
        ResolvedIdentity(
            name=name_of(identity, number),
            weight=identity.weight / total,
            face=_face(f"face of identity {number}", identity.face),
        )
        for number, identity in enumerate(given, 1)
    )


def name_of(identity: Identity, number: int) -> str:
    """How messages call the identity: its file's name, else its number."""
    if isinstance(identity.image, str | Path):
        return Path(identity.image).name
    return f"identity {number}"


def _words(request: FusionRequest, default_negative: str | None) -> Words:
    attributes = request.attributes
    if not isinstance(attributes, Attributes):
        attributes = Attributes(**dict(attributes or {}))
    if request.text is not None:
        if request.prompt is not None:
            raise InvalidRequest("a prompt is used as it is: give either a prompt or a text")
        optimize(attributes, request.text)  # what cannot be read is found before models are loaded
    return Words(
        attributes=attributes,
        text=request.text or "",
        prompt=request.prompt or "",
        given=request.prompt is not None,
        negative_prompt=default_negative
        if request.negative_prompt is None
        else request.negative_prompt,
        negative_given=request.negative_prompt is not None,
    )


def _size(size: tuple[int, int] | None, default: tuple[int, int]) -> tuple[int, int]:
    if size is None:
        return default
    for side in size:
        inside = SMALLEST_SIDE_PIXELS <= side <= LARGEST_SIDE_PIXELS
        if not inside or side % SIDE_MULTIPLE_PIXELS:
            raise InvalidSize(
                f"size {size[0]}×{size[1]} cannot be drawn: give both sides as multiples of "
                f"{SIDE_MULTIPLE_PIXELS} from {SMALLEST_SIDE_PIXELS} to {LARGEST_SIDE_PIXELS}"
            )
    return size


def _strength(value: float | None, default: float) -> float:
    strength = _real("strength", value, default, 0, 1)
    if strength <= 0:
        raise InvalidRequest("strength is 0, so nothing would be drawn: give more, up to 1")
    return strength


def _steps(given: int | str | None, defaults: RequestDefaults) -> tuple[int, int]:
    if given == "auto":
        return defaults.auto_steps
    steps = _whole("steps", given, 1, MAX_STEPS) if isinstance(given, int) else defaults.steps
    return steps, steps


def _interval(given: tuple[float, float] | None) -> tuple[float, float]:
    start, end = given or (0.0, 1.0)
    if not 0 <= start < end <= 1:
        raise InvalidRequest(
            f"guidance_interval is {start:g} to {end:g}: give two shares of the drawing from 0 to "
            "1, the earlier one first"
        )
    return start, end


def _face(name: str, value: int | None) -> int:
    if value is not None and value < 1:
        raise InvalidRequest(f"{name} is {value}: faces are counted from 1")
    return value or 0


def _whole(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidRequest(f"{name} is {value}: give a whole number from {least} to {most}")
    return value


def _real(name: str, value: float | None, default: float, least: float, most: float) -> float:
    if value is None:
        return default
    if not math.isfinite(value) or not least <= value <= most:
        raise InvalidRequest(f"{name} is {value:g}: give a number from {least:g} to {most:g}")
    return value


def _translated(error: ValidationError, known: tuple[str, ...]) -> InvalidRequest:
    """The first of pydantic's complaints, in one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return InvalidRequest(f"{where} is not known here; known are {', '.join(known)}")
    cause = first.get("ctx", {}).get("error")
    return InvalidRequest(f"{where}: {cause if cause is not None else first['msg']}")
