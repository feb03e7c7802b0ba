"""The judge of identity: a recogniser of another make, which never conditions a picture.

It shares the alignment and the task with the conditioner and nothing else: plain convolutions and
pooling instead of residuals, depthwise pooling instead of position-wise codes, CosFace's margin,
another seed, and only a part of the training people, all the others being strangers to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .augmentation import Degradation
from .loop import Schedule
from .recogniser import (
    EMBEDDING_WIDTH,
    RECOGNISER_SCHEDULE,
    CropAugmentation,
    RecogniserRecipe,
    training_crops,
)
from .verification import Identification, MarginClassifier


def plain(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Convolution, norm and SiLU, which passes a gradient where ReLU would be dead."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


class JudgeRecogniser(nn.Module):
    """Aligned crops float [batch, 3, 112, 112] in -1..1 to embeddings [batch, 512], not normalised.

    A plain convolutional network on 4 x 4 patches: 28, 14, 7 cells a side, halved by max pooling.
    """

    def __init__(self, widths: tuple[int, int, int] = (48, 96, 160)) -> None:
        super().__init__()
        first, second, third = widths
        self.patches = nn.PixelUnshuffle(4)
        self.features = nn.Sequential(
            plain(48, first),
            nn.MaxPool2d(2),
            plain(first, second),
            plain(second, second),
            nn.MaxPool2d(2),
            plain(second, third),
            plain(third, third),
        )
        # One weight per channel and cell: MobileFaceNet's global depthwise pooling (Chen et al.
        # 2018).
        self.pool = nn.Conv2d(third * 2, third * 2, kernel_size=7, groups=third * 2, bias=False)
        self.widen = plain(third, third * 2, kernel=1)
        self.projection = nn.Linear(third * 2, EMBEDDING_WIDTH, bias=False)
        self.norm = nn.BatchNorm1d(EMBEDDING_WIDTH)

    def forward(self, crops: Tensor) -> Tensor:
        features = self.widen(self.features(self.patches(crops)))
        embeddings: Tensor = self.norm(self.projection(self.pool(features).flatten(1)))
        return embeddings


JUDGE_SCHEDULE = replace(RECOGNISER_SCHEDULE, seed=2_027)
JUDGE_AUGMENTATION = CropAugmentation(
    landmark_error=0.05, light=0.22, degradation=Degradation(resample=0.3, blur=0.25, jpeg=0.1)
)


@dataclass(frozen=True, eq=False)
class JudgeRecogniserRecipe(RecogniserRecipe):
    """The conditioner's task with another network, margin, seed, damage and set of people."""

    name: str = "judge-recogniser"
    schedule: Schedule = JUDGE_SCHEDULE
    augmentation: CropAugmentation = JUDGE_AUGMENTATION
    margin_angle: float = 0.0
    margin_cosine: float = 0.22
    scale: float = 26.0
    people_share: float = 0.85

    def network(self) -> nn.Module:
        return JudgeRecogniser()

    def people(self) -> NDArray[np.int64]:
        """The training people this judge knows: a fixed random part of all, sorted."""
        count = self.pictures.person_count
        known = max(2, round(count * self.people_share))
        chosen = np.random.default_rng(self.schedule.seed).permutation(count)[:known]
        return np.sort(chosen).astype(np.int64)

    def build(self) -> nn.Module:
        classifier = MarginClassifier(
            len(self.people()),
            EMBEDDING_WIDTH,
            angle=self.margin_angle,
            cosine=self.margin_cosine,
            scale=self.scale,
        )
        return Identification(self.network(), classifier)

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        known = self.people()
        size, each = self.schedule.batch_size, self.pictures.pictures
        classes = rng.integers(0, len(known), size)
        indices = known[classes] * each + rng.integers(0, each, size)
        return {
            "crops": training_crops(self.pictures, indices, rng, self.augmentation),
            "people": torch.from_numpy(classes),
        }
