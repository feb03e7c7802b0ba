"""What can go wrong between files on disk and callables.

    ModelsError (ValueError)
    ├── BundleNotFound      no bundle of that name or at that place, or it was never fetched
    ├── BundleCorrupt       a bundle whose description or files are not what they should be
    ├── ImageRejected       a picture that cannot be used
    ├── DeviceUnavailable   a device or precision this machine does not have
    ├── PrecisionRefused    a precision whose portraits lose too much
    ├── MemoryModeUnknown   a way of saving memory that nobody knows
    ├── PipelineUnsupported a diffusers pipeline of another kind than ours
    ├── TokensRejected      token ids that the text encoder cannot take
    ├── ConditionsRejected  rows' conditions that fit neither each other nor the denoiser
    ├── PoolFileRejected    a saved pool of prompts that cannot be taken up again
    └── FacesError          a picture that can be used, but not its faces
        ├── FaceNotFound    no face, or no face of that number
        ├── SeveralFaces    more than one face, and none was chosen
        └── FaceTooSmall    a face too small to be recognised

Every message is one line: what was wrong, what was expected, what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ModelsError(ValueError):
    """Base of everything this package raises on bad input."""


class BundleNotFound(ModelsError):
    """No bundle of that name or at that place, or its files were never fetched."""


class BundleCorrupt(ModelsError):
    """A bundle whose description or files are not what they should be; names the file."""


class ImageRejected(ModelsError):
    """A picture that cannot be used; says why and what to do."""


class DeviceUnavailable(ModelsError):
    """A device or precision that this machine does not have."""


class PrecisionRefused(ModelsError):
    """A precision whose portraits are further from the exact ones than the floor allows."""


class MemoryModeUnknown(ModelsError):
    """A way of saving memory that is not known; says which are."""


class PipelineUnsupported(ModelsError):
    """A diffusers pipeline, or an adapter in it, of a kind that is not drawn with here."""


class TokensRejected(ModelsError):
    """Token ids that a text encoder cannot take; says what it takes."""


class ConditionsRejected(ModelsError):
    """What rows are to be drawn from does not fit the rows, each other, or the denoiser."""


class PoolFileRejected(ModelsError):
    """A saved pool of prompts that is cut short, changed, or of other weights."""


class FacesError(ModelsError):
    """A picture whose faces cannot be used as asked."""


class FaceNotFound(FacesError):
    """No face in the picture, or no face of the number asked for."""


class SeveralFaces(FacesError):
    """More than one face in the picture, and none was chosen.

    name: of the picture; boxes: (left, top, right, bottom) of each face, pixels, as counted.
    """

    def __init__(
        self,
        message: str,
        name: str = "",
        boxes: Sequence[tuple[float, float, float, float]] = (),
    ) -> None:
        super().__init__(message)
        self.name = name
        self.boxes = tuple(boxes)


class FaceTooSmall(FacesError):
    """A face smaller than the recogniser can tell apart."""
