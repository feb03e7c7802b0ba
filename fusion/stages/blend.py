"""blend: several people by weight become one identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InvalidWeights
from fusion.request import unit_embedding


@dataclass(frozen=True)
class Blend:
    """The wished face: embedding float32 [512] of unit length, and those it was made of."""

    embedding: NDArray[np.float32]
    parts: tuple[NDArray[np.float32], ...]


def blend(embeddings: Sequence[NDArray[np.floating]], weights: Sequence[float]) -> Blend:
    """The weighted sum of unit embeddings, made unit again: the mean direction on the sphere.

    A person alone, or the only one of weight over 0, stays bit for bit.
    Raises InvalidEmbedding; InvalidWeights where the people cancel each other out.
    """
    parts = tuple(unit_embedding(embedding) for embedding in embeddings)
    present = [(part, w) for part, w in zip(parts, weights, strict=True) if w > 0]
    if len(present) == 1:
        return Blend(present[0][0], parts)
    total = np.sum([np.float64(weight) * part for part, weight in present], axis=0)
    length = float(np.linalg.norm(total))
    if length < 1e-3:
        raise InvalidWeights("these people cancel each other out: give other weights")
    return Blend((total / length).astype(np.float32), parts)
