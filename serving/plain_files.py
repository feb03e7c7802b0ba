"""Whether a picture file holds its picture and nothing else: then it can be kept as it came.

Where, when and by whom a photo was taken stands in chunks and segments beside the pixels; so do
files hidden behind a picture. Only what is known to be harmless passes, by the formats' structure.
"""

from __future__ import annotations

from typing import Final

# PNG: size, palette, pixels, end; gamma, colours, pixels a metre, background.
_PNG_CHUNKS: Final = frozenset(
    [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"bKGD", b"sBIT"]
)
# JPEG: APP0 (JFIF) and APP14 (Adobe's colours), tables, frames and scans; no APP1, no comment.
_JPEG_SEGMENTS: Final = frozenset([0xE0, 0xEE, 0xDB, 0xC4, 0xDD, 0xDA, *range(0xC0, 0xC3)])
_SOS: Final = 0xDA


def is_plain(data: bytes) -> bool:
    """Whether nothing but the picture is in the file."""
    if data.startswith(b"\x89PNG"):
        return _plain_png(data)
    if data.startswith(b"\xff\xd8"):
        return _plain_jpeg(data)
    # The simple kind of WebP has one chunk; what has more may have anything.
    if len(data) < 20 or data[:4] != b"RIFF" or data[12:16] not in (b"VP8 ", b"VP8L"):
        return False
    whole, chunk = (int.from_bytes(data[place : place + 4], "little") for place in (4, 16))
    return whole == len(data) - 8 and chunk in (len(data) - 20, len(data) - 21)  # odd: padded


def _plain_png(data: bytes) -> bool:
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        if kind not in _PNG_CHUNKS:
            return False
        place += 12 + length
        if kind == b"IEND":
            return place == len(data)
    return False


def _plain_jpeg(data: bytes) -> bool:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        segment = data[place + 1]
        if segment not in _JPEG_SEGMENTS:
            return False
        if segment == _SOS:
            # Pixels follow; a progressive file has more segments among them, and goes another way.
            return data.find(b"\xff\xd9", place) == len(data) - 2
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False
