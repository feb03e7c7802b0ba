"""The judge of attributes: what does a picture show? One answer per head, read off the whole
picture.

It never conditions a picture and lends its features to no other recipe. It sees pictures shifted,
scaled, relit and damaged, so that a decoder's soft picture is judged by what it shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .augmentation import Degradation, degrade, relight, to_network
from .data import HEADS, UNSEEN, Pictures
from .loop import Schedule, write_atomically
from .onnx import export
from .recogniser import Residual, convolution

PICTURE_SIZE = 128
AGE_BOUNDARIES = (35, 55)
AGE_CENTRE, AGE_SCALE = 48.0, 18.0
BOUNDARY_YEARS = 5  # nearer to a boundary than this, nobody can tell the group for sure


class AttributeJudge(nn.Module):
    """Pictures float [batch, 3, 128, 128] in -1..1 to the logits of all heads side by side,
    [batch, classes].
    """

    def __init__(self, widths: tuple[int, int, int] = (48, 80, 112), code: int = 12) -> None:
        super().__init__()
        stem, middle, last = widths
        self.features = nn.Sequential(
            # Two small steps: a wrinkle is one pixel wide, a large kernel would average it away.
            convolution(3, stem // 2, stride=2),
            nn.ReLU(),
            convolution(stem // 2, stem, stride=2),
            nn.ReLU(),
            convolution(stem, middle, stride=2),
            nn.ReLU(),
            Residual(middle),
            convolution(middle, last, stride=2),
            nn.ReLU(),
            convolution(last, last),
            nn.ReLU(),
        )
        # Where something is seen matters (a mouth, a hat), and how much of it (a background).
        self.code = nn.Sequential(convolution(last, code, kernel=1), nn.ReLU())
        cells = (PICTURE_SIZE // 16) ** 2
        self.drop = nn.Dropout(0.1)
        self.logits = nn.Linear(code * cells + last, sum(map(len, HEADS.values())))
        # Only for training: the exact age says more about a wrinkle than three groups do.
        self.age = nn.Linear(code * cells + last, 1)

    def read(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and the age in units of AGE_SCALE years from AGE_CENTRE, [batch]."""
        features = self.features(pictures)
        places, amounts = self.code(features).flatten(1), features.mean((2, 3))
        summary = self.drop(torch.cat([places, amounts], dim=1))
        return self.logits(summary), self.age(summary)[:, 0]

    def forward(self, pictures: Tensor) -> Tensor:
        return self.read(pictures)[0]


# What is read off a few pixels would drown among the easy answers.
HEAD_WEIGHTS: Mapping[str, float] = MappingProxyType({"age": 2.5, "expression": 2.5})


def split_heads(logits: Tensor) -> dict[str, Tensor]:
    """Logits [batch, classes] by head, in the order of HEADS."""
    parts = torch.split(logits, [len(classes) for classes in HEADS.values()], dim=1)
    return dict(zip(HEADS, parts, strict=True))


def heads_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and accuracy over heads. labels int64 [batch, heads]; UNSEEN answers do
    not count.
    """
    losses, right = [], []
    for column, (head, part) in enumerate(split_heads(logits.float()).items()):
        answer = labels[:, column]
        shown = answer != UNSEEN
        if not bool(shown.any()):  # the mean over nothing is not a number
            continue
        weight = HEAD_WEIGHTS.get(head, 1.0)
        losses.append(weight * F.cross_entropy(part[shown], answer[shown], label_smoothing=0.01))
        right.append((part[shown].argmax(1) == answer[shown]).float().mean())
    return torch.stack(losses).mean(), torch.stack(right).mean().detach()


def shift_and_scale(
    image: NDArray[np.uint8], rng: np.random.Generator, shift: float, scale: float
) -> NDArray[np.uint8]:
    """Move a square picture by up to `shift` of its side and scale it by up to 1 ± `scale`; edges
    repeat.
    """
    size = image.shape[0]
    factor = 1.0 + scale * rng.uniform(-1, 1)
    offset = size * (shift * rng.uniform(-1, 1, 2) + (1.0 - factor) / 2)
    matrix = np.array([[factor, 0.0, offset[0]], [0.0, factor, offset[1]]])
    return np.asarray(cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE))


def balanced_accuracy(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Mean over the classes that occur of the share recognised; UNSEEN truths do not count."""
    classes = [c for c in np.unique(truth) if c != UNSEEN]
    return float(np.mean([(predicted[truth == c] == c).mean() for c in classes]))


ATTRIBUTE_SCHEDULE = Schedule(
    learning_rate=2.5e-3,
    batch_size=96,
    warmup_steps=30,
    weight_decay=0.05,
    ema_decay=0.98,
    channels_last=True,
    orthogonal=True,
    seed=3_011,
    clip_norm=5.0,
)


@dataclass(frozen=True, eq=False)
class AttributeJudgeRecipe:
    """All heads learnt together."""

    pictures: Pictures
    held_out: Pictures
    name: str = "judge-attributes"
    schedule: Schedule = ATTRIBUTE_SCHEDULE
    degradation: Degradation = field(default_factory=lambda: Degradation(0.15, 0.15, 0.05, 0.6))
    shift: float = 0.03
    scale: float = 0.04
    light: float = 0.08

    def build(self) -> nn.Module:
        return AttributeJudge()

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        indices = self.pictures.sample(rng, self.schedule.batch_size)
        size = self.pictures.size
        images = np.empty((len(indices), PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8)
        for row, index in enumerate(indices):
            image = degrade(np.asarray(self.pictures.images[index]), rng, self.degradation)
            image = shift_and_scale(image, rng, self.shift, self.scale)
            images[row] = image if size == PICTURE_SIZE else _shrink(image)
        labels = np.asarray(self.pictures.labels[indices], np.int64)
        return {
            "pictures": relight(images, rng, self.light),
            "labels": torch.from_numpy(labels),
            "ages": torch.from_numpy(self.ages[indices]),
        }

    @cached_property
    def ages(self) -> NDArray[np.float32]:
        """Age of every training picture in units of AGE_SCALE from AGE_CENTRE, [N]."""
        return ((ages_of(self.pictures) - AGE_CENTRE) / AGE_SCALE).astype(np.float32)

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, AttributeJudge)
        logits, ages = model.read(batch["pictures"])
        answers, accuracy = heads_loss(logits, batch["labels"])
        age_error = F.smooth_l1_loss(ages.float(), batch["ages"], beta=0.3)
        years = (ages.detach().float() - batch["ages"]).abs().mean() * AGE_SCALE
        return answers + 0.3 * age_error, {"accuracy": float(accuracy), "years": float(years)}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Balanced accuracy of each head and their mean on people never seen."""
        pictures = self.held_out
        predicted = _predict(model, pictures)
        labels = np.asarray(pictures.labels)
        figures = {
            head: balanced_accuracy(predicted[:, column], labels[:, column])
            for column, head in enumerate(HEADS)
        }
        mean = float(np.mean(list(figures.values())))
        clear = _clear_of_age_boundaries(pictures)
        age = list(HEADS).index("age")
        figures["age_clear"] = balanced_accuracy(predicted[clear, age], labels[clear, age])
        return {"mean": mean, **figures}


def _shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shape = (PICTURE_SIZE, PICTURE_SIZE)
    return np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA))


@torch.no_grad()
def _predict(model: nn.Module, pictures: Pictures) -> NDArray[np.int64]:
    """The likeliest class of every head, int64 [N, heads]."""
    device = next(model.parameters()).device
    rows: list[NDArray[np.int64]] = []
    for start in range(0, len(pictures), 128):
        images = np.asarray(pictures.images[start : start + 128])
        if pictures.size != PICTURE_SIZE:
            images = np.stack([_shrink(image) for image in images])
        parts = split_heads(model(to_network(images).to(device)).float())
        rows.append(torch.stack([p.argmax(1) for p in parts.values()], dim=1).cpu().numpy())
    return np.concatenate(rows)


def ages_of(pictures: Pictures) -> NDArray[np.float64]:
    """Age of every picture's person in years, [N]."""
    return np.array([float(attributes["age"]) for attributes in pictures.attributes])


def _clear_of_age_boundaries(pictures: Pictures) -> NDArray[np.bool_]:
    ages = ages_of(pictures)
    distance = np.min([np.abs(ages - boundary) for boundary in AGE_BOUNDARIES], axis=0)
    return np.asarray(distance >= BOUNDARY_YEARS)


def finish(model: nn.Module, target: Path) -> None:
    """Write the judge: input "input" float32 [batch, 3, 128, 128], output "logits" [batch,
    classes].
    """
    export(
        model,
        torch.zeros(2, 3, PICTURE_SIZE, PICTURE_SIZE),
        target,
        inputs=["input"],
        outputs=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def write_judges_manifest(directory: Path) -> None:
    """Write judges.toml beside the judges: the files, how their input is made, and the heads in
    logit order.
    """
    lines = [
        "schema = 1",
        "",
        "[recogniser]",
        'file = "recogniser.onnx"',
        "size = 112",
        "mean = 127.5",
        "std = 127.5",
        "",
        "[attributes]",
        'file = "attributes.onnx"',
        f"size = {PICTURE_SIZE}",
        "mean = 127.5",
        "std = 127.5",
        "",
        "[attributes.heads]",
        *(f"{head} = {json.dumps(list(classes))}" for head, classes in HEADS.items()),
    ]
    text = "\n".join(lines) + "\n"
    directory.mkdir(parents=True, exist_ok=True)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    write_atomically(directory / "judges.toml", write)
