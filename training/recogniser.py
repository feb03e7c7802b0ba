"""The recogniser that conditions the denoiser: an ArcFace of about 1.2 million parameters.

Learns to name the training people from aligned 112 x 112 crops under an angular margin; what is
kept is the 512-d embedding. Crops are aligned by landmarks as wrong as the detector's, and damaged
as a decoder would damage them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models import CROP_SIZE, align_face

from .augmentation import Degradation, degrade, relight, to_network
from .data import Pictures
from .landmarks import jitter_landmarks
from .loop import Schedule
from .onnx import export_recogniser
from .verification import Identification, MarginClassifier, verification_figures

EMBEDDING_WIDTH = 512


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution and batch norm: no bias, the norm has one."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = convolution(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + self.second(F.relu(self.first(features))))


class Recogniser(nn.Module):
    """Aligned crops float [batch, 3, 112, 112] in -1..1 to embeddings [batch, 512], not normalised.

    The stem goes to a quarter of the resolution at once: its 64 channels hold all 48 values of a 4
    x 4 patch, and the large maps, where a CPU would spend its time, are never made.
    """

    def __init__(self, widths: tuple[int, int, int] = (64, 96, 152), code: int = 16) -> None:
        super().__init__()
        stem, middle, last = widths
        self.features = nn.Sequential(
            nn.Conv2d(3, stem, kernel_size=8, stride=4, padding=2, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            convolution(stem, middle, stride=2),
            nn.ReLU(),
            Residual(middle),
            convolution(middle, last, stride=2),
            nn.ReLU(),
            Residual(last),
        )
        # Position matters in an aligned face: every cell of the last map has weights of its own.
        self.code = convolution(last, code, kernel=1)
        self.projection = nn.Linear(code * (CROP_SIZE // 16) ** 2, EMBEDDING_WIDTH, bias=False)
        self.norm = nn.BatchNorm1d(EMBEDDING_WIDTH)

    def forward(self, crops: Tensor) -> Tensor:
        code = self.code(self.features(crops)).flatten(1)
        embeddings: Tensor = self.norm(self.projection(code))
        return embeddings


@dataclass(frozen=True)
class CropAugmentation:
    """How far training crops stray. landmark_error in eye distances; light: relative change."""

    landmark_error: float = 0.05
    light: float = 0.18
    degradation: Degradation = field(default_factory=Degradation)


def training_crops(
    pictures: Pictures,
    indices: NDArray[np.int64],
    rng: np.random.Generator,
    augmentation: CropAugmentation,
) -> Tensor:
    """Aligned, augmented crops of some pictures: float32 [batch, 3, 112, 112]."""
    crops = np.empty((len(indices), CROP_SIZE, CROP_SIZE, 3), np.uint8)
    for row, index in enumerate(indices):
        image = degrade(np.asarray(pictures.images[index]), rng, augmentation.degradation)
        landmarks = jitter_landmarks(pictures.landmarks[index], rng, augmentation.landmark_error)
        crops[row] = align_face(image, landmarks)
    return relight(crops, rng, augmentation.light)


@torch.no_grad()
def embed_pictures(
    recogniser: nn.Module, pictures: Pictures, landmarks: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Embeddings of all pictures, by their true landmarks or by [N, 5, 2] given ones: [N, 512]."""
    points = pictures.landmarks if landmarks is None else landmarks
    device = next(recogniser.parameters()).device
    embeddings: list[NDArray[np.float32]] = []
    for start in range(0, len(pictures), 128):
        rows = range(start, min(start + 128, len(pictures)))
        crops = np.stack([align_face(np.asarray(pictures.images[i]), points[i]) for i in rows])
        found: Tensor = recogniser(to_network(crops).to(device))
        embeddings.append(found.float().cpu().numpy())
    return np.concatenate(embeddings)


RECOGNISER_SCHEDULE = Schedule(
    learning_rate=2.5e-3,
    batch_size=128,
    warmup_steps=50,
    weight_decay=0.05,
    ema_decay=0.995,
    channels_last=True,
    orthogonal=True,
    seed=11,
    clip_norm=5.0,
)


@dataclass(frozen=True, eq=False)
class RecogniserRecipe:
    """Identification of the training people under ArcFace's margin.

    The margin grows over the first part of the budget: started in full, it stalls a young network.
    """

    pictures: Pictures
    held_out: Pictures
    name: str = "recogniser"
    schedule: Schedule = RECOGNISER_SCHEDULE
    augmentation: CropAugmentation = field(default_factory=CropAugmentation)
    margin_angle: float = 0.3
    margin_cosine: float = 0.0
    scale: float = 24.0
    margin_ramp: float = 0.4

    def network(self) -> nn.Module:
        """The part that is exported."""
        return Recogniser()

    def build(self) -> nn.Module:
        classifier = MarginClassifier(
            self.pictures.person_count,
            EMBEDDING_WIDTH,
            angle=self.margin_angle,
            cosine=self.margin_cosine,
            scale=self.scale,
        )
        return Identification(self.network(), classifier)

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        indices = self.pictures.sample(rng, self.schedule.batch_size)
        people = indices // self.pictures.pictures
        return {
            "crops": training_crops(self.pictures, indices, rng, self.augmentation),
            "people": torch.from_numpy(people),
        }

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        ramp = min(1.0, progress / self.margin_ramp)
        loss, accuracy = model(batch["crops"], batch["people"], ramp)
        return loss, {"accuracy": float(accuracy)}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Verification of people never seen, by true landmarks and by noisy ones (3 % of the eye
        distance).
        """
        assert isinstance(model, Identification)
        pictures = self.held_out
        embeddings = embed_pictures(model.recogniser, pictures)
        figures = verification_figures(embeddings, pictures.people)
        same_gender = verification_figures(embeddings, pictures.people, pictures.label("gender"))
        noisy = verification_figures(
            embed_pictures(model.recogniser, pictures, _as_detected(pictures)), pictures.people
        )
        return {
            **figures,
            "auc_same_gender": same_gender["auc"],
            "auc_noisy_landmarks": noisy["auc"],
            "tar_noisy_landmarks": noisy["tar_at_far_1e-3"],
        }


def _as_detected(pictures: Pictures, error: float = 0.03) -> NDArray[np.float64]:
    """Landmarks with a Gaussian error of that share of the eye distance, [N, 5, 2]."""
    rng = np.random.default_rng(0)
    points = np.asarray(pictures.landmarks, np.float64)
    eye_distance = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)[:, None, None]
    return np.asarray(points + rng.normal(0.0, error, points.shape) * eye_distance)


def finish(model: nn.Module, target: Path) -> None:
    """Write a trained `Identification`'s recogniser as ONNX, in the form InsightFace's ArcFace
    loads.
    """
    assert isinstance(model, Identification)
    export_recogniser(model.recogniser, target)
