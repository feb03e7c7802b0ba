"""A public bundle as it is to be fetched: every file, where from, under which licence."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from models.bundle import PACKAGED, SOURCES
from models.errors import SourceRejected
from models.manifest import BundleDescription, ComponentDescription
from models.pulling.extending import extended, spread
from models.pulling.schema import ComponentTable, FileTable, SourceTable


@dataclass(frozen=True)
class Licence:
    """Its name, where its words are, and in a sentence what it allows."""

    name: str
    url: str
    allows: str


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of the hub, at a revision."""

    repository: str
    path: str
    revision: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision[:12]}/{self.path}"


@dataclass(frozen=True)
class WebFile:
    """A file at a plain address."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Text:
    """A small file whose text the description itself says."""

    text: str

    def __str__(self) -> str:
        return "written here"


@dataclass(frozen=True)
class Archive:
    """A zip at an address, with what is known of its content."""

    url: str
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Member:
    """A member of a zip."""

    archive: Archive
    name: str

    def __str__(self) -> str:
        return f"{self.archive.url} ({self.name})"


Origin = HubFile | WebFile | LocalFile | Text | Member


@dataclass(frozen=True)
class SourceFile:
    """One file: `target` its path in the bundle; sha256 and size (bytes) of what is fetched, None
    where they are not publicly known.
    """

    target: str
    origin: Origin
    licence: Licence
    sha256: str | None = None
    size: int | None = None
    convert: bool = False

    @property
    def fetched(self) -> bool:
        """Whether it comes over the network."""
        return not isinstance(self.origin, Text | LocalFile)

    @cached_property
    def identity(self) -> str:
        """sha256 of all that decides the content: equal for files that may stand for each other."""
        said = repr((self.origin, self.sha256, self.size, self.convert))
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True)
class Source:
    """A public bundle: what its manifest will say, its files, the bundle it is built upon."""

    description: BundleDescription
    files: tuple[SourceFile, ...]
    base: Source | None = None

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def licences(self) -> tuple[Licence, ...]:
        """Each once, in the order of the files."""
        return tuple(dict.fromkeys(file.licence for file in self.files))

    @cached_property
    def digest(self) -> str:
        """sha256 of the whole description."""
        said = [self.description.model_dump_json()]
        said += [f"{file.target} {file.identity}" for file in self.files]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    @property
    def known_bytes(self) -> int:
        """The sum of the sizes that are known, of the files as they are fetched."""
        return sum(file.size or 0 for file in self.files)


def list_sources() -> tuple[str, ...]:
    """The names of the public bundles, sorted."""
    return tuple(sorted(file.stem for file in SOURCES.glob("*.toml")))


def read_source(name_or_file: str | Path) -> Source:
    """The description of a public bundle by its name, or in a TOML file of the user's own.

    Raises SourceRejected naming the line or the key that is wrong.
    """
    return _read(_locate(str(name_or_file)), ())


def source_example() -> str:
    """The text of a description to begin with, every setting explained."""
    return Path(__file__).with_name("example.toml").read_text(encoding="utf-8")


def _locate(text: str) -> Path:
    packaged = SOURCES / f"{text}.toml"
    if "/" not in text and packaged.is_file():
        return packaged
    file = _home(text)
    if file.is_file():
        if file.suffix in (".safetensors", ".ckpt"):
            raise SourceRejected(
                f"{file} is a checkpoint in a single file; convert it with diffusers: "
                "StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER), and name "
                "the folder in a description: limner models example"
            )
        return file
    known = ", ".join(list_sources())
    raise SourceRejected(
        f"there is no public bundle {text!r} and no such file; known: {known}; a description of "
        "your own begins with: limner models example > my.toml"
    )


def _home(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody of that name
        return Path(text)


def _raw(file: Path) -> dict[str, object]:
    try:
        return spread(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceRejected(f"{file} cannot be read: {error}; correct it") from error


def _read(file: Path, above: tuple[Path, ...]) -> Source:
    if file in above:
        raise SourceRejected(f"{file} extends itself; name another base")
    raw, base = _raw(file), None
    extends = raw.get("extends")
    if isinstance(extends, str):
        beside = file.parent / extends
        base_file = beside if beside.is_file() else _locate(extends)
        base = _read(base_file, (*above, file))
        raw = extended(_whole_raw(base_file), raw)
    try:
        table = SourceTable.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SourceRejected(f"{file}: {where}: {first['msg']}; correct it") from error
    if (PACKAGED / table.name).exists():
        raise SourceRejected(
            f"{file}: the bundle {table.name!r} ships already; choose another name"
        )
    if base is not None and base.name == table.name:
        raise SourceRejected(f"{file}: it is called {table.name!r} as its base; rename it")
    return _source(table, file, base)


def _whole_raw(file: Path) -> dict[str, object]:
    """A base's own raw tables, upon its own base's; `_read` has checked them before."""
    raw = _raw(file)
    extends = raw.pop("extends", None)
    if not isinstance(extends, str):
        return raw
    beside = file.parent / extends
    return extended(_whole_raw(beside if beside.is_file() else _locate(extends)), raw)


def _source(table: SourceTable, file: Path, base: Source | None) -> Source:
    components: list[ComponentDescription] = []
    files: list[SourceFile] = []
    for part in table.component:
        path = part.path or part.name
        found = tuple(_files(table, part, path, file))
        files += found
        components.append(
            ComponentDescription(
                name=part.name,
                path=path,
                kind=part.kind,
                source=", ".join(dict.fromkeys(filter(None, map(_place, found)))) or file.name,
                revision=", ".join(dict.fromkeys(filter(None, map(_revision, found)))) or "local",
                licence=", ".join(dict.fromkeys(one.licence.name for one in found)),
                scale=part.scale,
            )
        )
    head = table.model_dump(by_alias=True, exclude={"extends", "licences", "archives", "component"})
    try:
        description = BundleDescription(**head, component=tuple(components))
    except ValidationError as error:
        raise SourceRejected(f"{file}: {error.errors()[0]['msg']}; correct it") from error
    return Source(description, tuple(files), base)


def _files(table: SourceTable, part: ComponentTable, path: str, home: Path) -> list[SourceFile]:
    def licence(key: str | None) -> Licence:
        said = table.licences[key or part.licence]
        return Licence(said.name, said.url, said.allows)

    wanted: dict[str, SourceFile] = {}
    if part.folder is not None:
        folder = _beside(home, part.folder)
        if not folder.is_dir():
            raise SourceRejected(f"{home}: {part.name}: {folder} is no folder; name one")
        for found in sorted(folder.rglob("*")):
            inner = found.relative_to(folder)
            if found.is_file() and not any(piece.startswith(".") for piece in inner.parts):
                target = str(PurePosixPath(path, inner.as_posix()))
                wanted[target] = SourceFile(target, LocalFile(found), licence(None))
    for file in part.file:
        target = str(PurePosixPath(path, file.to))
        origin = _origin(table, file, home)
        size = len(file.write.encode()) if file.write is not None else file.bytes
        wanted[target] = SourceFile(
            target, origin, licence(file.licence), file.sha256, size, file.convert
        )
    return list(wanted.values())


def _origin(table: SourceTable, file: FileTable, home: Path) -> Origin:
    if file.write is not None:
        return Text(file.write)
    if file.url is not None:
        return WebFile(file.url)
    if file.path is not None:
        return LocalFile(_beside(home, file.path))
    source = file.source or ""  # the schema has seen to it that there is one
    if file.archive is not None:
        archive = table.archives[file.archive]
        return Member(Archive(archive.url, archive.sha256, archive.bytes), source)
    return HubFile(file.hub or "", source, file.revision or "")


def _beside(home: Path, text: str) -> Path:
    """A path said in a description: absolute, of the user's home, or beside the description."""
    return (home.parent / _home(text)).absolute()


def _place(file: SourceFile) -> str:
    origin = file.origin
    if isinstance(origin, HubFile):
        return origin.repository
    if isinstance(origin, Member):
        return origin.archive.url
    return str(origin) if isinstance(origin, WebFile | LocalFile) else ""


def _revision(file: SourceFile) -> str:
    origin = file.origin
    if isinstance(origin, Member) and origin.archive.sha256:
        return f"sha256 {origin.archive.sha256}"
    return origin.revision if isinstance(origin, HubFile) else ""
