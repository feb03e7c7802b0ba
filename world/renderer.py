"""The renderer: a person and a look in, a portrait with its exact truth out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from world.accessories import draw_earrings, draw_glasses, draw_hat
from world.background import draw_background
from world.body import draw_body
from world.eyes import draw_eyes
from world.face import (
    draw_ears,
    draw_mouth,
    draw_nose,
    draw_skin,
    draw_wrinkles,
    face_outline,
    mouth_centre,
    mouth_corner_height,
    mouth_half_width,
)
from world.geometry import FloatArray, float32
from world.hair import draw_back_hair, draw_beard, draw_front_hair
from world.look import Look, check_look
from world.person import Person
from world.scene import Scene, compose_scene

SMALLEST_SIDE, LARGEST_SIDE = 32, 1024
# Shapes are drawn at this many times the side, then averaged down.
SUPERSAMPLING = 2


@dataclass(frozen=True)
class Portrait:
    """A drawn picture and the truth about it.

    image: uint8 [side, side, 3] RGB. landmarks: float32 [5, 2] pixels, ArcFace's order (the
    image's left eye, right eye, nose tip, left and right mouth corner). box: float32 [4], x0,
    y0, x1, y1 of the face. face_mask: uint8 [side, side], 255 on the face's skin.
    """

    image: NDArray[np.uint8]
    landmarks: FloatArray
    box: FloatArray
    face_mask: NDArray[np.uint8]


def render(person: Person, look: Look, size: int = 256) -> Portrait:
    """Draw a person in a look: the same picture for the same input, wherever it is drawn.

    size: side in pixels, 32 to 1024. Raises ValueError for a size or look out of range.
    """
    if not SMALLEST_SIDE <= size <= LARGEST_SIDE:
        raise ValueError(f"size {size}: a portrait is {SMALLEST_SIDE} to {LARGEST_SIDE} pixels")
    check_look(look)
    scene = compose_scene(draw_background(look.background, size * SUPERSAMPLING), person, look)
    draw_back_hair(scene)
    draw_body(scene)
    draw_ears(scene)
    face = draw_skin(scene)
    draw_wrinkles(scene)
    if look.beard:
        draw_beard(scene, mouth_centre(scene), mouth_half_width(scene))
    draw_mouth(scene)
    draw_nose(scene)
    draw_eyes(scene)
    draw_front_hair(scene, face)
    if look.glasses:
        draw_glasses(scene)
    if look.earrings:
        draw_earrings(scene)
    if look.hat:
        draw_hat(scene, face)
    return Portrait(
        image=_to_bytes(scene.canvas.image, size),
        landmarks=float32(_landmarks(scene) / SUPERSAMPLING),
        box=float32(_box(scene) / SUPERSAMPLING),
        face_mask=_to_bytes(face, size),
    )


def _to_bytes(image: FloatArray, size: int) -> NDArray[np.uint8]:
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small, 0, 1) * 255 + 0.5, np.uint8)


def _landmarks(scene: Scene) -> FloatArray:
    person = scene.person
    eyes = [[-person.eye_spacing, person.eye_height], [person.eye_spacing, person.eye_height]]
    nose = [[0.0, person.eye_height + person.nose_length]]
    half, corner = mouth_half_width(scene), mouth_corner_height(scene)
    project = scene.frame.project
    parts = [project(eyes), project(nose, lift=0.1), project([[-half, corner], [half, corner]])]
    return np.concatenate(parts).astype(np.float32)


def _box(scene: Scene) -> FloatArray:
    outline = scene.frame.project(face_outline(scene), np.zeros(1, np.float32))
    return np.concatenate([outline.min(0), outline.max(0)]).astype(np.float32)
