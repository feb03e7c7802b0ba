"""Where an analyser's networks, sizes and thresholds come from: a bundle, or a pack beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.bundle import Bundle
from models.errors import BundleCorrupt, FacePackRejected, ModelsError
from models.face_networks import FaceNetworks, load_networks
from models.face_packs import FacePack, bundle_face_pack
from models.manifest import ComponentKind, FacesSettings


class FaceSource(Protocol):
    """What a FaceAnalyser is made from."""

    @property
    def settings(self) -> FacesSettings: ...
    @property
    def hint(self) -> str: ...
    @property
    def files_digest(self) -> str: ...
    def load(self, providers: Sequence[str]) -> FaceNetworks: ...
    def blamed(self, error: FacePackRejected) -> ModelsError: ...


@dataclass(frozen=True)
class BundleFaces:
    """A bundle's own pack; its files are read when it is loaded, not before."""

    bundle: Bundle
    settings: FacesSettings

    @classmethod
    def of(cls, bundle: Bundle, settings: FacesSettings | None = None) -> BundleFaces:
        """settings: the bundle's own where None. Raises BundleCorrupt for one without a pack."""
        bundle.component(ComponentKind.FACES)
        known = bundle.manifest.faces
        if known is None:  # the manifest's own check forbids it
            raise BundleCorrupt(f"bundle {bundle.name!r} has no [faces] table; add it")
        return cls(bundle, settings or known)

    @property
    def hint(self) -> str:
        """What the bundle advises when no face is found."""
        return self.bundle.manifest.draws.hint

    @property
    def files_digest(self) -> str:
        """Of the files, as the manifest records them."""
        return self.bundle.component_digest(ComponentKind.FACES)

    def load(self, providers: Sequence[str]) -> FaceNetworks:
        """Raises FacePackRejected, BundleCorrupt."""
        return load_networks(bundle_face_pack(self.bundle), self.settings, providers)

    def blamed(self, error: FacePackRejected) -> ModelsError:
        """What is wrong with a bundle's pack is wrong with the bundle."""
        wrong = str(error).rpartition("; ")[0] or str(error)  # a pack's remedy is not a bundle's
        return BundleCorrupt(f"{wrong}; restore the bundle {self.bundle.name!r}")


@dataclass(frozen=True)
class GivenFaces:
    """A pack given beside the bundle."""

    pack: FacePack
    settings: FacesSettings
    hint: str = ""

    @property
    def files_digest(self) -> str:
        """Of the two files in use, read once. Raises FacePackRejected."""
        return self.pack.digest

    def load(self, providers: Sequence[str]) -> FaceNetworks:
        """Raises FacePackRejected."""
        return load_networks(self.pack, self.settings, providers)

    def blamed(self, error: FacePackRejected) -> ModelsError:
        """The error itself: it names the file."""
        return error


def recogniser_warning(pack: FacePack, bundle: Bundle) -> str:
    """One line where a bundle's FaceID is given faces of another recogniser; else empty.

    FaceID draws from the embeddings of the ArcFace it was trained on (buffalo_l's w600k_r50 for the
    public weights). Those of any other are unit vectors too, and mean nothing to it: it draws
    somebody, and not the person. Compared by sha256, so a copy under another name is the same.
    """
    if not bundle.has(ComponentKind.FACES):
        return (
            f"bundle {bundle.name!r} does not say which recogniser its FaceID was trained on; "
            f"faces of {pack.recogniser.path.name} may mean nothing to it"
        )
    known = {record.sha256 for record in bundle.component(ComponentKind.FACES).files.values()}
    if pack.recogniser.sha256 in known:
        return ""
    return (
        f"{pack.recogniser.path.name} of face pack {pack.name!r} is not the recogniser that bundle "
        f"{bundle.name!r} was trained on; portraits may not show the person"
    )
