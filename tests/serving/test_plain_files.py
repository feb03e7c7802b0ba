"""A picture file is kept as it came only where it holds its picture and nothing else."""

import io
import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin

from fusion import Role
from serving import Limits
from serving.intake import Payloads
from serving.plain_files import is_plain
from tests.serving.conftest import as_file

PICTURE = Image.effect_noise((64, 48), 60).convert("RGB")
SECRET = b"taken at 48.2082 N, 16.3738 E"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_exif(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    return as_file(PICTURE, kind, exif=exif)


def spoiled() -> dict[str, bytes]:
    """Files with something beside the picture."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    png, jpeg, webp = (as_file(PICTURE, kind) for kind in ("PNG", "JPEG", "WEBP"))
    return {
        "PNG with text": as_file(PICTURE, "PNG", pnginfo=text),
        "PNG with text behind the pixels": png[:-12] + chunk(b"tEXt", SECRET) + png[-12:],
        "PNG with an unknown chunk": png[:-12] + chunk(b"prVt", SECRET) + png[-12:],
        "PNG with a file behind it": png + SECRET,
        "PNG with EXIF": with_exif("PNG"),
        "PNG with a profile": as_file(PICTURE, "PNG", icc_profile=SECRET),
        "JPEG with EXIF": with_exif("JPEG"),
        "JPEG with a comment": as_file(PICTURE, "JPEG", comment=SECRET),
        "JPEG with a file behind it": jpeg + SECRET,
        "JPEG with a profile": as_file(PICTURE, "JPEG", icc_profile=SECRET),
        "WebP with EXIF": with_exif("WEBP"),
        "WebP with a file behind it": webp + SECRET,
        "WebP with XMP": as_file(PICTURE, "WEBP", xmp=SECRET),
    }


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_and_nothing_else_is_kept_as_it_came(kind: str) -> None:
    data = as_file(PICTURE, kind)
    assert is_plain(data)
    payloads = Payloads(Limits())
    payloads.picture(Role.TARGET, "target", data)
    assert payloads.kept[0] == data


@pytest.mark.parametrize("name", list(spoiled()))
def test_whatever_else_is_in_it_is_dropped(name: str) -> None:
    data = spoiled()[name]
    assert not is_plain(data)
    payloads = Payloads(Limits())
    payloads.picture(Role.TARGET, "target", data)
    assert SECRET not in payloads.kept[0]
    with Image.open(io.BytesIO(payloads.kept[0])) as kept, Image.open(io.BytesIO(data)) as given:
        assert kept.convert("RGB").tobytes() == given.convert("RGB").tobytes()


def test_a_mask_taken_sideways_stands_upright_like_its_picture() -> None:
    mask = Image.new("L", (80, 40), 0)
    mask.paste(255, (0, 0, 20, 40))  # the left quarter
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise: left becomes top
    payloads = Payloads(Limits())
    payloads.mask("mask", as_file(mask, "PNG", exif=exif))
    with Image.open(io.BytesIO(payloads.kept[0])) as kept:
        assert kept.size == (40, 80)
        assert [kept.getpixel((20, y)) for y in (5, 15, 25, 75)] == [255, 255, 0, 0]


def test_what_is_cut_anywhere_is_not_plain() -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        data = as_file(PICTURE, kind)
        assert not any(is_plain(data[:end]) for end in range(0, len(data) - 1, 7))
