"""Keys made of content, never of an address.

Everything that changes a cached value belongs in its key: give it all to `digest`. The encoding is
canonical (each value carries its type and its length), so that different contents cannot run
together, and the same content has the same digest in every process and on every machine.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NewType, Protocol, TypeAlias

Digest = NewType("Digest", str)
"""BLAKE2b of some content, 64 hexadecimal digits. Raw bytes and other strings cannot slip in."""

Content: TypeAlias = (
    "bool | int | float | str | bytes | Sequence[Content] | Mapping[str, Content] | None"
)
"""What has a canonical encoding. A list equals a tuple; the order of a mapping is no content."""

_DIGEST_BYTES = 32
_READ_BYTES = 1 << 20


class Array(Protocol):
    """An array as numpy has it; numpy is not imported here."""

    @property
    def dtype(self) -> object: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def tobytes(self) -> bytes: ...


def digest(content: Content) -> Digest:
    """The digest of settings, names, digests of files …: whatever a value depends on.

    Raises TypeError for what has no canonical encoding.
    """
    return _hashed(_encoded(content))


def digest_bytes(data: bytes | memoryview) -> Digest:
    """The digest of raw bytes, such as an image file's; the same as digest_file of that file."""
    return _hashed([data])


def digest_file(path: Path) -> Digest:
    """The digest of a file's bytes, read in pieces. Raises OSError."""
    with path.open("rb") as file:
        return _hashed(iter(lambda: file.read(_READ_BYTES), b""))


def digest_array(array: Array) -> Digest:
    """The digest of an array's values (in C order), shape and dtype, whatever its strides."""
    header = _encoded(["array", str(array.dtype), [*array.shape]])
    return _hashed([*header, array.tobytes()])


def _hashed(pieces: Iterable[bytes | memoryview]) -> Digest:
    state = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for piece in pieces:
        state.update(piece)
    return Digest(state.hexdigest())


def _encoded(content: object) -> Iterator[bytes]:
    """Pieces of the canonical encoding: a letter for the type, the length, the value."""
    match content:
        case None:
            yield _piece(b"n", b"")
        case bool():
            yield _piece(b"b", b"\x01" if content else b"\x00")
        case int():
            yield _piece(b"i", str(content).encode())
        case float():
            yield _piece(b"f", struct.pack(">d", content + 0.0))  # + 0.0: minus zero equals zero
        case str():
            yield _piece(b"s", content.encode("utf-8", "surrogatepass"))
        case bytes():
            yield _piece(b"y", content)
        case tuple() | list():
            yield _piece(b"l", str(len(content)).encode())
            for item in content:
                yield from _encoded(item)
        case Mapping():
            if not all(isinstance(key, str) for key in content):
                raise TypeError("a mapping in a cache key has strings as its keys")
            yield _piece(b"m", str(len(content)).encode())
            for key in sorted(content):
                yield from _encoded(key)
                yield from _encoded(content[key])
        case _:
            raise TypeError(f"{type(content).__name__} cannot be part of a cache key")


def _piece(kind: bytes, value: bytes) -> bytes:
    return kind + struct.pack(">Q", len(value)) + value
