"""What comes in, made safe: pictures checked before they are decoded, decoded once, kept plain."""

from __future__ import annotations

import base64
import binascii
import io
import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from PIL import Image

from cache import Digest, digest_bytes
from fusion import Reference, Role
from models import ImageRejected, read_image
from serving.errors import BadRequest
from serving.packet import OrderedPerson
from serving.settings import Limits
from serving.wire import Person

_DATA_URL: Final = re.compile(r"data:([a-z0-9.+/-]*)(;[^,]{0,100})?,", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
# What Pillow tells of a file that says nothing about where, when and by whom it was made.
_HARMLESS: Final = frozenset(
    ["dpi", "gamma", "jfif", "jfif_density", "jfif_unit", "jfif_version", "loop", "progression",
     "progressive", "background", "timestamp", "duration"]
)  # fmt: skip
_ADVICE: Final = "give a JPEG, PNG or WebP picture"


@dataclass
class Payloads:
    """The pictures and embeddings of one request, as they are kept: by number.

    references: what the task refers to, in the order they came.
    """

    limits: Limits
    kept: list[bytes] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    def picture(self, role: Role, name: str, data: bytes) -> int:
        """Check, decode and keep a picture: upright, without metadata. Raises ImageRejected."""
        check_picture_file(name, data, self.limits)
        picture = read_image(data, name, self.limits.picture_pixels)
        kept = data if _is_plain(data, picture) else _plain_png(picture)
        return self._keep(role, name, digest_bytes(data), kept)

    def mask(self, name: str, data: bytes) -> int:
        """Keep a mask with its transparency, and nothing else of it. Raises ImageRejected."""
        check_picture_file(name, data, self.limits)
        read_image(data, name, self.limits.picture_pixels)  # refuses what cannot be read
        with Image.open(io.BytesIO(data)) as image:
            kind = "LA" if image.has_transparency_data else "L"
            plain = image.convert("RGBA").convert(kind) if kind == "LA" else image.convert(kind)
        return self._keep(Role.MASK, name, digest_bytes(data), _plain_png(plain))

    def embedding(self, name: str, values: list[float]) -> int:
        """Keep an embedding, float32 [512]."""
        data = np.asarray(values, dtype="<f4").tobytes()
        return self._keep(Role.IDENTITY, name, digest_bytes(data), data)

    def person(self, number: int, person: Person) -> OrderedPerson:
        """Keep a person of the wire. Raises BadRequest, ImageRejected."""
        where, name = f"identities.{number - 1}", f"identity {number}"
        if (person.image is None) == (person.embedding is None):
            raise BadRequest(
                "invalid_identity",
                f"{name}: give either an image or an embedding",
                param=where,
            )
        if person.image is not None:
            data = decode_base64(person.image, f"{where}.image", name)
            given = self.picture(Role.IDENTITY, name, data)
        else:
            given = self.embedding(name, person.embedding or [])
        return OrderedPerson(
            given=given,
            name=name,
            embedded=person.embedding is not None,
            weight=person.weight,
            face=person.face,
        )

    def _keep(self, role: Role, name: str, digest: Digest, data: bytes) -> int:
        self.kept.append(data)
        self.digests.append(digest)
        self.references.append(Reference(role, name, digest))
        return len(self.kept) - 1


def check_picture_file(name: str, data: bytes, limits: Limits) -> None:
    """Refuse a file by its size or its first bytes, before anything opens it.

    Raises ImageRejected.
    """
    if len(data) > limits.picture_bytes:
        raise ImageRejected(
            f"{name} has {len(data) / 2**20:.1f} MiB, at most {limits.picture_bytes >> 20} are "
            "taken; save it smaller"
        )
    if not data:
        raise ImageRejected(f"{name} is empty; {_ADVICE}")
    jpeg, png = data[:3] == b"\xff\xd8\xff", data[:8] == b"\x89PNG\r\n\x1a\n"
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if not (jpeg or png or webp):
        raise ImageRejected(f"{name} is not a picture of a kind that is taken here; {_ADVICE}")


def decode_base64(text: str, param: str, name: str) -> bytes:
    """The bytes of base64, or of a data: URL. Raises BadRequest, naming the parameter."""
    if text[:8].lower().startswith(("http:", "https:")):
        raise BadRequest(
            "image_rejected",
            f"{name} is an address, and nothing is fetched here: send the picture itself",
            param=param,
        )
    found = _DATA_URL.match(text)
    encoded = text[found.end() :] if found else text
    encoded = "".join(encoded.split())
    try:
        if not _BASE64.fullmatch(encoded):
            raise binascii.Error("a sign that is none of base64's")
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(
            "image_rejected",
            f"{name} is not base64 ({error}): send the picture's bytes in base64, or as a data: "
            "URL",
            param=param,
        ) from error


def _is_plain(data: bytes, picture: Image.Image) -> bool:
    """Whether the file holds no more than the picture that was read: it can be kept as it is."""
    with Image.open(io.BytesIO(data)) as file:
        return (
            file.mode == "RGB"
            and file.size == picture.size
            and file.info.keys() <= _HARMLESS
            and getattr(file, "n_frames", 1) == 1
            and not file.getexif()
        )


def _plain_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.info.clear()  # EXIF, profiles, comments: nothing of it is kept
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
