"""Results appear whole or not at all, and a place that cannot take them is found first."""

import os
import stat
from pathlib import Path

import pytest
from PIL import Image

from cli.errors import OutputRejected
from cli.outputs import (
    check_directory,
    check_files,
    check_image_path,
    numbered,
    write_all,
    write_images,
)

PICTURE = Image.new("RGB", (20, 20), "teal")


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_good_path_passes_and_nothing_is_left_behind(tmp_path: Path) -> None:
    check_image_path(tmp_path / "out.png")
    check_image_path(tmp_path / "not" / "yet" / "there.jpg")
    check_directory(tmp_path / "new")
    assert _entries(tmp_path) == []


@pytest.mark.parametrize("name", ["out", "out.txt", "out.gif", "out.png.exe"])
def test_a_path_without_a_pictures_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputRejected, match=r"\.png"):
        check_image_path(tmp_path / name)


def test_a_folder_is_no_picture_and_a_file_no_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputRejected, match="is a folder"):
        check_image_path(tmp_path / "folder.png")
    (tmp_path / "file").touch()
    with pytest.raises(OutputRejected, match="is a file"):
        check_directory(tmp_path / "file")
    with pytest.raises(OutputRejected, match="not a folder"):
        check_image_path(tmp_path / "file" / "out.png")


def test_a_folder_that_takes_no_files_is_found_even_by_root() -> None:
    with pytest.raises(OutputRejected, match="cannot write"):
        check_image_path(Path("/proc/nowhere/out.png"))


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    PICTURE.save(photo)
    link = tmp_path / "link.png"
    link.symlink_to(photo)
    for path in (photo, link):
        with pytest.raises(OutputRejected, match="also an input"):
            check_image_path(path, inputs=[photo])


def test_several_pictures_are_numbered_from_one(tmp_path: Path) -> None:
    assert numbered(tmp_path / "out.png", 1) == [tmp_path / "out.png"]
    assert [path.name for path in numbered(tmp_path / "out.png", 2)] == ["out-1.png", "out-2.png"]


@pytest.mark.parametrize("name", [".", "..", "", "/", "new/.."])
def test_a_path_without_a_name_is_refused_before_it_is_numbered(name: str) -> None:
    """`-o . --count 2` was pathlib's own ValueError."""
    with pytest.raises(OutputRejected):
        numbered(Path(name), 2)


def test_one_result_that_cannot_be_written_is_found_before_any_is_drawn(tmp_path: Path) -> None:
    check_files([tmp_path / "new" / "a.png", tmp_path / "b.json"])
    assert _entries(tmp_path) == []
    (tmp_path / "b.json").mkdir()
    with pytest.raises(OutputRejected, match=r"b\.json is a folder"):
        check_files([tmp_path / "a.png", tmp_path / "b.json"])
    (tmp_path / "people").touch()
    with pytest.raises(OutputRejected, match="people is a file"):
        check_files([tmp_path / "a.png", tmp_path / "people" / "ada.png"])


def test_pictures_are_written_with_the_usual_permissions(tmp_path: Path) -> None:
    paths = [tmp_path / "deep" / f"out{suffix}" for suffix in (".png", ".jpg", ".webp")]
    write_images(dict.fromkeys(paths, PICTURE))
    mask = os.umask(0)
    os.umask(mask)
    for path in paths:
        with Image.open(path) as image:
            assert image.size == (20, 20)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_when_one_writer_fails_none_of_the_results_appears(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("before")

    def good(path: Path) -> None:
        path.write_text("new")

    def bad(path: Path) -> None:
        path.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        write_all({tmp_path / "a.txt": good, tmp_path / "b.txt": good, tmp_path / "c.txt": bad})
    assert _entries(tmp_path) == ["b.txt"]
    assert (tmp_path / "b.txt").read_text() == "before"
