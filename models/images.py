"""Photographs from anywhere, made plain 8-bit RGB or refused with a reason."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from models.errors import ImageRejected

ImageSource = str | Path | bytes | Image.Image | NDArray[np.uint8] | NDArray[np.uint16]

MAX_PIXELS = 64 << 20  # 192 MiB once decoded
MAX_FILE_BYTES = 256 << 20
SMALLEST_SIDE = 16  # pixels

# Formats of photographs that are decoded here; none of them runs a program or fetches anything.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")
_ADVICE = "give a JPEG, PNG, WebP, AVIF, TIFF or BMP picture"

_SIGNATURES = {
    b"\xff\xd8\xff": "a JPEG",
    b"\x89PNG\r\n\x1a\n": "a PNG",
    b"GIF8": "a GIF",
    b"II*\x00": "a TIFF",
    b"MM\x00*": "a TIFF",
    b"BM": "a BMP",
    b"RIFF": "a WebP",
}
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
)


def read_image(
    source: ImageSource, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """The picture as PIL RGB, upright, alpha flattened on white; a copy, whatever was given.

    source: a file's path, its bytes, a PIL image, or an array [height, width] or
        [height, width, 1 | 3 | 4] of uint8 or uint16 (RGB, RGBA or grey).
    name: what messages call it; the path, where one was given.
    16-bit samples are scaled to 8; grey, CMYK and palettes become RGB; EXIF's rotation is applied.
    Size is checked before anything is decoded. Raises ImageRejected.
    """
    return decoded(source, name, max_pixels, _to_rgb)


def decoded(
    source: ImageSource,
    name: str | None,
    max_pixels: int,
    made: Callable[[Image.Image, str], Image.Image],
) -> Image.Image:
    """A picture as `read_image` checks it, upright, and as `made` makes it of PIL's. `made` is
    given the name as well; what Pillow raises in it is taken for damage. Raises ImageRejected.
    """
    if isinstance(source, np.ndarray):
        return made(_from_array(source, name or "the array", max_pixels), name or "the array")
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of its own, higher limit; errors are ours to word.
        warnings.simplefilter("ignore")
        if isinstance(source, Image.Image):
            return _plain(source, name or "the picture", max_pixels, made)
        if isinstance(source, bytes):
            data, name = source, name or "the picture"
        else:
            data, name = _read_file(source), name or str(source)
        if not data:
            raise ImageRejected(f"{name} is empty; {_ADVICE}")
        with _open(data, name) as image:
            return _plain(image, name, max_pixels, made)


def _read_file(source: str | Path) -> bytes:
    text = str(source)
    if text.lower().startswith(("http://", "https://", "data:")):
        raise ImageRejected(f"{text[:60]} is an address, not a file; download it and give the file")
    path = Path(os.path.expanduser(source))  # Path's own raises where there is no such user
    try:
        if path.is_dir():
            raise ImageRejected(f"{path} is a folder; name one picture in it")
        if not path.exists():
            raise ImageRejected(f"there is no file {path}; check the name")
        if not path.is_file():
            raise ImageRejected(f"{path} is not a regular file; {_ADVICE}")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ImageRejected(
                f"{path} has {size >> 20} MiB, at most {MAX_FILE_BYTES >> 20} are read; "
                "save it smaller"
            )
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImageRejected(f"{path} cannot be read: {reason}; check its permissions") from error
    except ValueError as error:
        if isinstance(error, ImageRejected):
            raise
        raise ImageRejected(f"{text!r} is no file name: {error}") from error


def _open(data: bytes, name: str) -> Image.Image:
    Image.init()
    known = [kind for kind in FORMATS if kind in Image.OPEN]  # Pillow is built with some or all
    try:
        return Image.open(io.BytesIO(data), formats=known)
    except Image.DecompressionBombError as error:
        raise ImageRejected(_too_large(name, "far too many", MAX_PIXELS)) from error
    except UnidentifiedImageError as error:
        raise ImageRejected(_unidentified(data, name)) from error
    except _DAMAGE as error:
        raise _damaged(name, error) from error


def _unidentified(data: bytes, name: str) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return f"{name} is a HEIC picture, which is not read here; export it as JPEG"
    for signature, kind in _SIGNATURES.items():
        if data.startswith(signature):
            return f"{name} begins like {kind} but is damaged or cut short; save or copy it again"
    return f"{name} is not a picture; {_ADVICE}"


def _too_large(name: str, size: str, max_pixels: int) -> str:
    return (
        f"{name} declares {size} pixels, at most {max_pixels / 1e6:.0f} million are decoded; "
        "save it smaller"
    )


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageRejected(_too_large(name, f"{width}×{height}", max_pixels))
    if min(width, height) < SMALLEST_SIDE:
        raise ImageRejected(
            f"{name} is {width}×{height} pixels, at least {SMALLEST_SIDE} each way are needed; "
            "give a larger picture"
        )


def _damaged(name: str, error: Exception) -> ImageRejected:
    reason = str(error).split("\n")[0] or type(error).__name__
    return ImageRejected(f"{name} is damaged or cut short ({reason}); save or copy it again")


def _plain(
    image: Image.Image,
    name: str,
    max_pixels: int,
    made: Callable[[Image.Image, str], Image.Image],
) -> Image.Image:
    _check_size(name, *image.size, max_pixels)
    try:
        _check_frames(image, name)
        image.load()
        return made(ImageOps.exif_transpose(image), name)
    except ImageRejected:
        raise
    except Image.DecompressionBombError as error:
        raise ImageRejected(_too_large(name, "far too many", max_pixels)) from error
    except _DAMAGE as error:
        raise _damaged(name, error) from error


def _check_frames(image: Image.Image, name: str) -> None:
    frames = getattr(image, "n_frames", 1)
    # A phone's MPO is a photograph with a depth or gain map behind it, not an animation.
    if frames > 1 and image.format != "MPO":
        kind = f"{frames} pages" if image.format == "TIFF" else f"{frames} frames: it is animated"
        raise ImageRejected(f"{name} has {kind}; save the one you mean as a picture of its own")


def in_eight_bits(image: Image.Image, name: str) -> Image.Image:
    """The picture with samples of 8 bits, its mode as it was otherwise. Raises ImageRejected."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(image).astype(np.uint16)))
    if image.mode in ("I", "F"):
        raise ImageRejected(f"{name} has 32-bit samples; save it with 8 or 16 bits")
    return image


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    given, image = image, in_eight_bits(image, name)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    rgb = image.convert("RGB")
    return rgb.copy() if rgb is given else rgb


def _from_array(array: NDArray[np.generic], name: str, max_pixels: int) -> Image.Image:
    shape = "×".join(map(str, array.shape)) or "a scalar"
    plane = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if plane.ndim not in (2, 3) or (plane.ndim == 3 and plane.shape[2] not in (3, 4)):
        raise ImageRejected(
            f"{name} has shape {shape}; a picture is [height, width] or [height, width, 3 or 4]"
        )
    _check_size(name, plane.shape[1], plane.shape[0], max_pixels)
    if plane.dtype == np.uint16:
        samples = _eight_bits(plane.astype(np.uint16))
    elif plane.dtype == np.uint8:
        samples = plane.astype(np.uint8)
    else:
        raise ImageRejected(
            f"{name} has samples of {array.dtype}; give uint8 from 0 to 255 or uint16 to 65535"
        )
    return Image.fromarray(np.ascontiguousarray(samples))


def _eight_bits(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    # 65535 = 255 · 257: the full range of sixteen bits onto that of eight, to the nearest.
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
