"""Who a drawn person is: everything that stays the same from picture to picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Gender = Literal["man", "woman"]
Colour = tuple[float, float, float]

HAIR_COLOURS: dict[str, Colour] = {
    "black": (0.11, 0.10, 0.11),
    "brown": (0.38, 0.23, 0.14),
    "blond": (0.88, 0.71, 0.40),
    "ginger": (0.76, 0.33, 0.13),
}
SKIN_TONES: tuple[Colour, ...] = (
    (1.00, 0.88, 0.80),
    (0.98, 0.83, 0.73),
    (0.95, 0.76, 0.63),
    (0.89, 0.67, 0.52),
    (0.80, 0.57, 0.42),
    (0.69, 0.46, 0.31),
    (0.55, 0.35, 0.24),
    (0.42, 0.26, 0.18),
)
EYE_COLOURS: tuple[Colour, ...] = (
    (0.33, 0.19, 0.10),
    (0.45, 0.29, 0.13),
    (0.50, 0.46, 0.20),
    (0.27, 0.50, 0.32),
    (0.26, 0.49, 0.72),
    (0.42, 0.57, 0.66),
)
HAIRSTYLES: dict[Gender, tuple[str, ...]] = {
    "man": ("short", "buzz", "side part", "curly", "bald", "quiff"),
    "woman": ("long", "bob", "bun", "long curly", "pixie", "fringe"),
}
# Person seeds from here on are held out: no training picture shows them.
HELD_OUT = 1_000_000
# Keeps a person's stream of random numbers apart from other uses of the same small seeds.
PERSON_STREAM = 0x11A7


@dataclass(frozen=True)
class Person:
    """A drawn person. Lengths are in head units (see geometry), colours RGB in 0..1."""

    seed: int
    gender: Gender
    skin: Colour
    hair_colour: str
    hair: Colour
    hairstyle: str
    hair_volume: float
    hairline: float
    parting: float
    eyes: Colour
    temple_width: float
    cheek_width: float
    jaw_width: float
    chin_width: float
    chin: float
    eye_height: float
    eye_spacing: float
    eye_width: float
    eye_opening: float
    eye_tilt: float
    iris: float
    lid_crease: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    brow_tilt: float
    brow_length: float
    nose_length: float
    nose_width: float
    nose_bridge: float
    nose_tip: float
    mouth_drop: float
    mouth_width: float
    lip_thickness: float
    upper_lip: float
    lip_redness: float
    ear_size: float
    ear_height: float
    blush: float
    mole: tuple[float, float] | None

    @property
    def is_bald(self) -> bool:
        """Whether so little hair is seen that its colour cannot be told."""
        return self.hairstyle == "bald"

    @property
    def covers_ears(self) -> bool:
        """Whether the hair falls over the ears."""
        return self.hairstyle in ("long", "long curly", "bob", "fringe")


def sample_person(seed: int) -> Person:
    """The person of a seed (>= 0): always the same. Seeds from HELD_OUT on are for tests."""
    rng = np.random.default_rng([PERSON_STREAM, seed])

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    gender: Gender = "man" if rng.random() < 0.5 else "woman"
    is_man = gender == "man"
    tone = between(0, len(SKIN_TONES) - 1)
    is_light = tone < 3.5
    colours = list(HAIR_COLOURS)
    odds = (0.25, 0.30, 0.25, 0.20) if is_light else (0.62, 0.26, 0.07, 0.05)
    hair_colour = colours[int(rng.choice(len(colours), p=odds))]
    eye_colours = EYE_COLOURS if tone < 4 else EYE_COLOURS[:3]
    eyes = eye_colours[int(rng.integers(len(eye_colours)))]
    styles = HAIRSTYLES[gender]
    mole_side = 1 if rng.random() < 0.5 else -1
    return Person(
        seed=seed,
        gender=gender,
        skin=_mix_tones(tone),
        hair_colour=hair_colour,
        hair=_scaled(HAIR_COLOURS[hair_colour], between(0.9, 1.12)),
        hairstyle=styles[int(rng.integers(len(styles)))],
        hair_volume=between(0.92, 1.14),
        hairline=between(-0.74, -0.56),
        parting=between(-0.35, 0.35),
        eyes=_scaled(eyes, between(0.85, 1.25)),
        temple_width=between(0.62, 0.77),
        cheek_width=between(0.66, 0.85),
        jaw_width=between(0.56, 0.76) if is_man else between(0.46, 0.67),
        chin_width=between(0.22, 0.44) if is_man else between(0.16, 0.34),
        chin=between(0.97, 1.16),
        eye_height=between(-0.10, 0.06),
        eye_spacing=between(0.28, 0.38),
        eye_width=between(0.155, 0.215),
        eye_opening=between(0.068, 0.118),
        eye_tilt=between(-0.035, 0.05),
        iris=between(0.95, 1.25),
        lid_crease=between(0, 1),
        brow_height=between(0.17, 0.27),
        brow_thickness=between(0.040, 0.085) if is_man else between(0.024, 0.055),
        brow_arch=between(0, 0.07),
        brow_tilt=between(-0.05, 0.05),
        brow_length=between(0.95, 1.2),
        nose_length=between(0.30, 0.48),
        nose_width=between(0.10, 0.20),
        nose_bridge=between(0.3, 1.0),
        nose_tip=between(-0.03, 0.03),
        mouth_drop=between(0.17, 0.25),
        mouth_width=between(0.19, 0.32),
        lip_thickness=between(0.035, 0.062) if is_man else between(0.05, 0.092),
        upper_lip=between(0.6, 1.0),
        lip_redness=between(0, 1),
        ear_size=between(0.16, 0.26),
        ear_height=between(-0.05, 0.10),
        blush=between(0.2, 1.0),
        mole=(mole_side * between(0.24, 0.44), between(0.24, 0.46)) if rng.random() < 0.3 else None,
    )


def _mix_tones(tone: float) -> Colour:
    index = min(int(tone), len(SKIN_TONES) - 2)
    share = tone - index
    mixed = np.array(SKIN_TONES[index]) * (1 - share) + np.array(SKIN_TONES[index + 1]) * share
    return _colour(mixed)


def _scaled(colour: Colour, factor: float) -> Colour:
    return _colour(np.clip(np.array(colour) * factor, 0.03, 1.0))


def _colour(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Colour:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
