"""Pictures as the page shows them, and the folder they lie in."""

import asyncio
import io
import os
import stat
from pathlib import Path

import numpy as np
from PIL import Image

from serving.page.examples import drawn_portraits
from serving.page.folder import looked_after, new_folder, sweep
from serving.page.pictures import comparable, small


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    """A picture of that size."""
    written = io.BytesIO()
    Image.new("RGB", (width, height), (200, 100, 50)).save(written, kind)
    return written.getvalue()


def test_drawn_people_are_others_every_time_and_the_same_for_a_seed() -> None:
    first, second = drawn_portraits(2, seed=5), drawn_portraits(2, seed=5)
    assert first == second
    assert first[0] != first[1]
    assert drawn_portraits(1) != drawn_portraits(1)
    assert Image.open(io.BytesIO(first[0])).size == (512, 512)


def test_before_and_after_lie_over_each_other(tmp_path: Path) -> None:
    before = tmp_path / "before.jpg"
    before.write_bytes(picture(900, 300, "JPEG"))
    photo, painted = comparable(before, picture(128, 160))
    sizes = {Image.open(io.BytesIO(data)).size for data in (photo, painted)}
    assert sizes == {(512, 640)}


def test_faces_are_marked_on_the_photo_as_it_is_seen(tmp_path: Path) -> None:
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    Image.fromarray(np.zeros((600, 1200, 3), np.uint8)).save(turned, exif=exif)
    data, size, boxes = small(turned, ((100, 200, 300, 400),))
    assert size == (280, 560)
    assert Image.open(io.BytesIO(data)).size == size
    assert boxes == ((47, 93, 140, 187),)


def test_the_folder_is_nobody_elses_and_goes_in_the_end(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    async def live() -> None:
        async with looked_after(folder):
            (folder / "a").mkdir()
            (folder / "a" / "face.png").write_bytes(b"x")

    asyncio.run(live())
    assert not folder.exists()


def test_folders_of_the_dead_are_removed_and_of_the_living_kept(tmp_path: Path) -> None:
    dead = tmp_path / "limner-page-999999999-x"
    alive = tmp_path / f"limner-page-{os.getpid()}-x"
    stranger = tmp_path / "limner-page-of-something-else"
    for folder in (dead, alive, stranger):
        folder.mkdir()
    (dead / "face.png").write_bytes(b"x")
    new_folder(tmp_path)
    assert not dead.exists()
    assert alive.exists()
    assert stranger.exists()


def test_what_is_old_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "face.png").write_bytes(b"x")
    sweep(tmp_path, kept_seconds=60)
    assert (tmp_path / "a" / "face.png").exists()
    sweep(tmp_path, kept_seconds=-60)
    sweep(tmp_path, kept_seconds=-60)
    assert not list(tmp_path.iterdir())
