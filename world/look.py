"""How a drawn person looks in one picture: the attributes, and the small accidents of a shot."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from world.person import HAIR_COLOURS, Colour, Person

EXPRESSIONS = ("neutral", "smiling", "surprised", "sad")
LIGHTS = ("front", "left", "right")
VIEWS = ("front", "left", "right")
CLOTHING: dict[str, Colour] = {
    "red": (0.76, 0.18, 0.20),
    "white": (0.93, 0.93, 0.94),
    "purple": (0.46, 0.28, 0.62),
    "orange": (0.93, 0.53, 0.16),
    "teal": (0.12, 0.52, 0.53),
}
PLAIN_BACKGROUNDS: dict[str, Colour] = {
    "blue": (0.42, 0.60, 0.86),
    "green": (0.52, 0.74, 0.52),
    "pink": (0.94, 0.69, 0.76),
    "yellow": (0.95, 0.84, 0.48),
    "grey": (0.72, 0.73, 0.75),
}
SCENES = ("park", "beach", "sunset", "night")
BACKGROUNDS = (*PLAIN_BACKGROUNDS, *SCENES)
YOUNGEST, OLDEST = 18, 79
MIDDLE_AGE, OLD_AGE = 35, 55
# From this age on hair turns grey and no longer shows its own colour.
GREYING_AGE = 45

# Every head of the attribute judge and its classes, in the order of its outputs.
LABELS: dict[str, tuple[str, ...]] = {
    "gender": ("man", "woman"),
    "age": ("young", "middle", "old"),
    "expression": EXPRESSIONS,
    "glasses": ("no", "yes"),
    "beard": ("no", "yes"),
    "hat": ("no", "yes"),
    "earrings": ("no", "yes"),
    "hair": tuple(HAIR_COLOURS),
    "clothing": tuple(CLOTHING),
    "background": BACKGROUNDS,
    "light": LIGHTS,
    "view": VIEWS,
}


@dataclass(frozen=True)
class Look:
    """One picture's attributes, then its accidents (radians, head units, shares of the side)."""

    age: int
    expression: str
    glasses: bool
    beard: bool
    hat: bool
    earrings: bool
    hair: str | None  # a colour that covers the natural one; None: as nature made it
    clothing: str
    background: str
    light: str
    view: str
    yaw: float
    pitch: float
    roll: float
    scale: float
    shift_x: float
    shift_y: float
    gaze: float
    light_side: float  # -1 from the image's left .. 1 from its right


def sample_look(rng: np.random.Generator, person: Person, **attributes: object) -> Look:
    """A random look that suits a person; attributes given by name are kept as they are.

    Raises ValueError for a name or a value that no look can have.
    """
    is_man = person.gender == "man"
    drawn = Look(
        age=int(rng.integers(YOUNGEST, OLDEST + 1)),
        expression=_pick(rng, EXPRESSIONS),
        glasses=bool(rng.random() < 0.3),
        beard=bool(rng.random() < 0.4) and is_man,
        hat=bool(rng.random() < 0.18),
        earrings=bool(rng.random() < (0.15 if is_man else 0.4)),
        hair=_pick(rng, tuple(HAIR_COLOURS))
        if rng.random() < 0.35 and not person.is_bald
        else None,
        clothing=_pick(rng, tuple(CLOTHING)),
        background=_pick(rng, BACKGROUNDS),
        light=_pick(rng, LIGHTS),
        view=_pick(rng, VIEWS, (0.5, 0.25, 0.25)),
        yaw=_clipped(rng, 0.04, 0.08),
        pitch=_clipped(rng, 0.035, 0.07),
        roll=_clipped(rng, 0.025, 0.06),
        scale=float(rng.uniform(0.98, 1.02)),
        shift_x=_clipped(rng, 0.008, 0.016),
        shift_y=_clipped(rng, 0.008, 0.016),
        gaze=_clipped(rng, 0.1, 0.2),
        light_side=float(rng.uniform(-0.1, 0.1)),
    )
    chosen = replace(drawn, **attributes)  # type: ignore[arg-type]
    check_look(chosen)
    turn = {"front": 0.0, "left": -0.30, "right": 0.30}[chosen.view]
    side = {"front": 0.0, "left": -0.85, "right": 0.85}[chosen.light]
    return replace(
        chosen,
        yaw=chosen.yaw if "yaw" in attributes else chosen.yaw + turn,
        light_side=chosen.light_side if "light_side" in attributes else chosen.light_side + side,
    )


def check_look(look: Look) -> None:
    """Refuse a look that cannot be drawn, with a ValueError that names what can."""
    if not YOUNGEST <= look.age <= OLDEST:
        raise ValueError(f"age {look.age} cannot be drawn; from {YOUNGEST} to {OLDEST} it can")
    for name in ("expression", "clothing", "background", "light", "view"):
        value = getattr(look, name)
        if value not in LABELS[name]:
            raise ValueError(f"{name} {value!r} cannot be drawn; one of {', '.join(LABELS[name])}")
    if look.hair is not None and look.hair not in HAIR_COLOURS:
        raise ValueError(f"hair {look.hair!r} cannot be drawn; one of {', '.join(HAIR_COLOURS)}")


def labels_of(person: Person, look: Look) -> dict[str, str | None]:
    """The class of every judge head in a picture; None where the picture does not show it."""
    shown = look.hair or (person.hair_colour if look.age < GREYING_AGE else None)
    return {
        "gender": person.gender,
        "age": age_group(look.age),
        "expression": look.expression,
        "glasses": _yes(look.glasses),
        "beard": _yes(look.beard),
        "hat": _yes(look.hat),
        "earrings": _yes(look.earrings),
        "hair": None if person.is_bald or look.hat else shown,
        "clothing": look.clothing,
        "background": look.background,
        "light": look.light,
        "view": look.view,
    }


def age_group(age: int) -> str:
    """young, middle or old."""
    return "young" if age < MIDDLE_AGE else "middle" if age < OLD_AGE else "old"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _pick(
    rng: np.random.Generator, values: tuple[str, ...], odds: tuple[float, ...] | None = None
) -> str:
    return values[int(rng.choice(len(values), p=odds))]


def _clipped(rng: np.random.Generator, deviation: float, most: float) -> float:
    return float(np.clip(rng.normal(0, deviation), -most, most))
