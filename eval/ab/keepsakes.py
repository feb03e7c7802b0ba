"""Where a run keeps the photos and real pictures that its report shows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from PIL import Image

from eval.ab.cases import SuiteCase
from eval.files import write_whole

PHOTOS: Final = "sources"  # not "photos", which is what people call their own
_LONGEST: Final = 512  # pixels of a side that are kept


def photo_files(case: int, person: int) -> tuple[str, str]:
    """Where a case's photo and real picture lie, relative to the run's folder."""
    return f"{PHOTOS}/{person:05d}.png", f"{PHOTOS}/wished-{case:05d}.png"


def keep_photos(folder: Path, case: SuiteCase) -> None:
    """Write a case's photo and real picture into the run's folder, once."""
    for file, picture in zip(
        photo_files(case.number, case.unit),
        (case.pictures.photo, case.pictures.wished),
        strict=True,
    ):
        path = folder / file
        if picture is None or path.exists():
            continue
        image = Image.fromarray(picture)
        image.thumbnail((_LONGEST, _LONGEST))
        data = io.BytesIO()
        image.save(data, "PNG", compress_level=4)
        write_whole(path, data.getvalue())
