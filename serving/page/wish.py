"""What a visitor set on the page, and the request of the API that it comes to."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from serving.wire import OptimizeRequest, Person, PortraitRequest

MOST_PEOPLE: Final = 8  # as many as the API takes
ACCESSORIES: Final = ("glasses", "beard", "hat", "earrings", "jewellery", "makeup")
REPEATABLE: Final = ("marks", "lens", "phrases", "exclude")

OPEN: Final = ""  # what a control holds that leaves its attribute open
WITH: Final = "yes"
WITHOUT: Final = "no"

ControlValue = str | int | float | bool | Sequence[str] | None
AttributeValue = bool | int | str | list[str] | None
_BETWEEN: Final = re.compile(r"[,;，；、\n]+")


@dataclass(frozen=True)
class PersonWish:
    """A slot of the page: a photo, its weight from 0 to 100, which face of it (from 1)."""

    photo: Path | None
    weight: float = 50.0
    face: int | None = None


@dataclass(frozen=True)
class Wish:
    """Everything set on the page. None, "" and 0 stand for what is left to the model."""

    people: tuple[PersonWish, ...] = ()
    target: Path | None = None
    target_face: int | None = None
    strength: float | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    text: str = ""
    steps: int | Literal["few"] | None = None
    guidance_scale: float | None = None
    identity_scale: float | None = None
    seed: int | None = None
    count: int = 1
    size: str = ""
    mode: Literal["exact", "fast"] = "exact"
    min_identity: float = 0.0
    previews: int = 6


def attributes_of(controls: Mapping[str, ControlValue]) -> dict[str, AttributeValue]:
    """The attributes that controls ask for; one that is left open is not among them."""
    asked: dict[str, AttributeValue] = {}
    for key, value in controls.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            several = [item for item in value if item]
            if several:
                asked[key] = several
            continue
        said = str(value).strip() if value is not None else OPEN
        if said == OPEN:
            continue
        if key in REPEATABLE:
            asked[key] = [part.strip() for part in _BETWEEN.split(said) if part.strip()]
        elif key in ACCESSORIES and said in (WITH, WITHOUT):
            asked[key] = True if said == WITH else "none"
        elif key == "age" and said.isdecimal():
            asked[key] = int(said)
        else:
            asked[key] = said
    return asked


def control_value(key: str, value: AttributeValue) -> str:
    """What the control of an attribute holds for a value: the way back, for named looks."""
    if value is True:
        return WITH
    if key in ACCESSORIES and value in ("none", False):
        return WITHOUT
    return OPEN if value is None else str(value)


def shares(people: Sequence[PersonWish]) -> tuple[int | None, ...]:
    """Every slot's share in whole per cent, 100 together; None for a slot without a photo."""
    total = sum(person.weight for person in people if person.photo is not None)
    if total <= 0:
        return tuple(0 if person.photo is not None else None for person in people)
    exact = [person.weight * 100 / total if person.photo else 0.0 for person in people]
    whole = [int(share) for share in exact]
    # What rounding down took goes to the largest remainders, so that the sum is 100.
    by_remainder = sorted(range(len(exact)), key=lambda i: whole[i] - exact[i])
    for index in by_remainder[: 100 - sum(whole)]:
        whole[index] += 1
    return tuple(
        share if person.photo is not None else None
        for share, person in zip(whole, people, strict=True)
    )


def optimize_request(wish: Wish) -> OptimizeRequest | None:
    """The question for a prompt; None where nothing is said."""
    text = wish.text.strip()
    if not text and not wish.attributes:
        return None
    return OptimizeRequest(attributes=dict(wish.attributes) or None, text=text or None)


def portrait_request(wish: Wish) -> PortraitRequest:
    """The request for a portrait. Reads the photos. Raises OSError, pydantic.ValidationError."""
    return PortraitRequest(
        identities=[
            Person(image=_encoded(person.photo), weight=person.weight / 100, face=person.face)
            for person in wish.people
            if person.photo is not None
        ],
        target=_encoded(wish.target) if wish.target else None,
        target_face=wish.target_face if wish.target else None,
        strength=wish.strength if wish.target else None,
        attributes=dict(wish.attributes) or None,
        text=wish.text.strip() or None,
        steps=wish.steps if wish.steps is not None else "auto",
        guidance_scale=wish.guidance_scale,
        identity_scale=wish.identity_scale,
        seed=wish.seed,
        count=wish.count,
        size=_size(wish.size) if wish.size and not wish.target else None,
        mode=wish.mode,
        min_identity=wish.min_identity if wish.min_identity > 0 else None,
        previews=wish.previews,
        stream=True,
    )


def slot_of_identity(wish: Wish, number: int) -> int | None:
    """The slot (from 0) of the request's identity `number` (from 0); None where there is none."""
    filled = [slot for slot, person in enumerate(wish.people) if person.photo is not None]
    return filled[number] if 0 <= number < len(filled) else None


def _encoded(photo: Path) -> str:
    return base64.b64encode(photo.read_bytes()).decode("ascii")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)
