"""Hair: what falls behind the head and what frames the face, one outline per style."""

from __future__ import annotations

import numpy as np

from world.geometry import FloatArray, curve, ellipse, flipped, float32, mirrored
from world.scene import Scene

SIDES = (-1, 1)
Points = list[list[float]]


def draw_back_hair(scene: Scene) -> None:
    """Paint the hair behind head and shoulders."""
    person = scene.person
    style, volume = person.hairstyle, person.hair_volume
    colour = scene.hair * 0.82
    if style in ("long", "long curly", "fringe"):
        length = 1.15 if style == "fringe" else 1.55
        wide = 1.02 * volume * (1.12 if style == "long curly" else 1.0)
        half = [
            [0.0, -1.24 * volume],
            [0.5 * volume, -1.16 * volume],
            [0.84 * volume, -0.75],
            [0.92 * wide, -0.1],
            [0.98 * wide, 0.6],
            [0.95 * wide, length],
            [0.5, length + 0.1],
        ]
        outline = curve(mirrored(half))
        if style == "long curly":
            waves = np.sin(np.linspace(0, 2 * np.pi * 16, len(outline)))
            outline = outline * (1 + 0.035 * waves)[:, None].astype(np.float32)
        scene.paint(outline, colour, depth=-0.25, shade=scene.hair_shade)
    elif style == "bob":
        half = [
            [0.0, -1.22 * volume],
            [0.5 * volume, -1.14 * volume],
            [0.84 * volume, -0.75],
            [0.95 * volume, -0.1],
            [0.98 * volume, 0.5],
            [0.82 * volume, 0.72],
            [0.4, 0.7],
        ]
        scene.paint(curve(mirrored(half)), colour, depth=-0.2, shade=scene.hair_shade)
    elif style == "bun":
        bun = ellipse((person.parting * 0.3, -1.26), (0.36, 0.31), 40)
        scene.paint(bun, scene.hair * 0.9, depth=-0.2, shade=scene.hair_shade)


def draw_front_hair(scene: Scene, face: FloatArray) -> None:
    """Paint the hair on the head. `face` [R, R] is the skin's coverage, for the hair's shadow."""
    person = scene.person
    if person.is_bald:
        _draw_fringe_of_bald_head(scene)
        return
    height, volume = person.hairline, person.hair_volume
    swell, side_y, inner = _front_shape(scene, height, volume)
    _draw_cap(scene, face, swell, side_y, inner)


def _front_shape(scene: Scene, top: float, volume: float) -> tuple[float, float, Points]:
    """How far the hair swells, how low its sides reach, and the edge that frames the face."""
    person = scene.person
    temple, cheek, part = person.temple_width, person.cheek_width, person.parting

    def plain(side_y: float) -> Points:
        return [
            [cheek - 0.07, side_y + 0.02],
            [temple - 0.05, -0.40],
            [0.48, top - 0.05],
            [part + 0.1, top - 0.14],
            [-0.3, top - 0.10],
            [-0.5, top - 0.03],
            [-temple + 0.05, -0.40],
            [-cheek + 0.07, side_y + 0.02],
        ]

    match person.hairstyle:
        case "short":
            return volume, -0.02, plain(-0.02)
        case "buzz":
            return 0.93, -0.12, plain(-0.12)
        case "curly":
            return 1.14 * volume, -0.05, plain(-0.05)
        case "bun":
            return 0.98 * volume, -0.08, plain(-0.08)
        case "side part":
            return (
                1.04 * volume,
                0.0,
                [
                    [cheek - 0.08, 0.02],
                    [temple - 0.04, -0.40],
                    [0.45, top + 0.02],
                    [part + 0.22, top - 0.22],
                    [part - 0.05, top - 0.26],
                    [-0.35, top + 0.02],
                    [-temple + 0.03, -0.36],
                    [-cheek + 0.08, 0.02],
                ],
            )
        case "quiff":
            return (
                1.10 * volume,
                -0.02,
                [
                    [cheek - 0.06, 0.0],
                    [temple - 0.06, -0.42],
                    [0.42, top - 0.12],
                    [0.2, top - 0.03],
                    [0.0, top - 0.12],
                    [-0.25, top - 0.16],
                    [-temple + 0.05, -0.42],
                    [-cheek + 0.06, 0.0],
                ],
            )
        case "pixie":
            return (
                1.02 * volume,
                0.02,
                [
                    [cheek - 0.10, 0.05],
                    [temple - 0.10, -0.25],
                    [0.42, top + 0.12],
                    [0.1, top + 0.16],
                    [-0.15, top + 0.05],
                    [part - 0.3, top - 0.12],
                    [-temple + 0.04, -0.3],
                    [-cheek + 0.10, 0.05],
                ],
            )
        case "bob":
            return (
                1.04 * volume,
                0.58,
                [
                    [cheek, 0.55],
                    [cheek - 0.1, 0.1],
                    [temple - 0.06, -0.25],
                    [0.44, top + 0.10],
                    [part + 0.1, top - 0.26],
                    [-0.42, top + 0.10],
                    [-temple + 0.06, -0.25],
                    [-cheek + 0.1, 0.1],
                    [-cheek, 0.55],
                ],
            )
        case "fringe":
            return (
                1.04 * volume,
                0.68,
                [
                    [cheek + 0.02, 0.65],
                    [cheek - 0.10, 0.1],
                    [temple - 0.08, -0.22],
                    [0.40, top + 0.28],
                    [0.15, top + 0.26],
                    [-0.12, top + 0.28],
                    [-0.40, top + 0.28],
                    [-temple + 0.08, -0.22],
                    [-cheek + 0.10, 0.1],
                    [-cheek - 0.02, 0.65],
                ],
            )
        case _:  # long, straight or curly
            return (
                1.03 * volume,
                0.8,
                [
                    [cheek + 0.03, 0.75],
                    [cheek - 0.05, 0.2],
                    [temple - 0.02, -0.28],
                    [0.46, top + 0.04],
                    [part + 0.05, top - 0.28],
                    [-0.42, top + 0.04],
                    [-temple + 0.02, -0.28],
                    [-cheek + 0.05, 0.2],
                    [-cheek - 0.03, 0.75],
                ],
            )


def _draw_cap(scene: Scene, face: FloatArray, volume: float, side_y: float, inner: Points) -> None:
    cheek = scene.person.cheek_width
    outer = [
        [-(cheek + 0.03), side_y],
        [-(cheek + 0.07) * volume, -0.45],
        [-0.70 * volume, -0.92 * volume],
        [-0.36 * volume, -1.17 * volume],
        [0.0, -1.25 * volume],
        [0.36 * volume, -1.17 * volume],
        [0.70 * volume, -0.92 * volume],
        [(cheek + 0.07) * volume, -0.45],
        [cheek + 0.03, side_y],
    ]
    outer_line, inner_line = curve(outer, 6, closed=False), curve(inner, 6, closed=False)
    if scene.person.hairstyle in ("curly", "long curly"):
        waves = np.sin(np.linspace(0, 2 * np.pi * 9, len(outer_line)))
        outer_line = outer_line * (1 + 0.03 * waves)[:, None].astype(np.float32)
    shape = np.concatenate([outer_line, inner_line])
    depth = np.where(shape[:, 1] < -0.9, 0.05, 0.18)
    fallen = np.concatenate([curve(outer, 6, closed=False), inner_line]) + float32([0, 0.03])
    scene.paint(fallen, scene.skin_shadow, 0.35, 0.02, depth=depth, clip=face)
    scene.paint(shape, scene.hair, depth=depth, shade=scene.hair_shade)


def _draw_fringe_of_bald_head(scene: Scene) -> None:
    person = scene.person
    cheek, temple = person.cheek_width, person.temple_width
    shine = [[0.35, -0.95], [0.0, -1.03], [-0.2, -0.98], [0.0, -0.9]]
    scene.paint(curve(shine), (1, 1, 1), 0.14, 0.05)
    patch = [
        [cheek + 0.03, 0.0],
        [cheek + 0.05, -0.32],
        [temple, -0.50],
        [temple - 0.07, -0.34],
        [cheek - 0.04, -0.05],
    ]
    for side in SIDES:
        outline = curve(flipped(patch, side))
        scene.paint(outline, scene.hair, 0.55, 0.02, lift=0.05, shade=scene.hair_shade)


def draw_beard(scene: Scene, mouth_y: float, mouth_half: float) -> None:
    """Paint a full beard with moustache, in the hair's colour."""
    person, drop = scene.person, scene.expression.jaw_drop
    colour = scene.hair * 0.88
    outer = np.array(
        [
            [person.cheek_width * 0.99, 0.08],
            [person.jaw_width + 0.01, 0.55],
            [person.chin_width * 1.04, 0.88 * person.chin + drop],
            [0.0, person.chin + 0.07 + drop],
        ],
        np.float32,
    )
    inner = np.array(
        [
            [0.0, mouth_y + 0.02],
            [mouth_half * 0.9, mouth_y - 0.1],
            [mouth_half + 0.17, mouth_y - 0.14],
            [person.jaw_width * 0.78, 0.3],
            [person.cheek_width * 0.90, 0.08],
        ],
        np.float32,
    )
    mirror = float32([-1, 1])
    outline = np.concatenate(
        [outer, (outer[:-1] * mirror)[::-1], (inner * mirror)[::-1], inner[1:]]
    )
    scene.paint(curve(outline, 5), colour, 0.94, 0.012, shade=scene.hair_shade)
    moustache = [
        [-mouth_half - 0.08, mouth_y],
        [-mouth_half * 0.5, mouth_y - 0.095],
        [0.0, mouth_y - 0.075],
        [mouth_half * 0.5, mouth_y - 0.095],
        [mouth_half + 0.08, mouth_y],
    ]
    scene.brush(moustache, 0.09, colour, 0.94, 0.008)
