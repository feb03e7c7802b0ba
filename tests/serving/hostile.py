"""Files that nobody should open without thought: two hundred of them, each with a name."""

import io
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.serving.conftest import as_file

COUNT = 200


def hostile_files(photo: bytes) -> Iterator[tuple[str, bytes]]:
    """COUNT names and files, the same every time. photo: a PNG of a face, to be spoiled."""
    made = list(_made(photo))
    rng = random.Random(7)
    for number in range(COUNT - len(made)):
        yield f"noise behind a signature {number}", _noise(rng, number)
    yield from made


def _made(photo: bytes) -> Iterator[tuple[str, bytes]]:
    face = Image.open(io.BytesIO(photo)).convert("RGB")
    blank = Image.effect_noise((256, 256), 40).convert("RGB")
    yield "nothing", b""
    for side in (1, 2, 15):
        for kind in ("PNG", "JPEG", "WEBP"):
            yield f"{side}×{side} {kind}", as_file(Image.new("RGB", (side, side)), kind)
    for width, height in ((60_000, 60_000), (2**31 - 1, 1), (100_000, 300), (1, 2**31 - 1)):
        yield f"PNG that declares {width}×{height}", _png(width, height, b"")
    yield "PNG of a gigabyte in a megabyte", _png(20_000, 20_000, bytes(50_000_000))
    yield "PNG whose text unpacks to a gigabyte", _text_bomb(photo)
    for kind in ("JPEG", "PNG", "WEBP"):
        whole = as_file(face, kind)
        for share in (0.05, 0.3, 0.6, 0.9):
            yield f"{kind} cut at {share:.0%}", whole[: int(len(whole) * share)]
        for place in (0.2, 0.5, 0.8):
            middle = int(len(whole) * place)
            spoiled = whole[: middle // 2] + bytes(64) + whole[middle // 2 + 64 :]
            if kind != "JPEG":  # a spoiled JPEG is a picture still, of a face with a stain
                yield f"{kind} with a hole at {place:.0%}", spoiled
    for name, head in _OTHERS.items():
        yield name, head + bytes(2000)
        yield f"{name} with a photo behind it", head + photo
    for kind in ("TIFF", "BMP", "GIF", "ICO", "PPM", "TGA", "PCX", "JPEG2000"):
        yield f"a face as {kind}", as_file(face, kind)
    for kind in ("PNG", "WEBP"):
        frames = [face, blank, face]
        options = {"save_all": True, "append_images": frames[1:], "duration": 40}
        yield f"animated {kind}", as_file(frames[0], kind, **options)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"no face, turned {orientation}", as_file(blank, "JPEG", exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 60_000
    yield "no face, much EXIF", as_file(blank, "JPEG", exif=exif)
    yield "no face, CMYK", as_file(blank.convert("CMYK"), "JPEG")
    yield "no face, grey", as_file(blank.convert("L"), "JPEG")
    yield "no face, palette", as_file(blank.convert("P"), "PNG")
    yield "no face, 16 bits", as_file(Image.new("I;16", (256, 256), 3000), "PNG")
    yield "no face, 1 bit", as_file(blank.convert("1"), "PNG")
    yield "no face, transparent", as_file(Image.new("RGBA", (256, 256)), "PNG")
    yield "no face, CMYK and cut", as_file(blank.convert("CMYK"), "JPEG")[:900]
    yield "a JPEG that is a ZIP too", as_file(blank, "JPEG") + b"PK\x03\x04" + bytes(500)
    yield "a PNG that is HTML too", as_file(blank) + b"<script>alert(1)</script>"
    yield (
        "a JPEG with a comment of a kind",
        as_file(blank, "JPEG", comment=b"<?php system($_GET[0]); ?>"),
    )
    yield "a strip", as_file(Image.new("RGB", (8000, 20), "grey"))
    yield "too many pixels", as_file(Image.new("RGB", (6000, 5000), "grey"))
    yield "thirteen megabytes", photo + bytes(13 << 20)
    yield "a JPEG header a thousand times", b"\xff\xd8\xff\xe0" * 1000
    yield "PNG chunks out of order", photo[:8] + photo[33:] + photo[8:33]
    yield "PNG with a chunk of four gigabytes", photo[:8] + b"\xff\xff\xff\xffIHDR" + bytes(99)
    yield "WebP that says four gigabytes", b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff"


_OTHERS = {
    "PDF": b"%PDF-1.7\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "HTML": b"<!doctype html><img src=x onerror=alert(1)>",
    "XML with entities": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    "ZIP": b"PK\x03\x04",
    "ELF": b"\x7fELF\x02\x01\x01",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "HEIC": b"\x00\x00\x00\x18ftypheic",
    "MP4": b"\x00\x00\x00\x18ftypmp42",
    "pickle": b"\x80\x04\x95",
    "NUL": b"\x00" * 16,
    "text": "ein Bild, 画像".encode(),
    "gzip": b"\x1f\x8b\x08",
    "Photoshop": b"8BPS\x00\x01",
}


def _noise(rng: random.Random, number: int) -> bytes:
    signatures = (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\x00\x00\x00WEBPVP8 ", b"")
    return signatures[number % len(signatures)] + rng.randbytes(rng.randrange(1, 5000))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _text_bomb(photo: bytes) -> bytes:
    text = b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9)
    return photo[:33] + _chunk(b"zTXt", text) + photo[33:]
