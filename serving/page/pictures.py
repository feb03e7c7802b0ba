"""Pictures as the page shows them: kept in its cache, made comparable, made small."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

_COMPARED_SIDE: Final = 640  # pixels of the longer side of what is laid over each other
_SMALL_SIDE: Final = 560

Box = tuple[int, int, int, int]


def keep(data: bytes, name: str) -> str:
    """The path of a file in the page's cache that holds exactly these bytes.

    Gradio serves it from there, to whoever is signed in and knows the name, and forgets it in time.
    """
    from gradio.processing_utils import save_bytes_to_cache
    from gradio.utils import get_upload_folder

    return str(save_bytes_to_cache(data, name, get_upload_folder()))


def comparable(before: Path, after: bytes) -> tuple[bytes, bytes]:
    """Both at the same size, as PNG: the photo cut to the portrait's form about its middle.

    Raises OSError where one of them is no picture.
    """
    with Image.open(io.BytesIO(after)) as opened:
        painted = opened.convert("RGB")
    with Image.open(before) as opened:
        photo = ImageOps.exif_transpose(opened).convert("RGB")
    scale = _COMPARED_SIDE / max(painted.size)
    size = (round(painted.width * scale), round(painted.height * scale))
    return (
        _png(ImageOps.fit(photo, size, Image.Resampling.LANCZOS)),
        _png(painted.resize(size, Image.Resampling.LANCZOS)),
    )


def small(photo: Path, boxes: tuple[Box, ...]) -> tuple[bytes, tuple[int, int], tuple[Box, ...]]:
    """The photo upright and small as JPEG, its size, and the boxes upon it. Raises OSError."""
    with Image.open(photo) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    scale = min(1.0, _SMALL_SIDE / max(upright.size))
    size = (max(1, round(upright.width * scale)), max(1, round(upright.height * scale)))
    written = io.BytesIO()
    upright.resize(size, Image.Resampling.LANCZOS).save(written, "JPEG", quality=88)
    scaled = tuple(
        (round(a * scale), round(b * scale), round(c * scale), round(d * scale))
        for a, b, c, d in boxes
    )
    return written.getvalue(), size, scaled


def _png(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()
