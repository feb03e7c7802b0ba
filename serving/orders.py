"""From a portrait's specification to an order, and from an order to what the engine draws."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Final

import numpy as np
from PIL import Image

from cache import Digest, digest
from fusion import FusionRequest, Identity, InvalidSize, Role
from serving.errors import BadRequest
from serving.intake import Payloads, decode_base64
from serving.packet import Order
from serving.settings import Limits
from serving.wire import DrawingSettings, PortraitSpecification

SIDE_MULTIPLE: Final = 8
SMALLEST_SIDE: Final = 64
_SEEDS: Final = 2**31  # short enough to be typed again


@dataclass(frozen=True)
class Native:
    """What the model was made for. size: (width, height); steps: the most that "auto" takes."""

    size: tuple[int, int]
    steps: int


def order_portrait(wish: PortraitSpecification, payloads: Payloads) -> Order:
    """The order of a portrait. Raises BadRequest, ImageRejected."""
    people = tuple(payloads.person(number, one) for number, one in enumerate(wish.identities, 1))
    target = mask = None
    if wish.target is not None:
        data = decode_base64(wish.target, "target", "target")
        target = payloads.picture(Role.TARGET, "target", data)
    if wish.mask is not None:
        mask = payloads.mask("mask", decode_base64(wish.mask, "mask", "mask"))
    return Order(
        **settings_of(wish),
        kind="portrait",
        people=people,
        target=target,
        mask=mask,
        text=wish.text,
        prompt=wish.prompt,
        drawn_size=wish.size,
        chosen_seed=choose_seed(wish.seed),
        count=wish.count,
        previews=wish.previews,
        output_format=wish.output_format,
        output_compression=wish.output_compression,
    )


def settings_of(wish: DrawingSettings) -> dict[str, object]:
    """The settings that an order takes over as they are."""
    return {name: getattr(wish, name) for name in DrawingSettings.model_fields}


def choose_seed(given: int | None) -> int:
    """The seed asked for, or one that nobody could have foreseen."""
    return secrets.randbelow(_SEEDS) if given is None else given


def fusion_request(
    order: Order,
    given: Mapping[int, bytes] | Sequence[bytes],
    ready: Mapping[int, Image.Image] = MappingProxyType({}),
) -> FusionRequest:
    """What the engine draws. ready: pictures that are decoded already.

    Raises InvalidRequest and its kinds.
    """
    identities = tuple(
        Identity(
            image=None if one.embedded else ready.get(one.given, given[one.given]),
            embedding=np.frombuffer(given[one.given], dtype="<f4") if one.embedded else None,
            weight=one.weight,
            face=one.face,
            name=one.name,
        )
        for one in order.people
    )
    return FusionRequest(
        identities=identities,
        target=None if order.target is None else ready.get(order.target, given[order.target]),
        mask=None if order.mask is None else given[order.mask],
        text=order.text,
        prompt=order.prompt,
        size=order.drawn_size,
        count=order.count,
        previews=order.previews,
        **settings_of(order) | {"seed": order.chosen_seed},
    )


def digest_of(order: Order, payloads: Payloads) -> Digest:
    """What was asked for, by content: the same for a request and its retry, whatever the seed
    chosen for it.
    """
    said = order.model_dump_json(exclude={"chosen_seed"})
    return digest([said, list(payloads.digests)])


def check_limits(order: Order, native: Native, limits: Limits) -> None:
    """Refuse what would take the server too long. Raises BadRequest, InvalidSize."""
    if isinstance(order.steps, int) and order.steps > limits.steps:
        raise BadRequest(
            "invalid_request",
            f"steps is {order.steps}: this server draws in at most {limits.steps}",
            param="steps",
        )
    steps = order.steps if isinstance(order.steps, int) else native.steps
    tries = 1 if order.min_identity is None else 1 + order.max_retries
    width, height = order.drawn_size or native.size
    work = order.count * steps * tries * width * height / (native.size[0] * native.size[1])
    if work > limits.work:
        raise BadRequest(
            "too_much_work",
            f"{order.count} pictures of {steps} steps at {width}×{height}, up to {tries} times, "
            "are too much for one request: ask for fewer pictures, steps or retries",
        )
    if order.drawn_size is None:
        return
    most = tuple(int(side * limits.native_factor) for side in native.size)
    if any(side > limit for side, limit in zip(order.drawn_size, most, strict=True)):
        width, height = order.drawn_size
        raise InvalidSize(
            f"size {width}×{height} is more than this model draws well: it was made for "
            f"{native.size[0]}×{native.size[1]}, give at most {most[0]}×{most[1]}"
        )


def fit_size(asked: tuple[int, int], native: tuple[int, int]) -> tuple[int, int]:
    """The size to draw for a picture of another size: its shape, and as many pixels as the model
    was made for.
    """
    width, height = asked
    scale = (native[0] * native[1] / (width * height)) ** 0.5
    return _on_grid(width * scale), _on_grid(height * scale)


def shown_within(drawn: tuple[int, int], asked: tuple[int, int]) -> tuple[int, int]:
    """A picture's size once it is as large as fits into the size asked for."""
    scale = min(asked[0] / drawn[0], asked[1] / drawn[1])
    return max(round(drawn[0] * scale), 1), max(round(drawn[1] * scale), 1)


def picture_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a picture that was kept."""
    with Image.open(BytesIO(data)) as image:
        return image.size


def _on_grid(side: float) -> int:
    return max(round(side / SIDE_MULTIPLE) * SIDE_MULTIPLE, SMALLEST_SIDE)
