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
from models import ImageRejected, read_image, read_mask
from serving.errors import BadRequest
from serving.packet import OrderedPerson
from serving.plain_files import is_plain
from serving.settings import Limits
from serving.wire import Person

READY_PIXELS: Final = 1 << 20  # 3 MiB in memory
_DATA_URL: Final = re.compile(r"data:([a-z0-9.+/-]*)(;[^,]{0,100})?,", re.IGNORECASE)
_ADVICE: Final = "give a JPEG, PNG or WebP picture"


@dataclass
class Payloads:
    """The pictures and embeddings of one request, as they are kept: by number.

    ready: small pictures as they were decoded, so that the engine need not do it again.
    references: what the task refers to, in the order they came. bytes_received: as they came, not
    as they are kept.
    """

    limits: Limits
    kept: list[bytes] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    ready: dict[int, Image.Image] = field(default_factory=dict)
    bytes_received: int = 0

    def picture(self, role: Role, name: str, data: bytes) -> int:
        """Check, decode and keep a picture: upright, without metadata. Raises ImageRejected."""
        check_picture_file(name, data, self.limits)
        picture = read_image(data, name, self.limits.picture_pixels)
        kept = data if is_plain(data) else _plain_png(picture)
        number = self._keep(role, name, data, kept)
        if picture.width * picture.height <= READY_PIXELS:
            self.ready[number] = picture
        return number

    def mask(self, name: str, data: bytes) -> int:
        """Keep a mask, upright: white is drawn anew. Raises ImageRejected."""
        check_picture_file(name, data, self.limits)
        meant = read_mask(data, name, self.limits.picture_pixels)
        return self._keep(Role.MASK, name, data, _plain_png(Image.fromarray(meant)))

    def embedding(self, name: str, values: list[float]) -> int:
        """Keep an embedding, float32 [512]."""
        data = np.asarray(values, dtype="<f4").tobytes()
        return self._keep(Role.IDENTITY, name, data, data)

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

    def _keep(self, role: Role, name: str, given: bytes, kept: bytes) -> int:
        digest = digest_bytes(given)
        self.bytes_received += len(given)
        self.kept.append(kept)
        self.digests.append(digest)
        self.references.append(Reference(role, name, digest))
        return len(self.kept) - 1


def check_picture_file(name: str, data: bytes, limits: Limits) -> None:
    """Refuse a file by its size or its first bytes, before anything opens it.

    Raises ImageRejected.
    """
    if len(data) > limits.picture_bytes:
        raise ImageRejected(
            f"{name} has more than the {limits.picture_bytes >> 20} MiB that are taken; save it "
            "smaller"
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
    if any(sign in encoded for sign in "\n\r "):  # as `base64` on the command line breaks it
        encoded = "".join(encoded.split())
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(
            "image_rejected",
            f"{name} is not base64 ({error}): send the picture's bytes in base64, or as a data: "
            "URL",
            param=param,
        ) from error


def _plain_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.info.clear()  # EXIF, profiles, comments: nothing of it is kept
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
