"""What all parts of a portrait share while it is drawn: frame, colours, light and expression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from world.canvas import Canvas, Patch
from world.geometry import FloatArray, Frame, float32, stroke
from world.look import Look
from world.person import HAIR_COLOURS, Person

GREY = np.array([0.76, 0.76, 0.78], np.float32)
HEAD_SHARE_OF_SIDE = 0.355
SHADE_REDUCTION = 4


@dataclass(frozen=True)
class Expression:
    """How the face moves: mouth curve, mouth opening, brows and lids, in head units."""

    smile: float
    mouth_open: float
    brow_lift: float
    inner_brow: float
    eye_open: float
    jaw_drop: float


EXPRESSION_SHAPES = {
    "neutral": Expression(0.10, 0.0, 0.0, 0.0, 1.0, 0.0),
    "smiling": Expression(1.0, 0.085, 0.02, 0.0, 0.86, 0.0),
    "surprised": Expression(0.0, 0.15, 0.11, 0.0, 1.30, 0.07),
    "sad": Expression(-1.15, 0.0, 0.0, 0.13, 0.80, 0.0),
}


@dataclass(frozen=True)
class Scene:
    """A portrait in the making.

    ageing and greying run from 0 to 1; shades are float32 [R, R] factors; x, y are head
    coordinates of every pixel of the reduced shading grid.
    """

    canvas: Canvas
    frame: Frame
    person: Person
    look: Look
    expression: Expression
    ageing: float
    skin: FloatArray
    skin_shadow: FloatArray
    hair: FloatArray
    brows: FloatArray
    skin_shade: FloatArray
    hair_shade: FloatArray
    cloth_shade: FloatArray
    grid_x: FloatArray
    grid_y: FloatArray
    light_x: float

    def paint(
        self,
        points: FloatArray,
        colour: ArrayLike,
        opacity: float = 1.0,
        blur: float = 0.0,
        depth: ArrayLike | None = None,
        lift: float = 0.0,
        clip: FloatArray | None = None,
        shade: FloatArray | None = None,
    ) -> Patch | None:
        """Fill a polygon given in head coordinates."""
        pixels = self.frame.project(points, depth, lift)
        return self.canvas.fill(pixels, np.asarray(colour, np.float32), opacity, blur, clip, shade)

    def brush(
        self,
        points: ArrayLike,
        width: float,
        colour: ArrayLike,
        opacity: float = 1.0,
        blur: float = 0.0,
        depth: float | None = None,
        lift: float = 0.0,
        clip: FloatArray | None = None,
        tapered: bool = True,
    ) -> None:
        """Paint a stroke along points given in head coordinates."""
        self.paint(stroke(points, width, tapered), colour, opacity, blur, depth, lift, clip)

    def body(self, points: ArrayLike) -> FloatArray:
        """Body coordinates (the head's, but neither turned nor nodded) to pixels."""
        flat = np.asarray(points, np.float32).reshape(-1, 2)
        unit = self.frame.unit
        x = self.frame.centre_x - unit * 0.05 * math.sin(self.frame.yaw)
        y = self.frame.centre_y + unit * (self.person.eye_height * 0.8 - 0.20)
        return np.stack([x + unit * flat[:, 0], y + unit * flat[:, 1]], 1).astype(np.float32)


def compose_scene(canvas_image: FloatArray, person: Person, look: Look) -> Scene:
    """Place the head in the picture and work out colours and light."""
    side = canvas_image.shape[0]
    unit = side * HEAD_SHARE_OF_SIDE * look.scale
    centre_y = side * (0.515 + look.shift_y) - unit * person.eye_height * 0.8
    frame = Frame(
        centre_x=side * (0.5 + look.shift_x) - unit * 0.16 * math.sin(look.yaw),
        centre_y=centre_y,
        unit=unit,
        yaw=look.yaw,
        pitch=look.pitch,
        roll=look.roll,
        half_width=person.cheek_width * 1.02,
    )
    ageing = _ramp(look.age, 20, 74)
    greying = 0.0 if look.hair else _ramp(look.age, 38, 66) * 0.92
    natural = np.array(person.hair, np.float32)
    worn = np.array(HAIR_COLOURS[look.hair], np.float32) if look.hair else natural
    hair = worn * (1 - greying) + GREY * greying * (0.88 + 0.12 * float(natural.mean()))
    skin = np.array(person.skin, np.float32) * (1 - 0.04 * ageing)
    skin_shadow = skin * np.array([0.62, 0.50, 0.46], np.float32)

    steps = (np.mgrid[: side // SHADE_REDUCTION, : side // SHADE_REDUCTION] + 0.375).astype(
        np.float32
    ) * SHADE_REDUCTION
    x, y = (steps[1] - frame.centre_x) / unit, (steps[0] - frame.centre_y) / unit
    cos, sin = math.cos(look.roll), math.sin(look.roll)
    grid_x = x * cos + y * sin
    grid_y = -x * sin + y * cos
    light_x, light_y = look.light_side * 0.78, -0.35
    light_z = math.sqrt(max(0.1, 1 - light_x**2 - light_y**2))
    normal_x = (grid_x - 0.43 * math.sin(look.yaw)) / (frame.half_width * 1.05)
    normal_y = (grid_y + 0.43 * math.sin(look.pitch)) / 1.18
    normal_z = np.sqrt(np.clip(1 - normal_x**2 - normal_y**2, 0.02, 1))
    diffuse = normal_x * light_x + normal_y * light_y + normal_z * light_z
    gloss = np.exp(-(((grid_y + 0.88) / 0.13) ** 2) - ((grid_x - light_x * 0.25) / 0.5) ** 2)

    skin_shade = 0.58 + 0.49 * np.clip(diffuse, -0.1, 1)
    hair_shade = 0.72 + 0.42 * np.clip(diffuse, -0.2, 1) + 0.22 * gloss
    across_cloth = 0.6 + grid_x * light_x * 0.6 - 0.15 * grid_y
    return Scene(
        canvas=Canvas(canvas_image, unit),
        frame=frame,
        person=person,
        look=look,
        expression=EXPRESSION_SHAPES[look.expression],
        ageing=ageing,
        skin=skin,
        skin_shadow=skin_shadow,
        hair=hair,
        brows=float32((natural * (1 - 0.6 * greying) + GREY * 0.6 * greying) * 0.68),
        skin_shade=enlarge(skin_shade, side),
        hair_shade=enlarge(hair_shade, side),
        cloth_shade=enlarge(0.78 + 0.25 * np.clip(across_cloth, -0.2, 1.2), side),
        grid_x=grid_x,
        grid_y=grid_y,
        light_x=light_x,
    )


def enlarge(reduced: NDArray[np.floating], side: int) -> FloatArray:
    """A map of the reduced shading grid at full resolution [side, side, ...]."""
    large = cv2.resize(reduced.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32)


def _ramp(value: float, start: float, end: float) -> float:
    """Smooth step from 0 at `start` to 1 at `end`."""
    t = min(max((value - start) / (end - start), 0.0), 1.0)
    return t * t * (3 - 2 * t)
