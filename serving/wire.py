"""What travels: the requests of /v1/portraits and what they answer. Unknown keys are refused."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    model_validator,
)

from fusion import Stage
from serving.errors import ErrorBody

MAX_TEXT: Final = 8000  # signs of a prompt or a text
MAX_KEYS: Final = 200  # of an object
MAX_NAMES: Final = 64  # attributes in one request

OutputFormat = Literal["png", "jpeg", "webp"]
Words = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
# JSON has its own types: 0 is no truth value, "5" no number.
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Real = Annotated[float, Strict()]
_Name = Annotated[str, StringConstraints(max_length=64)]
_Value = Annotated[str, StringConstraints(max_length=200)]
_Number = Annotated[Real, Field(ge=-1e6, le=1e6)]
AttributeValue = (
    Flag
    | Annotated[Whole, Field(ge=-1000, le=1000)]
    | _Value
    | Annotated[list[_Value], Field(max_length=16)]
    | None
)
_SIZE: Final = re.compile(r"([0-9]{1,5})\s*[x×]\s*([0-9]{1,5})")


def read_size(text: str) -> tuple[int, int]:
    """(width, height) of "512x768". Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError('a size is "WIDTHxHEIGHT" such as "512x768"')
    return int(found[1]), int(found[2])


def _size(value: object) -> object:
    return read_size(value) if isinstance(value, str) else value


Side = Annotated[int, Field(ge=1, le=99_999)]
Size = Annotated[
    tuple[Side, Side],
    BeforeValidator(_size, json_schema_input_type=str | tuple[Side, Side]),
]


class Wire(BaseModel):
    """What comes in: strict about keys, and about numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, given: object) -> object:
        # Before each of a million unknown keys has a complaint of its own.
        if isinstance(given, dict) and len(given) > MAX_KEYS:
            raise ValueError(f"{len(given)} keys in one object: at most {MAX_KEYS} are read")
        return given


class Answer(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DrawingSettings(Wire):
    """How to draw; what is left out is the bundle's own. See `fusion.FusionRequest`.

    seed: absent, one is chosen and told, so that two calls give two pictures.
    """

    attributes: Annotated[dict[_Name, AttributeValue], Field(max_length=MAX_NAMES)] | None = None
    negative_prompt: Words | None = None
    steps: Annotated[Whole, Field(ge=1)] | Literal["auto", "few"] = "auto"
    guidance_scale: Real | None = None
    identity_scale: Real | None = None
    strength: Real | None = None
    seed: Annotated[Whole, Field(ge=0, le=2**62)] | None = None
    target_face: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    min_identity: Real | None = None
    max_retries: Annotated[Whole, Field(ge=0, le=10)] = 3
    verify: Flag = True
    scheduler: Literal["ddim", "dpm++2m", "euler", "unipc"] | None = None
    eta: Real = 0.0
    mode: Literal["exact", "fast"] = "exact"
    guidance_interval: tuple[Real, Real] | None = None


class Person(Wire):
    """A person: a picture (base64 or a data: URL) or the 512 numbers of an embedding.

    weight: this one's share among all. face: which of several in the picture, from 1.
    """

    image: str | None = None
    embedding: Annotated[list[_Number], Field(min_length=512, max_length=512)] | None = None
    weight: Annotated[Real, Field(ge=0, le=1e6)] = 1.0
    face: Annotated[Whole, Field(ge=1, le=1000)] | None = None


class PortraitSpecification(DrawingSettings):
    """A portrait to draw: people by weight, a target, attributes, words; pictures as base64."""

    model: str | None = None
    identities: Annotated[tuple[Person, ...], Field(max_length=8)] = ()
    target: str | None = None
    mask: str | None = None
    text: Words | None = None
    prompt: Words | None = None
    size: Size | None = None
    count: Annotated[Whole, Field(ge=1, le=16)] = 1
    previews: Annotated[Whole, Field(ge=0, le=20)] = 0
    output_format: OutputFormat = "png"
    output_compression: Annotated[Whole, Field(ge=1, le=100)] = 95


class PortraitRequest(PortraitSpecification):
    """One portrait. stream: tell what happens as server-sent events. wait: for the result (else
    the answer is at once, and GET /v1/portraits/{id} tells how far it is)."""

    stream: Flag = False
    wait: Flag = True


class PortraitBatch(Wire):
    """Several portraits, drawn together; each is accepted, or none is."""

    requests: Annotated[list[PortraitSpecification], Field(min_length=1, max_length=64)]
    wait: Flag = False


class OptimizeRequest(Wire):
    """Attributes and words of which to make the shortest prompt."""

    attributes: Annotated[dict[_Name, AttributeValue], Field(max_length=MAX_NAMES)] | None = None
    text: Words | None = None
    budget: Annotated[Whole, Field(ge=1, le=75)] = 75


class DecisionAnswer(Answer):
    """What became of words that were asked for: kept, negative, dropped or removed, and why."""

    attribute: str
    text: str
    fate: str
    said: str
    tokens: int
    reason: str


class PromptAnswer(Answer):
    """The prompt as it was made. tokens against baseline_tokens: of the wish in ordinary words."""

    prompt: str
    negative_prompt: str
    tokens: int
    baseline_tokens: int
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    removed: tuple[str, ...]
    decisions: tuple[DecisionAnswer, ...]


class SimilarityAnswer(Answer):
    """Cosine of the picture's face to a person's, by the model that conditioned it: -1 to 1."""

    name: str
    weight: float
    cosine: float


class PictureFacts(Answer):
    """One picture: as drawn, and who is in it."""

    media_type: str
    width: int
    height: int
    seed: int
    identity_scale: float
    attempts: int
    verified: bool
    face_found: bool
    wished_cosine: float
    similarity: tuple[SimilarityAnswer, ...]


class PictureAnswer(PictureFacts):
    """One picture with its bytes; null where they were not asked for."""

    b64_json: str | None


class CostAnswer(Answer):
    """What it cost in money. amount: a decimal number, exact; prices: the price table's sha256."""

    amount: str
    currency: str
    prices: str


class UsageAnswer(Answer):
    """What it took, also where it did not end well; see `fusion.Usage`.

    bytes_received: of the pictures that came with it; bytes_sent: of those drawn, encoded.
    energy_millijoules: null where nothing measures it. cost: null while it is not booked.
    """

    images: int
    attempts: int
    steps: int
    tokens: int
    baseline_tokens: int
    positions_computed: int
    positions_reused: int
    projections_computed: int
    projections_reused: int
    denoiser_evaluations: int
    shallow_evaluations: int
    denoiser_seconds: float
    faces_analysed: int
    faces_reused: int
    seconds: float
    seconds_by_stage: dict[str, float]
    peak_memory_bytes: int
    peak_device_bytes: int
    cpu_seconds_by_stage: dict[str, float] = Field(default_factory=dict)
    connections: int = 0
    energy_millijoules: int | None = None
    bytes_received: int = 0
    bytes_sent: int = 0
    cost: CostAnswer | None = None


class TraceEntry(Answer):
    """One visit to one stage."""

    stage: Stage
    seconds: float
    memory_delta_bytes: int
    decisions: tuple[str, ...]
    downgrades: tuple[str, ...]
    cpu_seconds: float = 0.0


class Report(Answer):
    """A finished request without its pictures' bytes: what was kept, dropped, reused and used."""

    model: str
    prompt: PromptAnswer
    pictures: tuple[PictureFacts, ...]
    decisions: tuple[str, ...]
    downgrades: tuple[str, ...]
    warnings: tuple[str, ...]
    usage: UsageAnswer


JobStatus = Literal["queued", "running", "completed", "failed", "cancelled", "expired"]


class PortraitAnswer(Answer):
    """A request and, once it is completed, its pictures and their account."""

    id: str
    object: Literal["portrait"] = "portrait"
    status: JobStatus
    created: int
    model: str
    tries: int
    images: tuple[PictureAnswer, ...] = ()
    prompt: PromptAnswer | None = None
    decisions: tuple[str, ...] = ()
    downgrades: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    usage: UsageAnswer | None = None
    trace: tuple[TraceEntry, ...] = ()
    error: ErrorBody | None = None


class PortraitList(Answer):
    """Several requests; newest first where they are looked up."""

    object: Literal["list"] = "list"
    data: tuple[PortraitAnswer, ...]
    has_more: bool = False


class Forgotten(Answer):
    """A request that is no more, nor its pictures."""

    id: str
    object: Literal["portrait.deleted"] = "portrait.deleted"
    deleted: Literal[True] = True


class ModelFacts(Answer):
    """What a bundle draws. size: its own (width, height)."""

    size: tuple[int, int]
    licence: str
    draws: str


class ModelAnswer(Answer):
    """A model in OpenAI's shape."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    limner: ModelFacts


class ModelList(Answer):
    """The models there are."""

    object: Literal["list"] = "list"
    data: tuple[ModelAnswer, ...]


class Health(Answer):
    """Whether the server lives, or is ready."""

    status: str
