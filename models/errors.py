"""What can go wrong between files on disk and callables.

    ModelsError (ValueError)
    ├── BundleNotFound      no bundle of that name or at that place, or it was never fetched
    ├── BundleCorrupt       a bundle whose description or files are not what they should be
    ├── FacePackRejected    face networks that are not there, damaged, or not FaceID's
    ├── AdapterRejected     a LoRA or a FaceID that does not fit, or that is not there
    ├── SourceRejected      a description of a public bundle, or what it names, that cannot be used
    ├── PullFailed          fetching did not come to its end; what came is kept
    │   └── PullBusy        another process is fetching the same bundle
    ├── LicenceRefused      licences that nobody has accepted
    ├── ImageRejected       a picture that cannot be used
    ├── DeviceUnavailable   a device or precision this machine does not have
    ├── PrecisionRefused    a precision whose portraits lose too much
    ├── MemoryModeUnknown   a way of saving memory that nobody knows
    ├── PipelineUnsupported a diffusers pipeline of another kind than ours
    ├── BackendUnavailable  a backend that this version or this machine does not have
    ├── EngineRefused       a compiled engine that is damaged, or does not draw as eager does
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


class FacePackRejected(ModelsError):
    """Face networks that are not there, damaged, or of a kind FaceID cannot use; names the file."""


class AdapterRejected(ModelsError):
    """A LoRA or a FaceID that is damaged, of another base, or not there; names the key."""


class SourceRejected(ModelsError):
    """A description of a public bundle, or a file it names, that cannot be used; says why."""


class PullFailed(ModelsError):
    """Fetching a bundle did not come to its end; what came is kept for the next time."""


class PullBusy(PullFailed):
    """Another process is fetching, mending or removing the same bundle."""


class LicenceRefused(ModelsError):
    """The licences of a bundle were not accepted, so nothing is fetched."""


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


class BackendUnavailable(ModelsError):
    """A backend that this version or this machine does not have; names what to install."""


class EngineRefused(ModelsError):
    """An engine that could not be built, is damaged, or does not compute what eager does."""


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
