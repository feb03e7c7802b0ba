"""Eyes and brows."""

from __future__ import annotations

import numpy as np

from world.geometry import FloatArray, ellipse, float32
from world.scene import Scene

SIDES = (-1, 1)
IRIS_RADIUS = 0.092
LASH_COLOUR = (0.09, 0.06, 0.06)


def draw_eyes(scene: Scene) -> None:
    """Paint both eyes with lids, lashes and brows."""
    for side in SIDES:
        upper, lower = _lids(scene, side)
        opening = np.concatenate([upper, lower[::-1]])
        shade = scene.skin_shade * 0.45 + 0.55
        white = scene.canvas.spread(scene.paint(opening, (0.97, 0.96, 0.955), shade=shade))
        _draw_iris(scene, side, white)
        _draw_lids(scene, side, upper, lower, white)
        _draw_brow(scene, side)


def _lids(scene: Scene, side: int) -> tuple[FloatArray, FloatArray]:
    """Upper and lower lid from the inner to the outer corner, [15, 2] each."""
    person, age = scene.person, scene.ageing
    half_width = person.eye_width
    half_height = person.eye_opening * scene.expression.eye_open * (1 - 0.12 * age)
    across = np.linspace(-1, 1, 15)
    squint = 0.02 if scene.look.expression == "smiling" else 0.0
    tilt = -person.eye_tilt * across
    x = side * (person.eye_spacing + across * half_width)
    top = person.eye_height - (1 - np.abs(across) ** 2.3) * half_height * 1.05 + tilt
    bottom = (1 - np.abs(across) ** 2.0) * half_height * 0.78 - squint * (1 - across**2)
    upper = np.stack([x, top], 1)
    lower = np.stack([x, person.eye_height + bottom + tilt], 1)
    return upper.astype(np.float32), lower.astype(np.float32)


def _draw_iris(scene: Scene, side: int, white: FloatArray) -> None:
    person = scene.person
    radius = IRIS_RADIUS * person.iris
    at_x = side * person.eye_spacing + scene.look.gaze * 0.08
    at_y = person.eye_height - 0.004
    colour = np.array(person.eyes, np.float32)

    def disc(share: float, shift_x: float = 0.0, shift_y: float = 0.0) -> FloatArray:
        return ellipse((at_x + shift_x, at_y + shift_y), (share * radius, share * radius))

    scene.paint(disc(1.0), colour * 0.45, clip=white)
    scene.paint(disc(0.86), colour, blur=0.004, clip=white)
    scene.paint(disc(0.55, 0, 0.024), np.clip(colour * 1.5, 0, 1), 0.5, 0.012, clip=white)
    scene.paint(disc(0.46), (0.03, 0.03, 0.035), clip=white)
    glint = 0.024 if scene.light_x >= 0 else -0.024
    scene.paint(disc(0.24, glint, -0.03), (1, 1, 1), 0.95)


def _draw_lids(
    scene: Scene, side: int, upper: FloatArray, lower: FloatArray, white: FloatArray
) -> None:
    is_man = scene.person.gender == "man"
    shadow = np.concatenate([upper, (upper + float32([0, 0.05]))[::-1]])
    scene.paint(shadow, (0.15, 0.10, 0.10), 0.4, 0.012, clip=white)
    scene.brush(upper, 0.028 if is_man else 0.042, LASH_COLOUR, 0.95)
    scene.brush(lower, 0.014, scene.skin_shadow * 0.8, 0.5)
    if not is_man:
        for corner, length in ((13, 0.065), (12, 0.055), (11, 0.04)):
            root = upper[corner]
            tip = root + float32([side * length * 0.9, -length * 0.7])
            scene.brush(np.stack([root, tip]), 0.016, LASH_COLOUR, 0.9)
    crease = upper - float32([0, 0.04 + 0.035 * scene.person.lid_crease])
    scene.brush(crease, 0.018, scene.skin_shadow * 0.85, 0.65, 0.003)


def _draw_brow(scene: Scene, side: int) -> None:
    person, expression = scene.person, scene.expression
    along = np.linspace(-1, 1, 9)  # from the nose outwards
    y = (
        person.eye_height
        - person.brow_height
        - expression.brow_lift
        - (1 - along**2) * person.brow_arch
        + person.brow_tilt * along
        - expression.inner_brow * (0.5 - 0.5 * along)
        + 0.06 * (expression.inner_brow > 0) * (0.5 + 0.5 * along)
    )
    ends = np.clip(1.25 - np.abs(along) ** 6, 0.25, 1)
    thickness = person.brow_thickness * (1.15 - 0.55 * (along + 1) / 2) * ends
    x = side * (person.eye_spacing - 0.01 + along * person.eye_width * 1.12 * person.brow_length)
    upper = np.stack([x, y - thickness / 2], 1)
    lower = np.stack([x, y + thickness / 2], 1)
    scene.paint(np.concatenate([upper, lower[::-1]]).astype(np.float32), scene.brows, 0.9, 0.005)
