"""What a network takes and gives, read from its ONNX file without reading its weights.

A recogniser weighs hundreds of megabytes, its inputs and outputs a few hundred bytes. The file is
protobuf: fields with a number and a length, one after another, so weights are stepped over.
Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import FacePackRejected

_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 5, 11, 12
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIMENSION, _DIMENSION_VALUE = 1, 2, 1, 1
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_GIT_LFS = b"version https://git-lfs"

Shape = tuple[int | None, ...]  # None: free, or known only by a name


@dataclass(frozen=True)
class Graph:
    """The shapes of a network's inputs and outputs, in their order; weights are no inputs."""

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]


class _Malformed(Exception):
    """Bytes that are no protobuf, or end too early."""


@dataclass(frozen=True)
class _Field:
    """One field: its number, its number's value if it is one, else where its bytes lie."""

    number: int
    value: int | None
    start: int
    end: int


def read_graph(file: Path) -> Graph:
    """Inputs and outputs of the network in `file`. Raises FacePackRejected naming the file."""
    try:
        with file.open("rb") as stream:
            first = stream.read(len(_GIT_LFS))
            if not first:
                raise FacePackRejected(f"{file} is empty; fetch the pack again")
            if first == _GIT_LFS:
                raise FacePackRejected(
                    f"{file} is a git-lfs pointer, not the network itself; fetch it with: "
                    "git lfs pull"
                )
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                graph = _graph(data)
    except OSError as error:
        raise FacePackRejected(
            f"{file} cannot be read: {error.strerror}; make it readable"
        ) from error
    except _Malformed as error:
        raise FacePackRejected(
            f"{file} is no whole ONNX file, it is cut short or of another kind; "
            "fetch the pack again"
        ) from error
    return graph


def _graph(data: mmap.mmap) -> Graph:
    graphs = [field for field in _fields(data, 0, len(data)) if field.number == _MODEL_GRAPH]
    if len(graphs) != 1:
        raise _Malformed
    weights: set[bytes] = set()
    inputs: list[tuple[bytes, Shape]] = []
    outputs: list[Shape] = []
    for field in _fields(data, graphs[0].start, graphs[0].end):
        if field.number == _GRAPH_INITIALIZER:
            weights.add(_bytes(data, field, _TENSOR_NAME))
        elif field.number == _GRAPH_INPUT:
            inputs.append((_bytes(data, field, _VALUE_NAME), _shape(data, field)))
        elif field.number == _GRAPH_OUTPUT:
            outputs.append(_shape(data, field))
    if not outputs:
        raise _Malformed
    # Files of before 2019 list their weights among the inputs.
    return Graph(tuple(shape for name, shape in inputs if name not in weights), tuple(outputs))


def _shape(data: mmap.mmap, value: _Field) -> Shape:
    dimensions: list[int | None] = []
    for kind in _inside(data, value, _VALUE_TYPE):
        for tensor in _inside(data, kind, _TYPE_TENSOR):
            for shape in _inside(data, tensor, _TENSOR_SHAPE):
                for dimension in _inside(data, shape, _SHAPE_DIMENSION):
                    sizes = [field.value for field in _inside(data, dimension, _DIMENSION_VALUE)]
                    dimensions.append(sizes[0] if sizes and 0 < (sizes[0] or 0) < 1 << 31 else None)
    return tuple(dimensions)


def _inside(data: mmap.mmap, field: _Field, number: int) -> Iterator[_Field]:
    return (one for one in _fields(data, field.start, field.end) if one.number == number)


def _bytes(data: mmap.mmap, field: _Field, number: int) -> bytes:
    return next((data[one.start : one.end] for one in _inside(data, field, number)), b"")


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[_Field]:
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        value, start = None, at
        if wire == _VARINT:
            value, at = _varint(data, at, end)
        elif wire == _LENGTH:
            length, start = _varint(data, at, end)
            at = start + length
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise _Malformed
        if number == 0 or at > end:
            raise _Malformed
        yield _Field(number, value, start, at)


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """The number that begins at `at`, seven bits in a byte, and where it ends."""
    value = 0
    for index in range(10):
        if at + index >= end:
            raise _Malformed
        byte = data[at + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, at + index + 1
    raise _Malformed
