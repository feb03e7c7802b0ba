"""A request with every question answered: a `FusionRequest` in, a `ResolvedRequest` out.

What was left open is answered from the bundle's defaults, before anything is read or loaded, and no
None survives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from fusion.errors import InvalidIdentity, InvalidRequest, InvalidSize, InvalidWeights
from fusion.request import (
    DrawingMode,
    FusionRequest,
    Identity,
    name_of,
    unit_embedding,
)
from models import FewSteps, SchedulerName
from prompting import Attributes, optimize

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


@dataclass(frozen=True)
class RequestDefaults:
    """What a request that says nothing gets; size in pixels (width, height). negative_prompt: to
    which exclusions are added; None is the prompt optimiser's own. auto_steps: the fewest and the
    most that steps="auto" takes. few_steps: what steps="few" is; None where that is not known.
    """

    steps: int
    guidance_scale: float
    identity_scale: float
    strength: float
    size: tuple[int, int]
    negative_prompt: str | None = None
    auto_steps: tuple[int, int] = (15, 30)
    few_steps: FewSteps | None = None


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
    """A request in which every question is answered.

    fuses: whether there is a target; masked: whether a mask says where it is drawn anew.
    steps_range: what `steps` is chosen from once words and target are known, fewest and most; until
    then it is the most. Where steps are given both are the same. few: whether "few" was asked.
    """

    identities: tuple[ResolvedIdentity, ...]
    fuses: bool
    target_face: int
    masked: bool
    words: Words
    steps: int
    steps_range: tuple[int, int]
    few: bool
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
    if request.mask is not None and not fuses:
        raise InvalidRequest("a mask says what of a target is drawn anew: give a target as well")
    if request.size is not None and fuses:
        raise InvalidSize("with a target the picture has the target's size: leave size out")
    fewest, most = _steps(request.steps, defaults)
    few = _few(defaults) if request.steps == "few" else None
    gate = NO_GATE if request.min_identity is None else request.min_identity
    if request.min_identity is not None and not request.verify:
        raise InvalidRequest("min_identity needs the result verified: leave verify on")
    return ResolvedRequest(
        identities=identities,
        fuses=fuses,
        target_face=_face("target_face", request.target_face),
        masked=request.mask is not None,
        words=_words(request, defaults.negative_prompt),
        steps=most,
        steps_range=(fewest, most),
        few=few is not None,
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
        scheduler=request.scheduler or (few.scheduler if few else "bundle"),
        eta=_real("eta", request.eta, 0.0, 0, 1),
        mode=request.mode,
        previews=_whole("previews", request.previews, 0, MAX_PREVIEWS),
    )


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
    if given == "few":
        few = _few(defaults).steps
        return few, few
    steps = _whole("steps", given, 1, MAX_STEPS) if isinstance(given, int) else defaults.steps
    return steps, steps


def _few(defaults: RequestDefaults) -> FewSteps:
    if defaults.few_steps is None:
        raise InvalidRequest(
            'steps is "few", and nobody measured with how few steps this model draws well: give a '
            'number or "auto"; your own bundle says it in its bundle.toml: under '
            '[defaults.few_steps], steps = 4 and scheduler = "dpm++2m"'
        )
    return defaults.few_steps


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
