"""Faces in a picture: found, aligned and embedded by InsightFace's networks."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.bundle import Bundle
from models.errors import FaceNotFound, FacePackRejected, FaceTooSmall, SeveralFaces
from models.face_networks import FaceNetworks
from models.face_packs import FacePack
from models.face_sources import BundleFaces, FaceSource, GivenFaces
from models.images import MAX_PIXELS
from models.manifest import FacesSettings
from models.quiet import ignore_insightface_deprecations
from models.refinement import confirmed

if TYPE_CHECKING:
    import torch

LARGEST_SIDE = math.isqrt(MAX_PIXELS)  # so that a square has no more pixels than a picture may

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a picture; coordinates in its pixels, arrays read-only.

    box: float32 [4], x0 y0 x1 y1, within the picture. score: 0 to 1.
    landmarks: float32 [5, 2], left eye (as seen), right eye, nose, mouth left, mouth right.
    embedding: float32 [512], unit length. norm: its length as the recogniser gave it.
    """

    box: Float32
    score: float
    landmarks: Float32
    embedding: Float32 = field(repr=False)
    norm: float = 1.0

    @property
    def size(self) -> float:
        """The shorter side of the box in pixels."""
        return float(min(self.box[2] - self.box[0], self.box[3] - self.box[1]))


class FaceAnalyser:
    """InsightFace's detector and recogniser on a bundle's pack or on another, behind a lock.

    Nothing is loaded before the first `analyse` or `load`. Safe to share between threads.
    source: a bundle, whose own pack and settings are taken, or any FaceSource.
    device: where portraits are drawn; faces are analysed on CUDA if that is it (or "auto") and ONNX
    Runtime has CUDA, else on the CPU. `providers` says which it is.
    Raises BundleCorrupt for a bundle without a face pack.
    """

    def __init__(self, source: Bundle | FaceSource, device: str | torch.device = "auto") -> None:
        self._source = BundleFaces.of(source) if isinstance(source, Bundle) else source
        self._device = str(device)
        self._lock = threading.Lock()
        self._networks: FaceNetworks | None = None

    @classmethod
    def of_pack(
        cls,
        pack: FacePack,
        settings: FacesSettings | None = None,
        device: str | torch.device = "auto",
        hint: str = "",
    ) -> FaceAnalyser:
        """An analyser on a pack that `find_face_pack` gave. settings: the pack's where None.

        Whether a bundle's FaceID understands its faces is told by `recogniser_warning`.
        """
        return cls(GivenFaces(pack, settings or pack.settings, hint), device)

    @property
    def settings(self) -> FacesSettings:
        """Sizes and thresholds in use."""
        return self._source.settings

    @property
    def hint(self) -> str:
        """What to advise when no face is found; may be empty."""
        return self._source.hint

    @cached_property
    def digest(self) -> str:
        """sha256 of all that changes a result: the networks' files, all sizes and thresholds, the
        library, execution providers. Part of the key of every remembered face.
        """
        parts = (
            self._source.files_digest,
            self.settings.model_dump_json(),
            version("insightface"),
            ",".join(self.providers),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def providers(self) -> tuple[str, ...]:
        """ONNX Runtime's execution providers, the preferred first."""
        import onnxruntime

        cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
        wanted = self._device.partition(":")[0] in ("auto", "cuda")
        return (cuda, cpu) if wanted and cuda in onnxruntime.get_available_providers() else (cpu,)

    def load(self) -> None:
        """Load the pack now rather than with the first picture.

        Raises BundleCorrupt for a bundle's pack, FacePackRejected for another.
        """
        with self._lock:
            self._loaded()

    def analyse(self, image: NDArray[np.uint8]) -> tuple[Face, ...]:
        """The faces this pack knows in a picture, from the left; none is an empty tuple.

        image: uint8 RGB [height, width, 3], as `read_image` gives it; one with a side longer than
            LARGEST_SIDE is shrunk to it first.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"faces are looked for in uint8 [height, width, 3], not {image.dtype} "
                f"{list(image.shape)}; pass pictures through read_image"
            )
        height, width = image.shape[:2]
        if _vanishes(width, height, self.settings):
            return ()
        bgr = _workable(np.ascontiguousarray(image[:, :, ::-1]))
        with self._lock:
            networks = self._loaded()
            ignore_insightface_deprecations()
            # InsightFace rounds the shorter side when it fits a picture in: squares are exact.
            found = [
                face
                for face in networks.find(_squared(bgr))
                if confirmed(networks, bgr, face, self.settings)
            ]
        scale = np.array([bgr.shape[1] / width, bgr.shape[0] / height], dtype=np.float32)
        try:
            faces = [_face(item, width, height, scale) for item in found]
        except FacePackRejected as error:
            raise self._source.blamed(error) from error
        least, greatest = self.settings.embedding_norms or (0.0, math.inf)
        known = [face for face in faces if least <= face.norm <= greatest]
        return tuple(sorted(known, key=lambda face: (float(face.box[0] + face.box[2]), face.score)))

    def one_face(
        self, image: NDArray[np.uint8], number: int | None = None, name: str = "the picture"
    ) -> Face:
        """The one face of a picture, or face `number` counted from the left, from 1.

        Raises FaceNotFound, SeveralFaces, FaceTooSmall.
        """
        return choose_face(
            self.analyse(image),
            number,
            name,
            smallest_face=self.settings.smallest_face,
            hint=self.hint,
        )

    def _loaded(self) -> FaceNetworks:
        if self._networks is None:
            try:
                self._networks = self._source.load(self.providers)
            except FacePackRejected as error:
                raise self._source.blamed(error) from error
        return self._networks


def choose_face(
    faces: Sequence[Face],
    number: int | None,
    name: str,
    *,
    smallest_face: float = 0.0,
    hint: str = "",
    option: str = "--face",
) -> Face:
    """The one face, or face `number` counted from 1 in the order `analyse` gives.

    name: what messages call the picture. smallest_face: the shorter side a box must have, pixels.
    hint: what to do where no face was found. option: what messages say to choose with.
    Raises FaceNotFound, SeveralFaces, FaceTooSmall.
    """
    if not faces:
        advice = hint or "give a picture that shows a face from the front, large and well lit"
        size = f" of {smallest_face:.0f} pixels or more" if smallest_face else ""
        raise FaceNotFound(f"{name} shows no face{size}; {advice}")
    if number is None and len(faces) > 1:
        listed = ", ".join(f"{index} {_where(face)}" for index, face in enumerate(faces, 1))
        raise SeveralFaces(
            f"{name} shows {len(faces)} faces: {listed}; {option} 2 chooses the second",
            name,
            [tuple(map(float, face.box)) for face in faces],  # type: ignore[misc]  # four sides
        )
    chosen = 1 if number is None else number
    if not 1 <= chosen <= len(faces):
        shown = "one face" if len(faces) == 1 else f"{len(faces)} faces"
        raise FaceNotFound(f"{name} shows {shown}, there is no face {chosen}; count from 1")
    face = faces[chosen - 1]
    if face.size < smallest_face:
        raise FaceTooSmall(
            f"{name}: the face at {_where(face)} is {face.size:.0f} pixels across, at least "
            f"{smallest_face:.0f} are needed; give a closer picture"
        )
    return face


def _where(face: Face) -> str:
    x0, y0, x1, y1 = (round(float(value)) for value in face.box)
    return f"[{x0} {y0} {x1} {y1}]"


def _vanishes(width: int, height: int, settings: FacesSettings) -> bool:
    """Whether fitting the picture into the detector leaves a side of no pixel."""
    for across, down in settings.detector_sizes:
        scale = min(across / width, down / height)
        if math.floor(width * scale) < 1 or math.floor(height * scale) < 1:
            return True
    return False


def _workable(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture itself, or shrunk to LARGEST_SIDE: a strip's square would fill the memory."""
    height, width = image.shape[:2]
    scale = LARGEST_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = Image.fromarray(image).resize(size, Image.Resampling.BOX)
    return np.asarray(shrunk, dtype=np.uint8)


def _squared(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with black to its right or below it until it is square."""
    height, width = image.shape[:2]
    side = max(height, width)
    return np.pad(image, ((0, side - height), (0, side - width), (0, 0)))


def _face(item: Any, width: int, height: int, scale: Float32) -> Face:
    """What InsightFace found, in the picture's own pixels. scale: x and y of what it looked at."""
    limits = np.array([width, height, width, height], dtype=np.float32)
    box = np.array(item.bbox, dtype=np.float32)
    box /= np.tile(scale, 2)
    box = np.clip(box, 0, limits)
    landmarks = np.array(item.kps, dtype=np.float32)
    landmarks /= scale
    embedding = np.array(item.normed_embedding, dtype=np.float32)
    if not np.isfinite(embedding).all():
        raise FacePackRejected(
            "the recogniser gave an embedding that is not finite; choose another pack"
        )
    for array in (box, landmarks, embedding):
        array.flags.writeable = False
    return Face(box, float(item.det_score), landmarks, embedding, float(item.embedding_norm))
