"""Pictures inside a page: small WebP files as data URIs, each of them once."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from PIL import Image

LONGEST: Final = 256  # pixels of the longer side
_QUALITY: Final = 88
_EFFORT: Final = 2  # of WebP's 0 to 6: more takes twice the time, for 4 % of the bytes


class Album:
    """The pictures of a page, by file; what cannot be read is left out, and the page says so.

    folder: of the run; files: relative to it, as often as they are shown; "" is no picture.
    """

    def __init__(self, folder: Path, files: Iterable[str]) -> None:
        self._folder = folder
        self._numbers: dict[str, int] = {}
        self.uris: list[str] = []
        once = list(dict.fromkeys(file for file in files if file))
        with ThreadPoolExecutor() as pool:  # Pillow decodes and encodes without the GIL
            for file, uri in zip(once, pool.map(self._uri, once), strict=True):
                if uri is not None:
                    self._numbers[file] = len(self.uris)
                    self.uris.append(uri)

    def number(self, file: str) -> int:
        """Where in `uris` the picture stands; −1 where there is none."""
        return self._numbers.get(file, -1)

    def _uri(self, file: str) -> str | None:
        try:
            with Image.open(self._folder / file) as image:
                small = image.convert("RGB")
        except (OSError, SyntaxError):  # Pillow says the latter of a damaged PNG
            return None
        small.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        small.save(data, "WEBP", quality=_QUALITY, method=_EFFORT)
        return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")
