"""Face packs: InsightFace's networks in a folder, found by name or place, told apart by graph.

Nothing is fetched, ever: a pack that is not on this machine is a FacePackRejected.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from models.bundle import Bundle, list_bundles, open_bundle
from models.errors import BundleCorrupt, FacePackRejected
from models.face_graphs import Graph, read_graph
from models.manifest import MANIFEST_FILE, ComponentKind, FacesSettings

EMBEDDING_SIZE = 512
HOME_VARIABLE = "INSIGHTFACE_HOME"
DEEPEST_NESTING = 3  # folders below the one named: root/models/antelopev2/antelopev2
# 640 is what FaceID's authors used, and finds faces down to some 20 pixels. Its largest anchor is
# 512: a face that fills the picture is missed there, and found at 320, for a quarter more work.
DETECTOR_SIZES = ((640, 640), (320, 320))

_DETECTOR_OUTPUTS = 5  # as InsightFace: five or more make a detector
_POINTED_OUTPUTS = (9, 15)  # scores, boxes and points at three strides, or at five
_CHUNK_BYTES = 1 << 20


class NetworkKind(StrEnum):
    """What a network of a pack is for, told by InsightFace's own rules."""

    DETECTOR = "detector"
    RECOGNISER = "recogniser"
    LANDMARKS = "landmarks"
    ATTRIBUTES = "gender and age"
    SWAPPER = "swapper"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PackFile:
    """One network of a pack: where it lies, what it is for, what it takes and gives."""

    path: Path
    kind: NetworkKind
    graph: Graph

    @cached_property
    def sha256(self) -> str:
        """Of the file, in hexadecimal; read once. Raises FacePackRejected."""
        found = hashlib.sha256()
        try:
            with self.path.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    found.update(chunk)
        except OSError as error:
            raise FacePackRejected(
                f"{self.path} cannot be read: {error.strerror}; restore it"
            ) from error
        return found.hexdigest()


@dataclass(frozen=True)
class FacePack:
    """A detector and a recogniser that FaceID can use.

    others: what else lies in the folder; it is never loaded. settings: how the pack is used unless
    something else is said: a bundle's own, else DETECTOR_SIZES or the one size that it is fixed to.
    """

    name: str
    directory: Path
    detector: PackFile
    recogniser: PackFile
    others: tuple[PackFile, ...]
    settings: FacesSettings

    @cached_property
    def digest(self) -> str:
        """sha256 of the two files in use, in hexadecimal. Raises FacePackRejected."""
        return hashlib.sha256(
            f"{self.detector.sha256}\n{self.recogniser.sha256}".encode()
        ).hexdigest()

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(width, height) if the detector takes one size only."""
        return _fixed_size(self.detector)


def find_face_pack(name_or_place: str | Path) -> FacePack:
    """The pack of that name, or in that folder.

    A name is looked for under $INSIGHTFACE_HOME and ~/.insightface, in `models/NAME` and `NAME`,
    then among the bundles, then in the working directory. In a folder the networks may lie deeper,
    as archives unpack. Where a folder holds two detectors (or recognisers), name the one to use:
    `folder/det_10g.onnx`.
    Raises FacePackRejected, and what `open_bundle` raises for a bundle that is not whole.
    """
    place = _locate(name_or_place)
    if isinstance(place, Bundle):
        return bundle_face_pack(place)
    if (place / MANIFEST_FILE).is_file():
        return bundle_face_pack(open_bundle(place))
    if place.is_dir():
        return read_face_pack(_folder_of_networks(place))
    if place.suffix.lower() != ".onnx":
        raise FacePackRejected(
            f"{place} is a file, a face pack is a folder of *.onnx; unpack it and name the folder"
        )
    return read_face_pack(place.parent, chosen=place)


def bundle_face_pack(bundle: Bundle) -> FacePack:
    """A bundle's own pack with the bundle's settings. Raises BundleCorrupt, FacePackRejected."""
    directory = bundle.path(ComponentKind.FACES)
    settings = bundle.manifest.faces
    if settings is None:  # the manifest's own check forbids it
        raise BundleCorrupt(f"bundle {bundle.name!r} has no [faces] table; add it")
    if not directory.is_dir():
        raise BundleCorrupt(f"{directory} is gone; restore the bundle")
    return read_face_pack(directory, settings, name=bundle.name)


def read_face_pack(
    directory: Path,
    settings: FacesSettings | None = None,
    *,
    chosen: Path | None = None,
    name: str = "",
) -> FacePack:
    """The pack whose networks lie in `directory` itself. chosen: its detector or recogniser.

    Raises FacePackRejected where one is missing, unusable, damaged, or one of several.
    """
    paths = _networks_in(directory)
    if not paths:
        raise FacePackRejected(
            f"{directory} holds no *.onnx; a face pack has a detector and a recogniser"
        )
    _refuse_second_form(directory)
    files = [PackFile(path, _kind(graph), graph) for path in paths for graph in [read_graph(path)]]
    detector = _only(directory, files, NetworkKind.DETECTOR, chosen)
    recogniser = _only(directory, files, NetworkKind.RECOGNISER, chosen)
    if chosen is not None and chosen not in (detector.path, recogniser.path):
        raise FacePackRejected(
            f"{chosen} is neither a detector nor a recogniser; name one of these, or the folder"
        )
    if len(detector.graph.outputs) not in _POINTED_OUTPUTS:
        raise FacePackRejected(
            f"{detector.path} is a detector without points ({len(detector.graph.outputs)} outputs, "
            "not 9 or 15); FaceID needs all five, choose another pack"
        )
    width = recogniser.graph.outputs[0][-1]
    if width not in (EMBEDDING_SIZE, None):
        raise FacePackRejected(
            f"{recogniser.path} is a recogniser of {width} outputs, FaceID takes {EMBEDDING_SIZE}; "
            "choose another pack"
        )
    fixed = _fixed_size(detector)
    usual = FacesSettings(detector_sizes=DETECTOR_SIZES if fixed is None else (fixed,))
    others = tuple(file for file in files if file not in (detector, recogniser))
    return FacePack(
        name or directory.name, directory, detector, recogniser, others, settings or usual
    )


def _locate(name_or_place: str | Path) -> Path | Bundle:
    text = str(name_or_place)
    named = (
        isinstance(name_or_place, str) and text not in ("", ".", "..") and Path(text).name == text
    )
    if named and not text.startswith("~"):
        for root in _roots():
            for place in (root / "models" / text, root / text):
                if place.is_dir():
                    return place
        if text in list_bundles():
            return open_bundle(text)
    place = Path(os.path.expanduser(text))
    if text and place.exists():
        return place
    if not named:
        raise FacePackRejected(
            f"there is no folder {text!r}; name a folder of *.onnx, or a pack by its name"
        )
    looked = ", ".join(str(root / "models") for root in _roots())
    raise FacePackRejected(
        f"there is no face pack {text!r} in {looked}, nor a bundle of that name, and none is "
        f"fetched; unpack it there, set {HOME_VARIABLE}, or name its folder"
    )


def _roots() -> tuple[Path, ...]:
    """Where InsightFace's packs lie on this machine, the user's own choice first."""
    named = os.environ.get(HOME_VARIABLE)
    usual = Path(os.path.expanduser("~/.insightface"))
    return (Path(os.path.expanduser(named)), usual) if named else (usual,)


def _folder_of_networks(folder: Path) -> Path:
    """The folder itself or the only one below it that holds networks."""
    if _networks_in(folder):
        return folder
    found = list(_below(folder, DEEPEST_NESTING))
    if len(found) > 1:
        listed = ", ".join(str(one.relative_to(folder)) for one in found[:4])
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise FacePackRejected(
            f"{folder} holds {len(found)} packs: {listed}{more}; name one of these folders"
        )
    return found[0] if found else folder


def _below(folder: Path, deepest: int) -> Iterator[Path]:
    try:
        inner = sorted(one for one in folder.iterdir() if _shown(one) and one.is_dir())
    except OSError:  # a folder that may not be looked into holds no pack for us
        return
    for one in inner:
        if _networks_in(one):
            yield one
        elif deepest > 1:
            yield from _below(one, deepest - 1)


def _networks_in(folder: Path) -> list[Path]:
    try:
        return sorted(
            one
            for one in folder.iterdir()
            if _shown(one) and one.suffix.lower() == ".onnx" and not one.is_dir()
        )
    except OSError:
        return []


def _shown(path: Path) -> bool:
    return not path.name.startswith(".") and path.name != "__MACOSX"


def _refuse_second_form(directory: Path) -> None:
    """InsightFace's newer packs say their own preprocessing, and their faces are not FaceID's."""
    try:
        described = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if isinstance(described, dict) and described.get("manifest_version") == 2:
        raise FacePackRejected(
            f"{directory} is a pack of InsightFace's second form (manifest.json), which FaceID was "
            "not trained with; choose one of the first, such as buffalo_l"
        )


def _kind(graph: Graph) -> NetworkKind:
    """InsightFace's rules, in its order, with what its ArcFace asserts later."""
    if len(graph.outputs) >= _DETECTOR_OUTPUTS:
        return NetworkKind.DETECTOR
    if not graph.inputs or len(graph.inputs[0]) != 4:
        return NetworkKind.UNKNOWN
    height, width = graph.inputs[0][2:]
    if height is None or height != width:
        return NetworkKind.UNKNOWN
    if height == 192:
        return NetworkKind.LANDMARKS
    if height == 96:
        return NetworkKind.ATTRIBUTES
    if len(graph.inputs) == 2 and height == 128:
        return NetworkKind.SWAPPER
    alignable = height % 112 == 0 or height % 128 == 0
    one_vector = len(graph.inputs) == len(graph.outputs) == 1 and len(graph.outputs[0]) == 2
    return NetworkKind.RECOGNISER if alignable and one_vector else NetworkKind.UNKNOWN


def _only(
    directory: Path, files: Sequence[PackFile], kind: NetworkKind, chosen: Path | None
) -> PackFile:
    found = [file for file in files if file.kind is kind]
    if chosen in [file.path for file in found]:
        found = [file for file in found if file.path == chosen]
    if not found:
        listed = ", ".join(f"{file.path.name} ({file.kind})" for file in files)
        raise FacePackRejected(
            f"{directory} has no {kind} among its *.onnx: {listed}; choose a whole pack"
        )
    if len(found) > 1:
        listed = ", ".join(file.path.name for file in found)
        raise FacePackRejected(
            f"{directory} has {len(found)} {kind}s: {listed}; name the one to use, such as "
            f"{found[0].path}"
        )
    return found[0]


def _fixed_size(detector: PackFile) -> tuple[int, int] | None:
    shape = detector.graph.inputs[0] if detector.graph.inputs else ()
    if len(shape) != 4 or shape[2] is None or shape[3] is None:
        return None
    return shape[3], shape[2]
