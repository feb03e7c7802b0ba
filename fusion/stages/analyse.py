"""analyse: the face of each picture, computed once per picture and analyser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cache import Digest, IdentityKey, IdentityStore, Namespace
from fusion.stages.photos import Photo, Photos
from fusion.trace import Notes
from models import Face, FacesSettings, choose_face

FaceStore = IdentityStore[tuple[Face, ...]]


class Analyser(Protocol):
    """What finds faces: `models.FaceAnalyser`. Two threads may ask at once: one for a photo, one
    for what was drawn.
    """

    @property
    def digest(self) -> str: ...
    @property
    def settings(self) -> FacesSettings: ...
    @property
    def hint(self) -> str: ...
    def analyse(self, image: NDArray[np.uint8]) -> tuple[Face, ...]: ...


@dataclass(frozen=True)
class Analysed:
    """The chosen faces. identities: None where an embedding was given."""

    identities: tuple[Face | None, ...]
    target: Face | None
    analysed: int
    reused: int


def face_store(max_bytes: int) -> FaceStore:
    """Remembers the faces of pictures within a budget."""
    return IdentityStore(max_bytes, _size_of)


def analyse(
    photos: Photos,
    chosen: Sequence[int],
    target_face: int,
    analyser: Analyser | None,
    store: FaceStore,
    notes: Notes,
    namespace: Namespace = (),
) -> Analysed:
    """The face of every picture. chosen: which one, counted from 1; 0 = the only one. namespace:
    whose pictures they are.

    Raises FaceNotFound, SeveralFaces, FaceTooSmall, naming the picture.
    """
    if analyser is None:
        return Analysed((None,) * len(photos.identities), None, 0, 0)
    finder = _Finder(analyser, store, namespace)
    identities = tuple(
        None if photo is None else finder.face(photo, number)
        for photo, number in zip(photos.identities, chosen, strict=True)
    )
    target = (
        None if photos.target is None else finder.face(photos.target, target_face, "--target-face")
    )
    if finder.reused:
        notes.decided(f"faces: {finder.reused} remembered, {finder.analysed} analysed")
    return Analysed(identities, target, finder.analysed, finder.reused)


class _Finder:
    def __init__(self, analyser: Analyser, store: FaceStore, namespace: Namespace) -> None:
        self.analyser = analyser
        self.store = store
        self.namespace = namespace
        self.analysed = 0
        self.reused = 0

    def face(self, photo: Photo, number: int, option: str = "--face") -> Face:
        image, analyser = Digest(photo.reference.digest), Digest(self.analyser.digest)
        key = IdentityKey(image, analyser, self.namespace)
        faces = self.store.find(key)
        if faces is None:
            faces = self.analyser.analyse(photo.pixels)
            self.store.remember(key, faces)
            self.analysed += 1
        else:
            self.reused += 1
        return choose_face(
            faces,
            number or None,
            photo.reference.name,
            smallest_face=self.analyser.settings.smallest_face,
            hint=self.analyser.hint,
            option=option,
        )


def _size_of(faces: tuple[Face, ...]) -> int:
    return sum(face.box.nbytes + face.landmarks.nbytes + face.embedding.nbytes for face in faces)
