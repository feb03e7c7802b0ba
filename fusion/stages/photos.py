"""photos: the pictures of a request, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache import digest_array
from fusion.request import FusionRequest, ImageInput, name_of
from fusion.task import Reference, Role
from models import read_image


@dataclass(frozen=True)
class Photo:
    """A picture that was read: uint8 [height, width, 3] RGB, upright."""

    reference: Reference
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Photos:
    """What was read. identities: one place per identity, None where an embedding was given."""

    identities: tuple[Photo | None, ...]
    target: Photo | None

    def references(self, given: tuple[Reference, ...]) -> tuple[Reference, ...]:
        """What `references_of` gave, with the digests of what was read."""
        # By their places: two photos may have the same name.
        return tuple(
            reference if photo is None else replace(reference, digest=photo.reference.digest)
            for reference, photo in zip(given, (*self.identities, self.target), strict=False)
        )


def references_of(request: FusionRequest) -> tuple[Reference, ...]:
    """What the request refers to, before anything is read; embeddings have their digest at once."""
    references = []
    for number, identity in enumerate(request.identities, 1):
        digest = ""
        if identity.embedding is not None:
            digest = digest_array(identity.embedding)
        references.append(Reference(Role.IDENTITY, name_of(identity, number), digest))
    if request.target is not None:
        references.append(Reference(Role.TARGET, _target_name(request.target)))
    return tuple(references)


def read_photos(request: FusionRequest) -> Photos:
    """Every picture of the request. Raises ImageRejected, naming the picture."""
    identities = tuple(
        None
        if identity.image is None
        else _read(identity.image, Role.IDENTITY, name_of(identity, number))
        for number, identity in enumerate(request.identities, 1)
    )
    target = None
    if request.target is not None:
        target = _read(request.target, Role.TARGET, _target_name(request.target))
    return Photos(identities, target)


def _read(source: ImageInput, role: Role, name: str) -> Photo:
    # A file is named by its whole path, anything else by its place in the request.
    named = None if isinstance(source, str | Path) else name
    pixels = np.asarray(read_image(source, named), dtype=np.uint8)
    return Photo(Reference(role, name, digest_array(pixels)), pixels)


def _target_name(source: ImageInput) -> str:
    return Path(source).name if isinstance(source, str | Path) else "target"
