"""Bundles on disk: found by name or directory, checked, verified, sealed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from models.errors import BundleCorrupt, BundleNotFound
from models.manifest import (
    CARD_FILE,
    MANIFEST_FILE,
    BundleDescription,
    BundleManifest,
    Component,
    ComponentKind,
    FileRecord,
    read_manifest,
    write_manifest,
)

PACKAGED = Path(__file__).with_name("bundles")
SOURCES = Path(__file__).with_name("sources")  # manifests of what can be fetched
LOCK_FILE = "sources.lock.toml"  # in a fetched bundle: where each file came from
_CHUNK_BYTES = 1 << 20

Progress = Callable[[str, int], None]  # called with the file's path and the bytes just read


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its directory and what its manifest says of it."""

    name: str
    directory: Path
    manifest: BundleManifest

    def has(self, kind: ComponentKind) -> bool:
        """Whether the bundle has a component of that kind."""
        return any(component.kind is kind for component in self.manifest.component)

    def component(self, kind: ComponentKind) -> Component:
        """The component of that kind. Raises BundleCorrupt where there is none."""
        for component in self.manifest.component:
            if component.kind is kind:
                return component
        raise BundleCorrupt(
            f"{self.directory / MANIFEST_FILE} has no component of kind {kind.value!r}; "
            "add it or choose another bundle"
        )

    def components_of(self, kind: ComponentKind) -> tuple[Component, ...]:
        """All components of that kind, in the manifest's order; there may be several LoRA."""
        return tuple(part for part in self.manifest.component if part.kind is kind)

    def path(self, kind: ComponentKind) -> Path:
        """The directory of the component of that kind. Raises BundleCorrupt."""
        return self.directory / self.component(kind).path

    def files(self) -> Iterator[tuple[Path, FileRecord]]:
        """Every file the manifest names, in its order, with what it must be."""
        for component in self.manifest.component:
            for path, record in component.files.items():
                yield self.directory / component.path / path, record

    @property
    def card(self) -> Path:
        """Where the measured figures lie; the file need not exist, and no digest covers it."""
        return self.directory / CARD_FILE

    @cached_property
    def digest(self) -> str:
        """sha256 over every path and digest of the manifest: equal for equal content anywhere."""
        return _digest_of(self.manifest.component)

    def component_digest(self, *kinds: ComponentKind) -> str:
        """sha256 over the files of the components of these kinds, those that exist."""
        return _digest_of(tuple(c for c in self.manifest.component if c.kind in kinds))


def _digest_of(components: tuple[Component, ...]) -> str:
    digest = hashlib.sha256()
    for component in sorted(components, key=lambda item: item.name):
        for path, record in sorted(component.files.items()):
            digest.update(f"{component.kind.value}\0{path}\0{record.sha256}\n".encode())
        if component.kind is ComponentKind.LORA:
            digest.update(f"scale\0{component.scale!r}\n".encode())  # another scale, other weights
    return digest.hexdigest()


def bundle_directories() -> tuple[Path, ...]:
    """Where bundles are looked for by name: the user's directory first, then the packaged ones.

    The user's is $LIMNER_BUNDLES, else limner/bundles under the user's data directory.
    """
    named = os.environ.get("LIMNER_BUNDLES")
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    user = _expanded(named) if named else _expanded(data) / "limner" / "bundles"
    return (user, PACKAGED)


def list_bundles() -> tuple[str, ...]:
    """The names `open_bundle` knows, sorted; a bundle may still be incomplete."""
    found: set[str] = set()
    for directory in bundle_directories():
        if directory.is_dir():
            found |= {file.parent.name for file in directory.glob(f"*/{MANIFEST_FILE}")}
    return tuple(sorted(found))


def open_bundle(name_or_directory: str | Path, verify: bool = False) -> Bundle:
    """The bundle of that name, or in that directory, with every file present and of its size.

    verify: also read every file and compare its sha256 (`verify_bundle`).
    Raises BundleNotFound, BundleCorrupt.
    """
    directory = _find(name_or_directory)
    manifest = read_manifest(directory / MANIFEST_FILE)
    bundle = Bundle(manifest.name, directory, manifest)
    missing = [path for path, _ in bundle.files() if not path.is_file()]
    if missing and len(missing) == sum(1 for _ in bundle.files()):
        raise BundleNotFound(
            f"bundle {bundle.name!r} is described in {directory} but none of its files are there; "
            f"fetch them with: limner models pull {bundle.name}"
        )
    if missing:
        others = f" and {len(missing) - 1} more files are" if len(missing) > 1 else " is"
        raise BundleCorrupt(f"{missing[0]}{others} missing; {_remedy(bundle)}")
    for path, record in bundle.files():
        size = path.stat().st_size
        if size != record.bytes:
            raise BundleCorrupt(
                f"{path} has {size} bytes, the manifest says {record.bytes}; {_remedy(bundle)}"
            )
    if verify:
        verify_bundle(bundle)
    return bundle


def verify_bundle(bundle: Bundle, progress: Progress | None = None) -> int:
    """Read every file of the bundle and compare its sha256; gives the number of files.

    Raises BundleCorrupt naming the first file that differs.
    """
    count = 0
    for path, record in bundle.files():
        found = file_sha256(path, progress)
        if found != record.sha256:
            raise BundleCorrupt(
                f"{path} has sha256 {found[:12]}…, the manifest says {record.sha256[:12]}…; "
                f"{_remedy(bundle)}"
            )
        count += 1
    return count


def seal_bundle(directory: Path, description: BundleDescription) -> Bundle:
    """Write `bundle.toml` for the files that lie in `directory`, and open the result.

    Every file under a component's path enters the manifest with its sha256; hidden files do not.
    Raises BundleNotFound for a missing directory, BundleCorrupt for a component without files.
    """
    if not directory.is_dir():
        raise BundleNotFound(f"{directory} is not a directory; build the bundle's parts first")
    components = []
    for part in description.component:
        root = directory / part.path
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        paths = [path for path in paths if not _hidden(path.relative_to(root))]
        if not paths:
            raise BundleCorrupt(f"{root} holds no file; build component {part.name!r} first")
        files = {
            path.relative_to(root).as_posix(): FileRecord(
                sha256=file_sha256(path), bytes=path.stat().st_size
            )
            for path in paths
        }
        components.append(Component(**part.model_dump(), files=files))
    head = description.model_dump(by_alias=True, exclude={"component"})
    manifest = BundleManifest(**head, component=tuple(components))
    write_manifest(directory / MANIFEST_FILE, manifest)
    return open_bundle(directory)


def _find(name_or_directory: str | Path) -> Path:
    text = str(name_or_directory)
    if isinstance(name_or_directory, str) and text and not _looks_like_path(text):
        for directory in bundle_directories():
            if (directory / text / MANIFEST_FILE).is_file():
                return directory / text
    directory = _expanded(text)
    if text and (directory / MANIFEST_FILE).is_file():
        return directory
    if text and directory.is_dir() and _looks_like_path(text):
        raise BundleNotFound(
            f"{directory} has no {MANIFEST_FILE}, so it is no bundle; name a bundle's directory"
        )
    if (SOURCES / f"{text}.toml").is_file() and not _looks_like_path(text):
        raise BundleNotFound(
            f"bundle {text!r} is public and not here; fetch it with: limner models pull {text}"
        )
    known = ", ".join(list_bundles()) or "none"
    raise BundleNotFound(
        f"there is no bundle {text!r}; bundles here: {known}; name one of them, or the "
        "directory of another"
    )


def _expanded(text: str) -> Path:
    """With ~ as the user's home, and left as it stands where there is no such user."""
    return Path(os.path.expanduser(text))


def _looks_like_path(text: str) -> bool:
    return "/" in text or os.sep in text or text.startswith((".", "~"))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _remedy(bundle: Bundle) -> str:
    if bundle.directory.parent == PACKAGED:
        return f"restore it with: git checkout -- models/bundles/{bundle.name}, or install again"
    if (bundle.directory / LOCK_FILE).is_file():
        return f"mend it with: limner models pull {bundle.name}"
    return "copy the bundle there again, whole"


def file_sha256(path: Path, progress: Progress | None = None) -> str:
    """sha256 of a file's content in hexadecimal. Raises BundleCorrupt where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                if progress is not None:
                    progress(str(path), len(chunk))
    except OSError as error:
        raise BundleCorrupt(f"{path} cannot be read: {error.strerror}; restore it") from error
    return digest.hexdigest()
