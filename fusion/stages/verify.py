"""verify: who is in the picture, by the bundle's own recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.stages.analyse import Analyser
from fusion.stages.blend import Blend
from models import Face


@dataclass(frozen=True)
class Verified:
    """What a look at a picture gave; cosines are 0 where no face was found.

    wished: to the blend; parts: to each person. faces: how many were found.
    """

    faces: int
    wished: float
    parts: tuple[float, ...]

    @property
    def face_found(self) -> bool:
        """Whether there is anyone in the picture."""
        return self.faces > 0


def verify(
    picture: NDArray[np.uint8],
    wish: Blend,
    analyser: Analyser,
    near: NDArray[np.float32] | None = None,
) -> Verified:
    """How alike the picture's face is to the wished one and to each of its parts.

    picture: uint8 [height, width, 3]. near: the box of the face that was drawn over; without it the
    largest face counts.
    """
    faces = analyser.analyse(picture)
    if not faces:
        return Verified(0, 0.0, tuple(0.0 for _ in wish.parts))
    face = _nearest(faces, near) if near is not None else max(faces, key=lambda one: one.size)
    return Verified(
        faces=len(faces),
        wished=cosine(face.embedding, wish.embedding),
        parts=tuple(cosine(face.embedding, part) for part in wish.parts),
    )


def cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The cosine of two unit embeddings, held to [-1, 1]."""
    return float(np.clip(np.dot(first.astype(np.float64), second.astype(np.float64)), -1, 1))


def _nearest(faces: Sequence[Face], box: NDArray[np.float32]) -> Face:
    def distance(face: Face) -> float:
        return float(np.hypot(*(_centre(face.box) - _centre(box))))

    return min(faces, key=distance)


def _centre(box: NDArray[np.float32]) -> NDArray[np.floating]:
    return (box[:2] + box[2:]) / 2
