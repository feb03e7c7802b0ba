"""Shoulders, neck and clothing."""

from __future__ import annotations

import numpy as np

from world.geometry import curve, mirrored
from world.look import CLOTHING
from world.scene import Scene


def draw_body(scene: Scene) -> None:
    """Paint the shirt, the neck with the head's shadow on it, and the collar."""
    canvas, place = scene.canvas, scene.body
    is_man = scene.person.gender == "man"
    cloth = np.array(CLOTHING[scene.look.clothing], np.float32)
    neck, shoulder = (0.40, 1.50) if is_man else (0.32, 1.28)
    shirt = [
        [neck * 1.25, 1.24],
        [shoulder * 0.72, 1.36],
        [shoulder, 1.62],
        [shoulder * 1.15, 2.6],
    ]
    shade = scene.cloth_shade
    canvas.fill(place(curve(mirrored(shirt))), cloth, shade=shade)
    canvas.fill(place(mirrored([[neck * 1.3, 1.3], [shoulder * 1.1, 2.7]])), cloth, shade=shade)
    throat = [[neck, 0.4], [neck * 0.98, 1.05], [neck * 1.35, 1.42], [0.1, 1.75]]
    skin = canvas.fill(place(curve(mirrored(throat))), scene.skin * 0.94, shade=shade)
    under_chin = [[neck * 1.02, 0.9], [neck, 1.12], [0.15, 1.26]]
    canvas.fill(
        place(curve(mirrored(under_chin))),
        scene.skin_shadow,
        opacity=0.5,
        blur=0.05,
        clip=canvas.spread(skin),
    )
    neckline = curve(
        [
            [-neck * 1.42, 1.28],
            [-neck * 0.8, 1.55],
            [0, 1.68],
            [neck * 0.8, 1.55],
            [neck * 1.42, 1.28],
        ],
        closed=False,
    )
    front = np.concatenate([neckline, np.array([[1.2, 2.7], [-1.2, 2.7]], np.float32)])
    canvas.fill(place(front), cloth, shade=shade)
    collar = np.concatenate([neckline, (neckline + np.array([0, 0.07], np.float32))[::-1]])
    canvas.fill(place(collar), cloth * 0.78, opacity=0.8, shade=shade)
