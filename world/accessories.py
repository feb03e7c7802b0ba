"""What can be put on and taken off: glasses, hat, earrings."""

from __future__ import annotations

import numpy as np

from world.geometry import FloatArray, curve, ellipse, flipped, float32, superellipse
from world.scene import Scene, enlarge

SIDES = (-1, 1)
FRAME_COLOUR = (0.09, 0.09, 0.11)
GOLD = (0.94, 0.76, 0.28)
HAT_COLOUR = (0.22, 0.28, 0.47)
LENS_DEPTH = 0.66


def draw_glasses(scene: Scene) -> None:
    """Paint dark rounded glasses with a glint on each lens."""
    person = scene.person
    eyes, spacing = person.eye_height, person.eye_spacing
    half_frame = 0.020
    for side in SIDES:
        centre = (side * spacing, eyes + 0.02)

        def rim(grow: float, centre: tuple[float, float] = centre) -> FloatArray:
            outline = superellipse(centre, (0.245 + grow, 0.19 + grow), 0.6)
            return scene.frame.project(outline, LENS_DEPTH)

        scene.canvas.fill(rim(0), (0.92, 0.96, 1.0), opacity=0.10)
        scene.canvas.ring(rim(half_frame), rim(-half_frame), FRAME_COLOUR)
        glint = float32([[-0.14, -0.11], [-0.06, -0.14], [-0.14, 0.02], [-0.17, 0.0]])
        glint += float32([side * spacing, eyes])
        scene.paint(glint, (1, 1, 1), 0.22, 0.008, depth=LENS_DEPTH)
        near = flipped([[spacing + 0.23, eyes - 0.045], [spacing + 0.23, eyes]], side)
        far = flipped(
            [[person.cheek_width + 0.02, eyes - 0.05], [person.cheek_width + 0.02, eyes - 0.01]],
            side,
        )
        arm = np.concatenate(
            [scene.frame.project(near, LENS_DEPTH), scene.frame.project(far[::-1], 0.1)]
        )
        scene.canvas.fill(arm, FRAME_COLOUR)
    inner = spacing - 0.23
    bridge = [[-inner, eyes - 0.01], [0.0, eyes - 0.05], [inner, eyes - 0.01]]
    scene.brush(bridge, 0.038, FRAME_COLOUR, depth=0.70, tapered=False)


def draw_earrings(scene: Scene) -> None:
    """Paint a golden ball under each ear, in front of any hair."""
    person = scene.person
    hangs_at = person.ear_height + person.ear_size + 0.09
    for side in SIDES:
        ball = ellipse((side * (person.cheek_width + 0.055), hangs_at), (0.09, 0.09), 22)
        glint = ellipse((side * (person.cheek_width + 0.035), hangs_at - 0.025), (0.03, 0.03), 14)
        scene.paint(ball, GOLD, depth=0.12)
        scene.paint(glint, (1.0, 0.97, 0.82), 0.9, depth=0.12)


def draw_hat(scene: Scene, face: FloatArray) -> None:
    """Paint a knitted cap with a turned-up brim. `face` [R, R] takes its shadow."""
    wide = scene.person.cheek_width + 0.16
    colour = float32(HAT_COLOUR)
    shadow = curve([[-wide, -0.55], [0, -0.62], [wide, -0.55], [0.5, -0.42], [-0.5, -0.42]])
    scene.paint(shadow, scene.skin_shadow * 0.6, 0.5, 0.04, depth=0.35, clip=face)
    crown = float32(
        [
            [-wide * 0.98, -0.56, 0.12],
            [-wide * 0.97, -0.95, 0.05],
            [-0.55, -1.34, 0.05],
            [0.0, -1.46, 0.05],
            [0.55, -1.34, 0.05],
            [wide * 0.97, -0.95, 0.05],
            [wide * 0.98, -0.56, 0.12],
            [0.4, -0.66, 0.12],
            [-0.4, -0.66, 0.12],
        ]
    )
    brim = float32(
        [
            [-wide * 1.02, -0.56, 0.1],
            [-0.5, -0.62, 0.3],
            [0.0, -0.64, 0.36],
            [0.5, -0.62, 0.3],
            [wide * 1.02, -0.56, 0.1],
            [wide * 1.02, -0.79, 0.1],
            [0.5, -0.87, 0.3],
            [0.0, -0.89, 0.36],
            [-0.5, -0.87, 0.3],
            [-wide * 1.02, -0.79, 0.1],
        ]
    )
    side_light = np.clip(
        0.62 + 0.45 * scene.grid_x * scene.light_x - 0.25 * (scene.grid_y + 1), 0, 1
    )
    shade = enlarge(0.72 + 0.5 * side_light, scene.canvas.resolution)
    for outline, tint in ((crown, 1.0), (brim, 0.74)):
        line = curve(outline)
        scene.paint(line[:, :2], colour * tint, depth=line[:, 2], shade=shade)
