"""The detector: SCRFD's outputs (Guo et al. 2021, arXiv 2105.04714) from a small fully
convolutional network.

Strides 8, 16 and 32, two anchors a cell; a score, a box and five points each, in units of the
stride, counted from the cell's corner: what `insightface.model_zoo.scrfd.SCRFD` decodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .anchors import (
    ANCHOR_SIZES,
    ANCHORS,
    STRIDES,
    VALUES,
    assign,
    decode,
    detection_loss,
)
from .augmentation import Degradation, degrade, relight, to_network
from .data import Pictures
from .loop import Schedule
from .onnx import export
from .recogniser import Residual, convolution
from .scenes import (
    MOST_FACES,
    Scene,
    SceneComposer,
    SceneMix,
    empty_backgrounds,
    letterbox,
    squared,
)

INPUT_SIZE = 192  # pixels of a side; the manifest of the bundle gives it to InsightFace
# Distances and points of a typical face, in halves of its size, from its middle.
TYPICAL_FACE = (
    *(0.84, 1.19, 0.84, 1.19),
    *(-0.36, -0.02, 0.36, -0.02, 0.0, 0.42, -0.27, 0.67, 0.27, 0.67),
)


class _Head(nn.Module):
    """One stride's outputs: [batch, anchors, values, height, width], in units of the stride."""

    def __init__(self, channels: int, width: int, sizes: tuple[float, float], stride: int) -> None:
        super().__init__()
        self.hidden = convolution(channels, width)
        self.values = nn.Conv2d(width, ANCHORS * VALUES, 1)
        nn.init.normal_(self.values.weight, std=0.01)
        bias = torch.zeros(ANCHORS, VALUES)
        bias[:, 0] = -4.6  # faces are rare: begin with a score of one per cent
        self.values.bias = nn.Parameter(bias.flatten())
        # Relative to the anchor's size all faces look alike: the convolution learns what differs
        # from a typical one.
        half = torch.tensor(sizes)[:, None] / (2 * stride)
        scale = torch.cat([torch.ones(ANCHORS, 1), half.expand(-1, VALUES - 1)], dim=1)
        typical = torch.cat([torch.zeros(ANCHORS, 1), half * torch.tensor(TYPICAL_FACE)], dim=1)
        self.scale: Tensor
        self.typical: Tensor
        self.register_buffer("scale", scale.reshape(1, -1, 1, 1))
        self.register_buffer("typical", typical.reshape(1, -1, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        values: Tensor = self.values(F.relu(self.hidden(features)))
        return values * self.scale + self.typical


class Detector(nn.Module):
    """Pictures float [batch, 3, height, width] as (x - 127.5) / 128, sides multiples of 32, to one
    map per stride [batch, 2 * 15, height / stride, width / stride].
    """

    def __init__(
        self, widths: tuple[int, int, int, int] = (48, 64, 80, 96), neck: int = 48
    ) -> None:
        super().__init__()
        stem, small, medium, large = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, kernel_size=8, stride=4, padding=2, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            convolution(stem, small, stride=2),
            nn.ReLU(),
            Residual(small),
        )
        self.medium = nn.Sequential(
            convolution(small, medium, stride=2),
            nn.ReLU(),
            convolution(medium, medium),
            nn.ReLU(),
        )
        self.large = nn.Sequential(
            convolution(medium, large, stride=2), nn.ReLU(), convolution(large, large), nn.ReLU()
        )
        self.laterals = nn.ModuleList(nn.Conv2d(w, neck, 1) for w in (small, medium, large))
        self.heads = nn.ModuleList(
            _Head(channels, width, sizes, stride)
            for channels, width, sizes, stride in zip(
                (neck, neck, neck + large), (64, 64, 96), ANCHOR_SIZES, STRIDES, strict=True
            )
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        small = self.stem(pictures)
        medium = self.medium(small)
        large = self.large(medium)
        top = self.laterals[2](large)
        middle = self.laterals[1](medium) + F.interpolate(top, scale_factor=2.0, mode="nearest")
        bottom = self.laterals[0](small) + F.interpolate(middle, scale_factor=2.0, mode="nearest")
        large_input = torch.cat([top, large], dim=1)
        return self.heads[0](bottom), self.heads[1](middle), self.heads[2](large_input)


class ScrfdOutputs(nn.Module):
    """The nine outputs SCRFD's decoder reads of one picture: scores [n, 1] of strides 8, 16, 32,
    then distances [n, 4], then points [n, 10], in units of the stride.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        rows = [values.permute(0, 2, 3, 1).reshape(-1, VALUES) for values in self.detector(picture)]
        scores = tuple(torch.sigmoid(r[:, :1]) for r in rows)
        return scores + tuple(r[:, 1:5] for r in rows) + tuple(r[:, 5:] for r in rows)


@dataclass(frozen=True)
class Found:
    """Faces of one picture, best first: boxes [n, 4], scores [n], landmarks [n, 5, 2], in the
    picture's pixels.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]


@torch.no_grad()
def find_faces(
    detector: nn.Module,
    image: NDArray[np.uint8],
    threshold: float = 0.5,
    overlap: float = 0.4,
    size: int = INPUT_SIZE,
) -> Found:
    """What InsightFace finds in an RGB picture, uint8 [height, width, 3], made square."""
    square = squared(image)
    scale = size / len(square)
    boxed = cv2.resize(square, (size, size))
    device = next(detector.parameters()).device
    found = decode(detector(network_input(boxed[None]).to(device)))
    scores = torch.sigmoid(found.logits[0])
    rows = (scores >= threshold).nonzero()[:, 0]
    rows = rows[scores[rows].argsort(descending=True, stable=True)]
    boxes = (found.boxes[0, rows] / scale).cpu().numpy()
    kept: list[int] = []
    for row in range(len(rows)):
        if all(_overlap(boxes[row], boxes[other]) <= overlap for other in kept):
            kept.append(row)
    points = (found.points[0, rows] / scale).cpu().numpy()
    return Found(boxes[kept], scores[rows].cpu().numpy()[kept], points[kept])


def _overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes, in InsightFace's whole-pixel convention."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(0.0, high - low + 1)))
    areas = [float(np.prod(box[2:] - box[:2] + 1)) for box in (a, b)]
    return shared / (sum(areas) - shared)


def network_input(images: NDArray[np.uint8]) -> Tensor:
    """uint8 [batch, height, width, 3] RGB to float32 [batch, 3, height, width]."""
    return to_network(images).mul_(127.5 / 128.0)


def detection_figures(
    detector: nn.Module, scenes: Sequence[Scene], size: int = INPUT_SIZE
) -> dict[str, float]:
    """Share of faces found, of detections that are none, and landmark errors (mean, in eye
    distances).
    """
    faces = found_faces = detections = 0
    errors: list[float] = []
    for scene in scenes:
        found = find_faces(detector, scene.image, size=size)
        free = list(range(len(found.boxes)))
        detections += len(free)
        for box, landmarks in zip(scene.boxes, scene.landmarks, strict=True):
            faces += 1
            best = max(free, key=lambda row: _overlap(found.boxes[row], box), default=None)
            if best is None or _overlap(found.boxes[best], box) < 0.4:
                continue
            free.remove(best)
            found_faces += 1
            eye_distance = np.linalg.norm(landmarks[1] - landmarks[0])
            off = np.linalg.norm(found.landmarks[best] - landmarks, axis=1)
            errors.append(float(off.mean() / eye_distance))
    return {
        "found": found_faces / max(1, faces),
        "false": (detections - found_faces) / max(1, detections),
        "landmark_error": float(np.mean(errors)) if errors else 1.0,
    }


DETECTOR_SCHEDULE = Schedule(
    learning_rate=2.5e-3,
    batch_size=32,
    warmup_steps=40,
    weight_decay=0.02,
    ema_decay=0.997,
    channels_last=True,
    orthogonal=True,
    seed=4_001,
    clip_norm=5.0,
)


@dataclass(frozen=True, eq=False)
class DetectorRecipe:
    """Scenes composed on the fly from rendered portraits; measured on people never seen."""

    pictures: Pictures
    held_out: Pictures
    name: str = "detector"
    schedule: Schedule = DETECTOR_SCHEDULE
    mix: SceneMix = field(default_factory=SceneMix)
    light: float = 0.15
    degradation: Degradation = field(default_factory=lambda: Degradation(0.25, 0.2, 0.1))
    evaluated_scenes: int = 150

    @cached_property
    def composer(self) -> SceneComposer:
        """Draws the training scenes."""
        return SceneComposer(self.pictures, empty_backgrounds(), self.mix)

    def build(self) -> nn.Module:
        return Detector()

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        size = self.schedule.batch_size
        images = np.empty((size, INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
        boxes = np.zeros((size, MOST_FACES, 4), np.float32)
        points = np.zeros((size, MOST_FACES, 5, 2), np.float32)
        present = np.zeros((size, MOST_FACES), np.bool_)
        for row in range(size):
            scene = letterbox(self.composer.sample(rng), INPUT_SIZE)
            faces = len(scene.boxes)
            images[row] = degrade(scene.image, rng, self.degradation)
            present[row, :faces] = True
            boxes[row, :faces], points[row, :faces] = scene.boxes, scene.landmarks
        return {
            "pictures": relight(images, rng, self.light).mul_(127.5 / 128.0),
            "boxes": torch.from_numpy(boxes),
            "points": torch.from_numpy(points),
            "present": torch.from_numpy(present),
        }

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        found = decode(model(batch["pictures"]))
        assignment = assign(batch["boxes"], batch["present"], INPUT_SIZE, INPUT_SIZE)
        return detection_loss(found, batch["boxes"], batch["points"], assignment)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Held-out portraits, and groups of one to four, without damage."""
        composer = SceneComposer(self.held_out, empty_backgrounds(), self.mix)
        rng = np.random.default_rng(0)
        portraits = [composer.portrait(rng) for _ in range(self.evaluated_scenes)]
        groups = [composer.group(rng, 1 + n % MOST_FACES) for n in range(self.evaluated_scenes)]
        empty = [composer.empty(rng) for _ in range(self.evaluated_scenes // 3)]
        return {
            **{f"portrait_{k}": v for k, v in detection_figures(model, portraits).items()},
            **{f"group_{k}": v for k, v in detection_figures(model, groups).items()},
            "false_in_empty": sum(len(find_faces(model, s.image).boxes) for s in empty)
            / len(empty),
        }


def finish(model: nn.Module, target: Path) -> None:
    """Write the detector as ONNX: input "input" [1, 3, height, width], any sides that are
    multiples of 32.
    """
    names = [f"{kind}_{stride}" for kind in ("score", "box", "points") for stride in STRIDES]
    axes = {"input": {2: "height", 3: "width"}, **{name: {0: name + "_anchors"} for name in names}}
    export(
        ScrfdOutputs(model),
        torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE),
        target,
        inputs=["input"],
        outputs=names,
        dynamic_axes=axes,
    )
