"""An arm: every setting of engine and request that a run may compare, and what they build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.ab.cases import SuiteCase
from prompting import Attributes, UnknownAttribute

if TYPE_CHECKING:
    from fusion import Engine, EngineSettings, FusionRequest

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
_DAY_SECONDS: Final = 24 * 3600.0


class FastArm(BaseModel):
    """What mode = "fast" approximates, as fusion.FastSettings has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interval: Count | None = None
    exact_first: Count | None = None
    exact_last: Annotated[int, Field(ge=0)] | None = None
    guided_until: Share | None = None


class ArmSettings(BaseModel):
    """Everything an arm can be told; what is left out is as a user gets it.

    The engine: bundle, device, precision, backend, memory (low, normal, high); lora: files and how
    strongly each is merged; cache: whether it remembers prompts, faces, keys
    and values; adaptive_layout: whether the order of a prompt follows the traffic; largest_batch;
    fast. The words: "optimised" gives the attributes to the prompt optimiser, "sentence" gives it
    the wish as a person would write it, "verbatim" draws from that sentence as it is; leave_out:
    attributes that are not said (and still judged). The request: as FusionRequest has them.
    seed_offset: added to every seed, for other noise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str | None = None
    device: str = "auto"
    precision: str = "auto"
    backend: str = "auto"
    memory: Literal["low", "normal", "high"] = "normal"
    lora: Mapping[str, float] = {}
    cache: bool = True
    adaptive_layout: bool = False
    largest_batch: Count | None = None
    fast: FastArm = FastArm()

    words: Literal["optimised", "sentence", "verbatim"] = "optimised"
    leave_out: tuple[str, ...] = ()
    negative_prompt: str | None = None

    steps: int | Literal["auto", "few"] = "auto"
    mode: Literal["exact", "fast"] = "exact"
    guidance_scale: float | None = None
    guidance_interval: tuple[float, float] | None = None
    identity_scale: float | None = None
    scheduler: Literal["ddim", "dpm++2m", "euler", "unipc"] | None = None
    eta: float = 0.0
    size: tuple[int, int] | None = None
    min_identity: float | None = None
    max_retries: int | None = None
    seed_offset: int = 0

    def given(self) -> dict[str, str]:
        """The settings that were given, as text."""
        return {
            name: _text(value)
            for name, value in self.model_dump(exclude_unset=True, exclude_none=True).items()
        }


def engine_of(settings: ArmSettings, bundle: str, at_once: int) -> Engine:
    """An engine as the arm has it. bundle: where the arm names none; at_once: requests to queue.

    Raises what Engine.load raises, and AdapterRejected.
    """
    from fusion import Engine, EngineSettings, FastSettings, PressureSettings, PromptSettings
    from models import AdapterStack, read_lora

    held = EngineSettings()
    engine_settings = replace(
        held,
        capacity=max(at_once, 1),
        ttl_seconds=_DAY_SECONDS,
        largest_batch=settings.largest_batch or held.largest_batch,
        active_requests=_active(settings.largest_batch, held),
        face_store_max_bytes=held.face_store_max_bytes if settings.cache else 0,
        key_values_max_bytes=held.key_values_max_bytes if settings.cache else 0,
        prompts=PromptSettings(
            max_bytes=held.prompts.max_bytes if settings.cache else 0,
            adaptive=settings.adaptive_layout,
        ),
        fast=FastSettings(**settings.fast.model_dump(exclude_none=True)),
        pressure=PressureSettings(memory=None),  # an arm gets what it asks for, or fails
    )
    read = [(file, read_lora(Path(file)), scale) for file, scale in settings.lora.items()]
    engine = Engine.load(
        settings.bundle or bundle,
        device=settings.device,
        precision=settings.precision,
        backend=settings.backend,
        settings=engine_settings,
        memory=settings.memory,
    )

    def merge(stack: AdapterStack) -> None:
        for file, weights, scale in read:
            stack.add(weights, file, scale)

    if read:
        engine.adapt(merge)
    return engine


def request_of(settings: ArmSettings, case: SuiteCase, words_only: bool = False) -> FusionRequest:
    """The case as this arm asks for it. words_only: without its person, to encode and not to draw.

    Raises InvalidRequest and its kinds.
    """
    from fusion import FusionRequest, Identity

    request: dict[str, Any] = {}  # handed to pydantic at once, which checks every value
    if settings.words == "optimised" and case.attributes:
        said = {k: v for k, v in case.attributes.items() if k not in settings.leave_out}
        request |= {"attributes": said, "text": case.text or None}
    elif settings.words == "verbatim":
        request["prompt"] = case.sentence(settings.leave_out)
    else:
        request["text"] = case.sentence(settings.leave_out)
    for name in ("guidance_scale", "guidance_interval", "identity_scale", "scheduler", "size",
                 "min_identity", "max_retries", "negative_prompt"):  # fmt: skip
        if (value := getattr(settings, name)) is not None:
            request[name] = value
    people = () if words_only else (Identity(image=case.pictures.photo, name=case.person),)
    if words_only:
        request.pop("min_identity", None)  # of whom
    return FusionRequest(
        identities=people,
        steps=settings.steps,
        mode=settings.mode,
        eta=settings.eta,
        seed=case.seed + settings.seed_offset,
        verify=settings.min_identity is not None,
        **request,
    )


def check_leave_out(settings: ArmSettings) -> None:
    """Raises UnknownAttribute for a name the schema does not have."""
    for name in settings.leave_out:
        if name not in Attributes.model_fields:
            raise UnknownAttribute(name, Attributes.model_fields)


def _active(largest_batch: int | None, held: EngineSettings) -> int:
    """Requests in work: as many more than a batch as an engine usually has."""
    if largest_batch is None:
        return held.active_requests
    return largest_batch + held.active_requests - held.largest_batch


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
