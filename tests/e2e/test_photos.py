"""Every kind of picture a user may give: those that work, and those refused in one line."""

import importlib.util
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import run
from cli.drawn import DrawnPerson
from world import render_group, sample_look, sample_person

Shown = pytest.CaptureFixture[str]
Cosine = Callable[[Path, DrawnPerson], float]


def _fuse(photo: Path, output: Path, *options: str) -> int:
    return run(["fuse", "-i", str(photo), "--steps", "4", "-o", str(output), *options])


def _refused(photo: Path, output: Path, capsys: Shown, *said: str) -> None:
    """One line on stderr that says all of it, exit code 2, nothing written."""
    assert _fuse(photo, output) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    for words in said:
        assert words in shown.err
    assert not output.exists()


@pytest.mark.parametrize("kind", ["alpha", "grey", "cmyk", "palette", "sixteen", "jpeg", "webp"])
def test_every_ordinary_kind_of_picture_shows_the_same_face(
    kind: str, women: list[DrawnPerson], tmp_path: Path
) -> None:
    picture = women[0].picture
    path = tmp_path / f"photo.{'jpg' if kind in ('jpeg', 'cmyk') else 'png'}"
    if kind == "alpha":
        rgba = picture.convert("RGBA")
        rgba.putalpha(255)
        rgba.save(path)
    elif kind == "grey":
        picture.convert("L").save(path)
    elif kind == "cmyk":
        picture.convert("CMYK").save(path, quality=95)
    elif kind == "palette":
        picture.quantize(256).save(path)
    elif kind == "sixteen":
        samples = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        Image.fromarray(samples).save(path)
    elif kind == "jpeg":
        picture.save(path, quality=95)
    else:
        path = path.with_suffix(".webp")
        picture.save(path, lossless=True)
    assert _fuse(path, tmp_path / "out.png") == 0
    assert (tmp_path / "out.png").is_file()


def test_a_photo_turned_by_exif_is_read_upright(
    women: list[DrawnPerson], photos: list[Path], tmp_path: Path
) -> None:
    turned = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    women[0].picture.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    assert _fuse(photos[0], tmp_path / "upright.png") == 0
    assert _fuse(turned, tmp_path / "from-turned.png") == 0
    with Image.open(tmp_path / "upright.png") as a, Image.open(tmp_path / "from-turned.png") as b:
        assert a.tobytes() == b.tobytes()


def test_a_picture_without_a_face_is_refused(tmp_path: Path, capsys: Shown) -> None:
    photo = tmp_path / "empty.png"
    group = render_group([], [], (256, 256), np.random.default_rng(2))
    Image.fromarray(group.image).save(photo)
    _refused(photo, tmp_path / "out.png", capsys, "empty.png", "no face")


def test_several_faces_are_named_with_boxes_and_one_can_be_chosen(
    tmp_path: Path, capsys: Shown
) -> None:
    rng = np.random.default_rng(5)
    people = [sample_person(1_000_501), sample_person(1_000_502)]
    looks = [sample_look(rng, person, hat=False, view="front") for person in people]
    photo = tmp_path / "two.png"
    Image.fromarray(render_group(people, looks, (384, 256), rng).image).save(photo)
    _refused(photo, tmp_path / "out.png", capsys, "2 faces", "--face", "1 [", "2 [")
    assert _fuse(photo, tmp_path / "out.png", "--face", "2") == 0
    assert (tmp_path / "out.png").is_file()


def test_a_tiny_face_is_refused(women: list[DrawnPerson], tmp_path: Path, capsys: Shown) -> None:
    photo = tmp_path / "far.png"
    far = Image.new("RGB", (256, 256), (120, 160, 220))
    far.paste(women[0].picture.resize((26, 26), Image.Resampling.LANCZOS), (110, 110))
    far.save(photo)
    _refused(photo, tmp_path / "out.png", capsys, "far.png")


def test_what_is_not_a_picture_is_refused(tmp_path: Path, capsys: Shown) -> None:
    photo = tmp_path / "words.png"
    photo.write_text("a portrait of nobody")
    _refused(photo, tmp_path / "out.png", capsys, "words.png", "not a picture")


def test_a_truncated_picture_is_refused(photos: list[Path], tmp_path: Path, capsys: Shown) -> None:
    photo = tmp_path / "half.png"
    photo.write_bytes(photos[0].read_bytes()[: photos[0].stat().st_size // 2])
    _refused(photo, tmp_path / "out.png", capsys, "half.png", "damaged")


def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, capsys: Shown
) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    photo = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    photo.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )
    _refused(photo, tmp_path / "out.png", capsys, "bomb.png", "pixels")


def test_an_animation_is_refused(women: list[DrawnPerson], tmp_path: Path, capsys: Shown) -> None:
    photo = tmp_path / "moving.gif"
    frames = [woman.picture for woman in women]
    frames[0].save(photo, save_all=True, append_images=frames[1:], duration=100)
    _refused(photo, tmp_path / "out.png", capsys, "moving.gif", "animated")


def test_a_folder_is_refused(tmp_path: Path, capsys: Shown) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    _refused(folder, tmp_path / "out.png", capsys, "folder")


@pytest.mark.parametrize("name", ["t1.jpg", "Tom_Hanks_54745.png"])
def test_a_real_photograph_is_told_that_this_bundle_draws_drawn_people(
    name: str, tmp_path: Path, capsys: Shown
) -> None:
    """InsightFace brings two photographs: a group, and a portrait."""
    package = importlib.util.find_spec("insightface")
    assert package is not None
    assert package.origin is not None
    photo = Path(package.origin).parent / "data" / "images" / name
    _refused(photo, tmp_path / "out.png", capsys, "drawn people", "sd15-faceid")
