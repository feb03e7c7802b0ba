"""Pictures a detector has to meet, composed from rendered portraits: one face that fills the
frame, one among empty space, two to four side by side, none at all; letterboxed exactly as
InsightFace does it.

Landmarks are continuous coordinates (a pixel spans [i, i + 1]), so resizing scales them and adds
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .data import Pictures

MOST_FACES = 4
SMALLEST_FACE = (
    9.0  # pixels of the detector's input; smaller ones are neither asked for nor punished
)


@dataclass(frozen=True)
class Scene:
    """image uint8 [height, width, 3] RGB; landmarks float32 [n, 5, 2]; boxes float32 [n, 4] as x0,
    y0, x1, y1.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    boxes: NDArray[np.float32]


@dataclass(frozen=True)
class SceneMix:
    """How often each kind of picture comes; the rest of the probability goes to groups."""

    portrait: float = 0.40
    moved_portrait: float = 0.22
    empty: float = 0.04


def letterbox(scene: Scene, size: int) -> Scene:
    """Fit a scene into a square of `size` pixels, top left, black elsewhere.

    What `SCRFD.detect` does, but for the truth: InsightFace rounds the shorter side to whole pixels
    and forgets it, here landmarks follow the pixels. On square pictures both agree exactly.
    """
    height, width = scene.image.shape[:2]
    scale = size / max(height, width)
    new_width, new_height = max(1, int(width * scale)), max(1, int(height * scale))
    square = np.zeros((size, size, 3), np.uint8)
    square[:new_height, :new_width] = cv2.resize(scene.image, (new_width, new_height))
    ratio = np.array([new_width / width, new_height / height], np.float32)
    return Scene(square, scene.landmarks * ratio, scene.boxes * np.tile(ratio, 2))


def squared(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture with black added to its right or below it until it is square."""
    height, width = image.shape[:2]
    side = max(height, width)
    return np.pad(image, ((0, side - height), (0, side - width), (0, 0)))


class SceneComposer:
    """Draws random scenes from rendered portraits. backgrounds: uint8 pictures of any size without
    people.
    """

    def __init__(
        self,
        pictures: Pictures,
        backgrounds: Sequence[NDArray[np.uint8]],
        mix: SceneMix | None = None,
    ) -> None:
        self.pictures = pictures
        self.backgrounds = backgrounds
        self.mix = mix or SceneMix()

    def sample(self, rng: np.random.Generator) -> Scene:
        """A scene of a random kind, undamaged."""
        mix, draw = self.mix, rng.random()
        if draw < mix.portrait:
            scene = self.portrait(rng)
        elif draw < mix.portrait + mix.moved_portrait:
            scene = self.moved_portrait(rng)
        elif draw < mix.portrait + mix.moved_portrait + mix.empty:
            scene = self.empty(rng)
        else:
            scene = self.group(rng, int(rng.integers(1, MOST_FACES + 1)))
        return scene

    def portrait(self, rng: np.random.Generator) -> Scene:
        """A portrait as it was rendered: the face fills the frame."""
        return self._picture(int(self.pictures.sample(rng, 1)[0]))

    def moved_portrait(self, rng: np.random.Generator) -> Scene:
        """A portrait scaled, turned a little and shifted; its edges repeat into the space that
        opens.
        """
        scene = self.portrait(rng)
        size = scene.image.shape[0]
        scale, angle = rng.uniform(0.55, 1.35), rng.uniform(-0.12, 0.12)
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        middle = np.full(2, size / 2)
        room = size * (0.06 + 0.5 * max(0.0, 1.0 - scale))
        offset = middle - turn @ middle + rng.uniform(-room, room, 2)
        border = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT
        # warpAffine counts from pixel centres, our coordinates from pixel edges
        matrix = np.concatenate([turn, (offset + turn @ np.full(2, 0.5) - 0.5)[:, None]], axis=1)
        image = cv2.warpAffine(scene.image, matrix, (size, size), borderMode=border)
        landmarks = scene.landmarks @ turn.T + offset
        low, high = scene.boxes[0, :2], scene.boxes[0, 2:]
        centre, half = (low + high) / 2 @ turn.T + offset, (high - low) / 2 * scale
        boxes = np.concatenate([centre - half, centre + half])[None]
        return Scene(np.asarray(image), landmarks.astype(np.float32), boxes.astype(np.float32))

    def empty(self, rng: np.random.Generator) -> Scene:
        """No face: a background, sometimes with the shoulders of somebody cut off above."""
        image = self._background(rng, *rng.integers(96, 320, 2))
        if rng.random() < 0.5:
            portrait = self.portrait(rng)
            chin = int(min(portrait.image.shape[0] - 8, portrait.boxes[0, 3] + 4))
            body = portrait.image[chin:]
            height = min(body.shape[0], image.shape[0])
            width = min(body.shape[1], image.shape[1])
            image[-height:, :width] = body[:height, :width]
        return Scene(image, np.zeros((0, 5, 2), np.float32), np.zeros((0, 4), np.float32))

    def group(self, rng: np.random.Generator, count: int) -> Scene:
        """One to four portraits, each somewhere in its own part of the picture."""
        width = int(160 * 4 ** rng.random())
        height = int(width * rng.uniform(0.5, 1.3))
        image = self._background(rng, width, height)
        grid = count == 4 and rng.random() < 0.4
        columns, rows = (2, 2) if grid else (count, 1)
        landmarks, boxes = [], []
        for place in range(count):
            cell = np.array([width / columns, height / rows])
            corner = cell * [place % columns, place // columns]
            side = int(min(cell) * (rng.uniform(0.55, 1.0) if count > 1 else rng.uniform(0.3, 1.0)))
            scene = self.portrait(rng)
            x, y = (corner + rng.random(2) * (cell - side)).astype(int)
            image[y : y + side, x : x + side] = _resize(scene.image, side)
            scale = np.float32(side / scene.image.shape[0])
            landmarks.append(scene.landmarks[0] * scale + np.array([x, y], np.float32))
            boxes.append(scene.boxes[0] * scale + np.array([x, y, x, y], np.float32))
        return Scene(image, np.array(landmarks, np.float32), np.array(boxes, np.float32))

    def _picture(self, index: int) -> Scene:
        pictures = self.pictures
        return Scene(
            np.asarray(pictures.images[index]),
            np.asarray(pictures.landmarks[index], np.float32)[None],
            np.asarray(pictures.boxes[index], np.float32)[None],
        )

    def _background(self, rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
        """Scenery, one colour or black, uint8 [height, width, 3], free to be painted on."""
        draw = rng.random()
        if draw < 0.75:
            picture = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
            return np.asarray(cv2.resize(picture, (int(width), int(height)))).copy()
        colour = rng.integers(0, 256, 3) if draw < 0.92 else np.zeros(3)
        return np.broadcast_to(colour.astype(np.uint8), (int(height), int(width), 3)).copy()


def _resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    shrinks = side < image.shape[0]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=kind))


def empty_backgrounds(count: int = 48, size: int = 160) -> list[NDArray[np.uint8]]:
    """Backgrounds of the drawn world without people: uint8 [size, size, 3], always the same."""
    from world import render_group

    rng = np.random.default_rng(0)
    return [render_group([], [], (size, size), rng).image for _ in range(count)]
