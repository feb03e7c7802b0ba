"""The head without hair: ears, skin with its light and age, nose and mouth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from world.geometry import FloatArray, curve, ellipse, flipped, float32, mirrored
from world.scene import Scene, enlarge

SIDES = (-1, 1)
# A soft spot on the face: centre x and y, width and height -> its strength on the shading grid.
Spot = Callable[[float, float, float, float], FloatArray]


def face_outline(scene: Scene) -> FloatArray:
    """The face's outline in head coordinates, chin lowered by an open mouth."""
    person, drop = scene.person, scene.expression.jaw_drop
    half = [
        [0.0, -1.08],
        [0.57 * person.temple_width, -0.98],
        [person.temple_width, -0.58],
        [person.cheek_width, 0.02],
        [person.jaw_width, 0.55 + drop * 0.5],
        [person.chin_width, 0.87 * person.chin + drop],
        [0.0, person.chin + drop],
    ]
    # The two middle points stand once, not twice.
    return curve(mirrored(half)[np.r_[0:7, 8:13]])


def draw_ears(scene: Scene) -> None:
    """Paint both ears, where the hair leaves them free."""
    person = scene.person
    if person.covers_ears:
        return
    cheek, size, height = person.cheek_width, person.ear_size, person.ear_height
    ear = np.array(
        [
            [cheek - 0.06, height - 0.16],
            [cheek + 0.07, height - size],
            [cheek + 0.14, height - size * 0.3],
            [cheek + 0.09, height + size * 0.6],
            [cheek, height + size],
            [cheek - 0.08, height + 0.1],
        ],
        np.float32,
    )
    middle = ear.mean(0)
    for side in SIDES:
        outer = curve(flipped(ear, side))
        inner = curve(flipped((ear - middle) * 0.55 + middle, side))
        scene.paint(outer, scene.skin * 0.95, lift=-0.05, shade=scene.skin_shade)
        scene.paint(inner, scene.skin_shadow, 0.35, 0.012, lift=-0.05)


def draw_skin(scene: Scene) -> FloatArray:
    """Paint the face's skin with its hollows, highlights and blush; its coverage [R, R]."""
    outline = face_outline(scene)
    forward = np.where(outline[:, 1] > 0, 0.06 * outline[:, 1], 0)
    inside = 1 - (outline[:, 0] / scene.frame.half_width) ** 2 - (outline[:, 1] / 1.08) ** 2
    depth = 0.72 * np.sqrt(np.clip(inside, 0, 1)) + forward
    patch = scene.paint(outline, scene.skin, depth=depth, shade=scene.skin_shade)
    coverage = scene.canvas.spread(patch)
    scene.canvas.multiply(enlarge(_relief(scene), scene.canvas.resolution), coverage)
    if scene.person.mole is not None:
        scene.paint(ellipse(scene.person.mole, (0.045, 0.045), 14), scene.skin_shadow * 0.45, 0.92)
    return coverage


def _relief(scene: Scene) -> FloatArray:
    """Colour factors [r, r, 3] of sockets, cheeks, nose and forehead on the shading grid."""
    person, light = scene.person, scene.light_x
    eyes, spacing = person.eye_height, person.eye_spacing
    drop = scene.expression.jaw_drop
    x = scene.grid_x - 0.43 * np.sin(scene.frame.yaw)
    y = scene.grid_y + 0.43 * np.sin(scene.frame.pitch)

    def spot(at_x: float, at_y: float, wide: float, high: float) -> FloatArray:
        bell = np.exp(-(((x - at_x) / wide) ** 2) - ((y - at_y) / high) ** 2)
        return np.asarray(bell, np.float32)

    dark_side = -1.0 if light >= 0 else 1.0
    hollow = (
        0.13 * (spot(-spacing, eyes - 0.02, 0.23, 0.13) + spot(spacing, eyes - 0.02, 0.23, 0.13))
        + 0.10 * spot(0, eyes + person.nose_length + 0.06, 0.10, 0.05)
        + 0.09 * spot(dark_side * 0.12, eyes + 0.22, 0.07, 0.20)
        + 0.12 * spot(0, 0.98 * person.chin + drop, 0.5, 0.10)
        + 0.10
        * (spot(-0.62, 0.55, 0.16, 0.35) + spot(0.62, 0.55, 0.16, 0.35))
        * (1.2 - person.blush)
        + scene.ageing * _sunken(spot, eyes, spacing)
    )
    light_spots = (
        0.10 * spot(light * 0.1, eyes + 0.2, 0.045, 0.18)
        + 0.07 * spot(light * 0.25, -0.55, 0.35, 0.16)
        + 0.06 * (spot(-0.36, 0.26, 0.13, 0.09) + spot(0.36, 0.26, 0.13, 0.09))
        + 0.07 * spot(light * 0.1, eyes + person.nose_length, 0.06, 0.05)
    )
    strength = 0.16 * person.blush * (0.55 if person.gender == "man" else 1.0)
    strength *= 1 - 0.6 * scene.ageing
    rosy = strength * (spot(-0.42, 0.36, 0.22, 0.17) + spot(0.42, 0.36, 0.22, 0.17))
    return np.stack(
        [
            1 - hollow * 0.75 + light_spots,
            1 - hollow - rosy * 0.75 + light_spots,
            1 - hollow - rosy * 0.6 + light_spots * 0.95,
        ],
        -1,
    ).astype(np.float32)


def _sunken(spot: Spot, eyes: float, spacing: float) -> FloatArray:
    """What age hollows out, whatever the light: cheeks, bags under the eyes, temples."""
    shadow = np.zeros((), np.float32)
    for side in SIDES:
        shadow = shadow + 0.22 * spot(side * 0.47, 0.40, 0.13, 0.24)
        shadow = shadow + 0.24 * spot(side * spacing, eyes + 0.185, 0.15, 0.055)
        shadow = shadow + 0.16 * spot(side * 0.60, -0.40, 0.14, 0.22)
    return shadow


def draw_wrinkles(scene: Scene) -> None:
    """Paint the lines of age, and the folds of a smile."""
    person, age = scene.person, scene.ageing
    line = scene.skin_shadow * 0.8
    eyes, nose_end = person.eye_height, person.eye_height + person.nose_length
    mouth_y, mouth_half = mouth_centre(scene), mouth_half_width(scene)
    folds = max(age * 0.9, 0.25 if scene.look.expression == "smiling" else 0.0)
    for side in SIDES:
        fold = [
            [person.nose_width + 0.03, nose_end - 0.03],
            [person.nose_width + 0.12, nose_end + 0.1],
            [mouth_half + 0.07, mouth_y + 0.04],
        ]
        scene.brush(flipped(fold, side), 0.045, line, folds * 0.85, 0.006)
    if age < 0.06:
        return
    # Lines come one by one: first across the forehead, then under the eyes and at their corners.
    for index in range(3):
        strength = float(np.clip(age * 2.2 - 0.5 * index, 0, 1)) * 0.75
        y = -0.48 - 0.105 * index + eyes * 0.3
        forehead = [[-0.32, y + 0.02], [-0.1, y - 0.012], [0.1, y + 0.006], [0.33, y + 0.02]]
        scene.brush(forehead, 0.033, line, strength, 0.004)
    for side in SIDES:
        at = person.eye_spacing
        bag = [[at - 0.13, eyes + 0.16], [at, eyes + 0.20], [at + 0.14, eyes + 0.15]]
        scene.brush(flipped(bag, side), 0.036, line, 0.75 * age, 0.006)
        for slope in (-0.06, 0.015, 0.07):
            foot = [[at + 0.22, eyes + slope * 0.6], [at + 0.33, eyes + slope * 1.7]]
            scene.brush(flipped(foot, side), 0.024, line, 0.75 * max(0.0, age * 1.3 - 0.3))
        jowl = [[0.27, 0.78 * person.chin], [0.36, 0.70], [0.40, 0.58]]
        scene.brush(flipped(jowl, side), 0.033, line, 0.7 * max(0.0, age * 2 - 1), 0.006)


def draw_nose(scene: Scene) -> None:
    """Paint bridge, wings and nostrils."""
    person, dark = scene.person, scene.skin_shadow
    eyes, wide = person.eye_height, person.nose_width
    end = eyes + person.nose_length
    for side in SIDES:
        bridge = [
            [0.055, eyes + 0.02],
            [0.05 * person.nose_bridge, eyes + 0.16],
            [wide * 0.55, end - 0.07],
        ]
        in_shadow = side * scene.light_x < 0
        scene.brush(
            flipped(bridge, side), 0.035, dark, 0.30 if in_shadow else 0.14, 0.014, lift=0.06
        )
        wing = [[wide * 0.86, end - 0.10], [wide * 1.08, end - 0.02], [wide * 0.80, end + 0.035]]
        scene.brush(flipped(wing, side), 0.028, dark, 0.65, 0.006, lift=0.05)
        nostril = [
            [wide * 0.25, end + 0.025],
            [wide * 0.5, end - 0.005 + person.nose_tip * 0.3],
            [wide * 0.74, end + 0.022],
            [wide * 0.5, end + 0.04],
        ]
        scene.paint(curve(flipped(nostril, side)), dark * 0.42, 0.85, 0.003, lift=0.08)
    tip = person.nose_tip
    base = [
        [-wide * 0.7, end + 0.035],
        [-wide * 0.3, end + 0.045 + tip],
        [0, end + 0.055 + tip],
        [wide * 0.3, end + 0.045 + tip],
        [wide * 0.7, end + 0.035],
    ]
    scene.brush(base, 0.024, dark, 0.55, 0.006, lift=0.07)


def mouth_centre(scene: Scene) -> float:
    """Height of the mouth's middle."""
    person = scene.person
    drop = scene.expression.jaw_drop * 0.5
    return person.eye_height + person.nose_length + person.mouth_drop + drop


def mouth_half_width(scene: Scene) -> float:
    """Half the mouth's width: a smile widens it, surprise narrows it."""
    narrowing = 0.28 if scene.look.expression == "surprised" else 0.0
    return scene.person.mouth_width * (1 + 0.22 * max(scene.expression.smile, 0) - narrowing)


def mouth_corner_height(scene: Scene) -> float:
    """Height of the mouth's corners."""
    smile = scene.expression.smile
    return mouth_centre(scene) - 0.075 * smile + 0.035 * max(smile, 0)


def draw_mouth(scene: Scene) -> None:
    """Paint lips, teeth or the round mouth of surprise."""
    person = scene.person
    skin = scene.skin
    if person.gender == "man":
        lips = skin * float32([0.86, 0.62, 0.58])
    else:
        red = 0.35 * person.lip_redness
        lips = skin * float32([0.90, 0.58, 0.56]) * (1 - red) + float32([0.76, 0.22, 0.28]) * red
    if scene.look.expression == "surprised":
        _open_mouth(scene, lips)
    else:
        _closed_or_smiling(scene, lips)


def _open_mouth(scene: Scene, lips: FloatArray) -> None:
    opening, lip = scene.expression.mouth_open, scene.person.lip_thickness
    centre, half = mouth_centre(scene) + 0.02, mouth_half_width(scene)
    outer = ellipse((0, centre), (half * 0.88, opening + lip * 0.75), 32)
    inner = ellipse((0, centre), (half * 0.62, opening * 0.86), 32)
    tongue, teeth = inner.copy(), inner.copy()
    tongue[:, 1] = np.maximum(tongue[:, 1], centre + 0.04)
    teeth[:, 1] = np.minimum(teeth[:, 1], centre - opening * 0.52)
    scene.paint(outer, lips, shade=scene.skin_shade)
    scene.paint(inner, (0.24, 0.08, 0.09))
    scene.paint(tongue, (0.66, 0.30, 0.30), 0.75, 0.008)
    scene.paint(teeth, (0.96, 0.95, 0.92), 0.95)


def _closed_or_smiling(scene: Scene, lips: FloatArray) -> None:
    person, smile = scene.person, scene.expression.smile
    opening, lip = scene.expression.mouth_open, person.lip_thickness * (1 - 0.25 * scene.ageing)
    centre, half = mouth_centre(scene), mouth_half_width(scene)
    across = np.linspace(-1, 1, 17)
    middle = centre - 0.075 * smile * np.abs(across) ** 1.6 + 0.035 * max(smile, 0)
    line = np.stack([across * half, middle], 1).astype(np.float32)
    profile = np.clip(1 - np.abs(across) ** 2.2, 0, 1)
    bow = (1 - np.abs(across) ** 1.5) - 0.28 * np.exp(-((across / 0.16) ** 2))

    def shifted(by: NDArray[np.floating]) -> FloatArray:
        return float32(line + np.stack([np.zeros_like(by), by], 1))

    upper_outer = shifted(-(lip * person.upper_lip * 0.85 * bow + opening * 0.45 * profile))
    upper_inner = shifted(-opening * 0.35 * profile)
    lower_inner = shifted(opening * 0.75 * profile)
    lower_outer = shifted(opening * 0.75 * profile + lip * 1.05 * profile**0.8)
    scene.paint(np.concatenate([upper_outer, lower_outer[::-1]]), lips, shade=scene.skin_shade)
    if opening > 0:
        scene.paint(np.concatenate([upper_inner, lower_inner[::-1]]), (0.32, 0.11, 0.12))
        bite = shifted(opening * 0.6 * profile)
        teeth = np.concatenate([upper_inner, bite[::-1]]) * float32([0.94, 1])
        scene.paint(teeth, (0.98, 0.97, 0.94))
    else:
        scene.brush(line, 0.024, lips * float32([0.5, 0.4, 0.4]), 0.9)
    glow = lower_outer[5:12] - float32([0, lip * 0.5])
    scene.brush(glow, 0.024, (1, 0.95, 0.93), 0.14 if person.gender == "man" else 0.28, 0.008)
    chin_y = centre + lip + opening * 0.7
    dip = [[-half * 0.45, chin_y + 0.055], [0, chin_y + 0.07], [half * 0.45, chin_y + 0.055]]
    scene.brush(dip, 0.04, scene.skin_shadow, 0.35, 0.015)
