"""Judges: models that score pictures and never condition one, read from a bundle's `judges/`.

A recogniser tells people apart on crops aligned by five landmarks; an attribute judge sees the
whole picture and names a class for each of its heads. `judges.toml` says how they are fed.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.files import complaint
from models import CROP_SIZE, Bundle, BundleCorrupt, ComponentKind, align_face

DESCRIPTION_FILE = "judges.toml"

_BATCH = 64  # pictures per call of a judge


class JudgesNotFound(ValueError):
    """The bundle has no judges, so nothing can be measured."""


class RecogniserDescription(BaseModel):
    """`[recogniser]`: its file, and how pixels become its input, (x − mean) / std."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = "recogniser.onnx"
    size: Literal[112] = CROP_SIZE
    mean: float = 127.5
    std: Annotated[float, Field(gt=0)] = 127.5


class AttributesDescription(BaseModel):
    """`[attributes]`: file and input as above, side in pixels, and the heads.

    heads: name of each head and its classes, in the order of the concatenated logits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = "attributes.onnx"
    size: Annotated[int, Field(ge=16)]
    mean: float = 127.5
    std: Annotated[float, Field(gt=0)] = 127.5
    heads: dict[str, Annotated[tuple[str, ...], Field(min_length=2)]]


class JudgesDescription(BaseModel):
    """The whole of judges.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    recogniser: RecogniserDescription = RecogniserDescription()
    attributes: AttributesDescription


class RecogniserJudge:
    """An ArcFace-shaped ONNX recogniser: 112² RGB crops to unit embeddings."""

    def __init__(
        self, file: Path, mean: float = 127.5, std: float = 127.5, threads: int = 0
    ) -> None:
        self._network = _Network(file, mean, std, threads)

    def embed(
        self, images: Sequence[NDArray[np.uint8]], landmarks: Sequence[NDArray[np.floating]]
    ) -> NDArray[np.float32]:
        """Unit embeddings float32 [n, 512] of one face per picture.

        images: uint8 RGB [height, width, 3]; landmarks: [5, 2] pixels for each.
        """
        crops = [align_face(image, points) for image, points in zip(images, landmarks, strict=True)]
        return self.embed_crops(crops)

    def embed_crops(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Unit embeddings float32 [n, 512] of crops that are aligned already."""
        embeddings = self._network.run(crops)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, 1e-9), dtype=np.float32)


class AttributeJudge:
    """An ONNX classifier with several heads: whole pictures to a class for each head."""

    def __init__(
        self,
        file: Path,
        description: AttributesDescription,
        threads: int = 0,
    ) -> None:
        self._network = _Network(file, description.mean, description.std, threads)
        self._size = description.size
        self.heads: Mapping[str, tuple[str, ...]] = description.heads

    def logits(self, images: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        """float32 [n, classes] of each head. images: uint8 RGB [height, width, 3].

        Raises BundleCorrupt where the network and the description disagree.
        """
        together = self._network.run([_resize(image, self._size) for image in images])
        widths = [len(classes) for classes in self.heads.values()]
        if together.shape[1] != sum(widths):
            raise BundleCorrupt(
                f"the attribute judge gives {together.shape[1]} logits, {DESCRIPTION_FILE} "
                f"describes {sum(widths)}; export both from one training run"
            )
        parts = np.split(together, np.cumsum(widths)[:-1], axis=1)
        return dict(zip(self.heads, parts, strict=True))

    def judge(self, images: Sequence[NDArray[np.uint8]]) -> list[dict[str, str]]:
        """The most likely class of each head, one dict per picture."""
        logits = self.logits(images)
        best = {head: values.argmax(axis=1) for head, values in logits.items()}
        return [
            {head: self.heads[head][int(classes[index])] for head, classes in best.items()}
            for index in range(len(images))
        ]


@dataclass(frozen=True)
class Judges:
    """Both judges of a bundle."""

    recogniser: RecogniserJudge
    attributes: AttributeJudge


def open_judges(bundle: Bundle, threads: int = 0) -> Judges:
    """The judges of a bundle. threads: of each ONNX session, 0 = as many as there are cores.

    Raises JudgesNotFound for a bundle without judges, BundleCorrupt for a description that does
    not fit.
    """
    if not bundle.has(ComponentKind.JUDGES):
        raise JudgesNotFound(
            f"bundle {bundle.name!r} has no judges, so it cannot be measured; "
            f"add a component of kind {ComponentKind.JUDGES.value!r}"
        )
    directory = bundle.path(ComponentKind.JUDGES)
    description = read_description(directory / DESCRIPTION_FILE)
    recogniser, attributes = description.recogniser, description.attributes
    return Judges(
        RecogniserJudge(directory / recogniser.file, recogniser.mean, recogniser.std, threads),
        AttributeJudge(
            directory / attributes.file,
            attributes,
            threads,
        ),
    )


def read_description(file: Path) -> JudgesDescription:
    """judges.toml, checked. Raises BundleCorrupt."""
    try:
        return JudgesDescription.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BundleCorrupt(f"{file} cannot be read: {error}; restore it") from error
    except ValidationError as error:
        raise BundleCorrupt(f"{file}: {complaint(error)}; correct or restore it") from error


class _Network:
    """An ONNX network that takes float32 [n, 3, side, side]; its first output is wanted."""

    def __init__(self, file: Path, mean: float, std: float, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has no public base class for its failures
            raise BundleCorrupt(f"{file} cannot be loaded: {error}; restore it") from error
        self._name = str(self._session.get_inputs()[0].name)
        self._mean, self._std = mean, std

    def run(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """float32 [n, …] for RGB pictures of one side, batch by batch."""
        if not pictures:
            raise ValueError("no pictures to judge")
        parts = []
        for start in range(0, len(pictures), _BATCH):
            batch = np.stack(pictures[start : start + _BATCH]).astype(np.float32)
            values = ((batch - self._mean) / self._std).transpose(0, 3, 1, 2)
            parts.append(self._session.run(None, {self._name: np.ascontiguousarray(values)})[0])
        return np.concatenate(parts).astype(np.float32)


def _resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (size, size):
        return image
    kind = cv2.INTER_AREA if image.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=kind), dtype=np.uint8)
