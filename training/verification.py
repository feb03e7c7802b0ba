"""Learning to tell people apart: the angular margin loss, and the figures of a recogniser."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F


class MarginClassifier(nn.Module):
    """Softmax over training people on the unit sphere, with a margin for the right one.

    angle: ArcFace's additive angle in radians (Deng et al. 2019, arXiv 1801.07698).
    cosine: CosFace's additive cosine (Wang et al. 2018, arXiv 1801.09414). One of both may be 0.
    """

    def __init__(
        self, people: int, width: int = 512, *, angle: float, cosine: float, scale: float
    ) -> None:
        super().__init__()
        self.class_embeddings = nn.Parameter(F.normalize(torch.randn(people, width), dim=1))
        self.angle, self.cosine, self.scale = angle, cosine, scale

    def forward(self, embeddings: Tensor, people: Tensor, ramp: float) -> tuple[Tensor, Tensor]:
        """Loss and accuracy. embeddings [batch, width], people int64 [batch], ramp 0..1.

        Computed in float32: bfloat16 has too few digits for a margin of hundredths.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            cosines = (
                F.normalize(embeddings.float(), dim=1) @ F.normalize(self.class_embeddings, dim=1).T
            )
            rows = torch.arange(len(people), device=people.device)
            right = cosines[rows, people].clamp(-1 + 1e-6, 1 - 1e-6)
            harder = torch.cos(torch.acos(right) + self.angle * ramp) - self.cosine * ramp
            # Past pi - margin the cosine would rise again: there the margin must stay a penalty.
            harder = torch.where(right > -math.cos(self.angle * ramp), harder, right)
            logits = cosines.scatter(1, people[:, None], harder[:, None])
            loss = F.cross_entropy(self.scale * logits, people)
        accuracy = (cosines.detach().argmax(1) == people).float().mean()
        return loss, accuracy


class Identification(nn.Module):
    """A recogniser with the classifier that trains it; only the recogniser is exported."""

    def __init__(self, recogniser: nn.Module, classifier: MarginClassifier) -> None:
        super().__init__()
        self.recogniser, self.classifier = recogniser, classifier

    def forward(self, crops: Tensor, people: Tensor, ramp: float) -> tuple[Tensor, Tensor]:
        loss, accuracy = self.classifier(self.recogniser(crops), people, ramp)
        return loss, accuracy


def verification_figures(
    embeddings: NDArray[np.floating],
    people: NDArray[np.integer],
    group: NDArray[np.integer] | None = None,
) -> dict[str, float]:
    """AUC, TAR at FAR 1e-3 and mean similarities over all pairs of pictures.

    embeddings [pictures, width]; people int [pictures]; group: impostor pairs are counted only
    inside a group (same gender, say) when given.
    """
    unit = np.asarray(embeddings, np.float32)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
    first, second = np.triu_indices(len(unit), k=1)
    similarity = (unit @ unit.T)[first, second]
    same = people[first] == people[second]
    other = ~same if group is None else ~same & (group[first] == group[second])
    genuine, impostor = similarity[same], np.sort(similarity[other])
    below = np.searchsorted(impostor, genuine, "left")
    ties = np.searchsorted(impostor, genuine, "right") - below
    threshold = impostor[min(len(impostor) - 1, math.ceil(len(impostor) * (1 - 1e-3)))]
    return {
        "auc": float((below + 0.5 * ties).mean() / len(impostor)),
        "tar_at_far_1e-3": float((genuine > threshold).mean()),
        "threshold_far_1e-3": float(threshold),
        "genuine_mean": float(genuine.mean()),
        "impostor_mean": float(impostor.mean()),
    }
