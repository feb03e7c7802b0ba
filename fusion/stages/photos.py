"""photos: the pictures of a request, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache import digest_array
from fusion.given_mask import check_mask
from fusion.request import FusionRequest, ImageInput, name_of
from fusion.task import Reference, Role
from models import read_image, read_mask


@dataclass(frozen=True)
class Photo:
    """A picture that was read, upright: uint8 [height, width, 3] RGB, of a mask [height, width]."""

    reference: Reference
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Photos:
    """What was read. identities: one place per identity, None where an embedding was given."""

    identities: tuple[Photo | None, ...]
    target: Photo | None
    mask: Photo | None = None

    def references(self, given: tuple[Reference, ...]) -> tuple[Reference, ...]:
        """What `references_of` gave, with the digests of what was read."""
        # By their places: two photos may have the same name.
        return tuple(
            reference if photo is None else replace(reference, digest=photo.reference.digest)
            for reference, photo in zip(
                given, (*self.identities, self.target, self.mask), strict=False
            )
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
        references.append(Reference(Role.TARGET, _name(request.target, Role.TARGET)))
    if request.mask is not None:
        references.append(Reference(Role.MASK, _name(request.mask, Role.MASK)))
    return tuple(references)


def read_photos(request: FusionRequest) -> Photos:
    """Every picture of the request.

    Raises ImageRejected, naming the picture, and InvalidRequest for a mask that does not fit.
    """
    identities = tuple(
        None
        if identity.image is None
        else _read(identity.image, Role.IDENTITY, name_of(identity, number))
        for number, identity in enumerate(request.identities, 1)
    )
    target = mask = None
    if request.target is not None:
        target = _read(request.target, Role.TARGET, _name(request.target, Role.TARGET))
    if request.mask is not None and target is not None:
        mask = _read(request.mask, Role.MASK, _name(request.mask, Role.MASK))
        height, width = target.pixels.shape[:2]
        check_mask(mask.pixels, (width, height))
    return Photos(identities, target, mask)


def _read(source: ImageInput, role: Role, name: str) -> Photo:
    # A file is named by its whole path, anything else by its place in the request.
    named = None if isinstance(source, str | Path) else name
    if role is Role.MASK:
        pixels = read_mask(source, named)
    else:
        pixels = np.asarray(read_image(source, named), dtype=np.uint8)
    return Photo(Reference(role, name, digest_array(pixels)), pixels)


def _name(source: ImageInput, role: Role) -> str:
    return Path(source).name if isinstance(source, str | Path) else role.value
