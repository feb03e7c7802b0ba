"""Where results go: checked before anything is loaded, written whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import OptionRejected, OutputRejected

if TYPE_CHECKING:
    from PIL.Image import Image

    from fusion import FusionResult

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def check_image_path(path: Path, *, inputs: Iterable[Path | str] = ()) -> None:
    """Refuse a path that cannot take a picture, or that would overwrite one of the inputs.

    Raises OutputRejected, and leaves nothing behind.
    """
    _check_name(path)
    for source in inputs:
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise OutputRejected(f"{path} is also an input: choose another name for the result")
    _check_writable(path.parent, path)


def check_photos(paths: Iterable[Path | str]) -> None:
    """Refuse photos that are not there, before seconds are spent on loading what reads them.

    Raises OptionRejected.
    """
    for path in map(Path, paths):
        if not path.exists():
            raise OptionRejected(f"there is no file {path}; check the name")


def check_directory(path: Path) -> None:
    """Refuse a folder that cannot be made or written to. Raises OutputRejected."""
    if path.exists() and not path.is_dir():
        raise OutputRejected(f"{path} is a file, and a folder is needed: choose another name")
    _check_writable(path, path)


def check_files(paths: Iterable[Path]) -> None:
    """Refuse results of which one cannot be written where it belongs. Raises OutputRejected."""
    paths = list(paths)
    for folder in {path.parent for path in paths}:
        check_directory(folder)
    for path in paths:
        if path.is_dir():
            raise OutputRejected(f"{path} is a folder, and a file is needed: move it away")


def numbered(path: Path, count: int) -> list[Path]:
    """`out.png` for one picture; `out-1.png`, `out-2.png` … for several. Raises OutputRejected."""
    _check_name(path)
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{index}{path.suffix}") for index in range(1, count + 1)]


def write_images(images: Mapping[Path, "Image"]) -> None:
    """Write pictures so that all of them appear, whole, or none does."""
    write_all({path: image_writer(image, path) for path, image in images.items()})


def write_all(writers: Mapping[Path, Callable[[Path], None]]) -> None:
    """Call each writer on a temporary neighbour of its path, then move all into place."""
    staged: list[tuple[Path, Path]] = []
    try:
        for path, write in writers.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".limner-", suffix=path.suffix, dir=path.parent)
            os.close(handle)
            staged.append((Path(name), path))
            write(Path(name))
        for temporary, path in staged:
            temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 is for secrets
            temporary.replace(path)
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def image_writer(image: "Image", path: Path) -> Callable[[Path], None]:
    """What writes a picture in the format that the name of `path` asks for."""

    def save(temporary: Path) -> None:
        if path.suffix.lower() in (".jpg", ".jpeg"):
            image.convert("RGB").save(temporary, quality=95, subsampling=0)
        else:
            image.save(temporary)

    return save


def portrait_writer(result: "FusionResult", index: int = 0) -> Callable[[Path], None]:
    """What writes picture `index` of a result, labelled as generated."""

    def write(path: Path) -> None:
        from fusion import save

        save(result, path, index)

    return write


def _check_name(path: Path) -> None:
    if path.is_dir():
        raise OutputRejected(f"{path} is a folder: name a file in it, such as {path / 'out.png'}")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise OutputRejected(
            f"{path} has no picture's ending: end it in one of {', '.join(IMAGE_SUFFIXES)}"
        )


def _check_writable(directory: Path, path: Path) -> None:
    """Prove by a temporary file that the nearest existing folder takes files."""
    existing = directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise OutputRejected(f"cannot write {path}: {existing} is not a folder")
    try:
        with tempfile.NamedTemporaryFile(prefix=".limner-", dir=existing):
            pass
    except OSError as error:
        raise OutputRejected(f"cannot write {path}: {existing}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
