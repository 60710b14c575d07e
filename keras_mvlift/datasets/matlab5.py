"""MATLAB's files of version 5, which versions 5 to 7 of MATLAB write.

Read here and not by SciPy, whose reader allocates what a header declares before it looks whether
the file has as much.
"""

import math
import pathlib
import struct
import zlib
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import limits

_HEADER_BYTES = 128
_BYTE_ORDERS = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
_TAG_BYTES, _PACKED_BYTES = 8, 4
# Flags, up to 32 axes and a name of 63 letters fit in.
_HEAD_BYTES = 1024
_MATRIX, _COMPRESSED = 14, 15
_DATA_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_CELL = 1
_CLASSES = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_RULE = "be an array of real numbers or cells"


def byte_order(start: bytes) -> str | None:
    """Gives the byte order of a file that starts so; None if it is none of version 5."""
    return _BYTE_ORDERS.get(start[_HEADER_BYTES - 4 : _HEADER_BYTES])


def read(path: pathlib.Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Reads those variables that the file has. See `matlab.read`.

    Raises:
        RecordingError: If the file is damaged or over the limits, or a variable is no array of
            numbers or cells.
    """
    found: dict[str, np.ndarray] = {}
    with errors.parsing(path, "file", "be a MATLAB file of version 5"), path.open("rb") as file:
        size = path.stat().st_size
        order = byte_order(file.read(_HEADER_BYTES)) or "<"
        while len(found) < len(set(names)) and (tag := file.read(_TAG_BYTES)):
            kind, length = struct.unpack(order + "II", tag)
            start = file.tell()
            if start + length > size:
                raise EOFError(f"a variable of {length} bytes with {size - start} left")
            if kind not in (_MATRIX, _COMPRESSED):
                raise ValueError(f"an element of type {kind} in place of a variable")
            head = _head(_Elements(_start(file.read(min(length, _HEAD_BYTES)), kind), order))
            if head.name in names:
                file.seek(start)
                with errors.parsing(path, head.name, _RULE):
                    data = _whole(path, head.name, file.read(length), kind, order)
                    found[head.name] = _array(_Elements(data, order), path, head.name, 0)
            file.seek(start + length)
    return found


class _Head(NamedTuple):
    name: str
    kind: int
    flags: int
    shape: tuple[int, ...]


class _Elements:
    """The elements that lie one behind the other in some bytes."""

    def __init__(self, data: bytes | memoryview, order: str):
        self._data, self.order, self._position = memoryview(data), order, 0

    @property
    def left(self) -> int:
        return max(len(self._data) - self._position, 0)

    def next(self) -> tuple[int, memoryview]:
        """Gives the next element's type and bytes."""
        kind, size = struct.unpack_from(self.order + "II", self._data, self._position)
        start = self._position + _TAG_BYTES
        self._position = start + size + -size % _TAG_BYTES
        if kind >> 16:
            # Up to four bytes are packed into the tag.
            self._position, start = start, start - _PACKED_BYTES
            kind, size = kind & 0xFFFF, kind >> 16
        if start + size > min(len(self._data), self._position):
            raise EOFError(f"an element of {size} bytes with {len(self._data) - start} left")
        return kind, self._data[start : start + size]

    def numbers(self) -> np.ndarray:
        """Gives the next element's numbers."""
        kind, data = self.next()
        return np.frombuffer(data, self.order + _DATA_TYPES[kind])


def _start(data: bytes, kind: int) -> bytes:
    """Gives the start of a matrix's bytes."""
    if kind == _COMPRESSED:
        return zlib.decompressobj().decompress(data, _HEAD_BYTES)[_TAG_BYTES:]
    return data


def _whole(path: pathlib.Path, name: str, data: bytes, kind: int, order: str) -> bytes:
    """Gives all of a matrix's bytes."""
    if kind == _MATRIX:
        return data
    unpacker = zlib.decompressobj()
    kind, size = struct.unpack(order + "II", unpacker.decompress(data, _TAG_BYTES))
    limits.check_content(path, name, size, len(data))
    unpacked = unpacker.decompress(unpacker.unconsumed_tail, max(size, 1))
    if kind != _MATRIX or len(unpacked) != size:
        raise EOFError(f"{len(unpacked)} of {size} bytes")
    return unpacked


def _head(elements: _Elements) -> _Head:
    flags = int(elements.numbers()[0])
    shape = tuple(elements.numbers().tolist())
    name = bytes(elements.next()[1]).decode("latin-1")
    return _Head(name, flags & 0xFF, flags, shape)


def _array(elements: _Elements, path: pathlib.Path, field: str, depth: int) -> np.ndarray:
    head = _head(elements)
    if head.kind == _CELL:
        return _cells(elements, head, path, field, depth)
    if head.kind not in _CLASSES or head.flags & _COMPLEX:
        is_complex = head.kind in _CLASSES
        received = "complex numbers" if is_complex else f"MATLAB's class {head.kind}"
        raise errors.RecordingError(path, field, _RULE, received)
    values = elements.numbers()
    limits.check_shape(path, field, head.shape, values.itemsize)
    if values.size != math.prod(head.shape):
        rule = f"have as many numbers as its shape {head.shape} says"
        raise errors.RecordingError(path, field, rule, values.size)
    # Whole numbers are stored in the smallest type that holds them.
    own = np.dtype(bool if head.flags & _LOGICAL else _CLASSES[head.kind])
    return values.astype(own, copy=False).reshape(head.shape, order="F")


def _cells(
    elements: _Elements, head: _Head, path: pathlib.Path, field: str, depth: int
) -> np.ndarray:
    count = limits.check_shape(path, field, head.shape, 1)
    if count * _TAG_BYTES > elements.left or depth >= limits.MAX_NESTING:
        rule = f"have a cell for each of its shape and nest at most {limits.MAX_NESTING} deep"
        raise errors.RecordingError(path, field, rule, f"{head.shape} in {elements.left} bytes")
    cells = np.empty(count, object)
    for index in range(count):
        kind, data = elements.next()
        if kind != _MATRIX:
            raise errors.RecordingError(path, field, _RULE, f"a cell of type {kind}")
        inner = _Elements(data, elements.order)
        # A cell that was never set has no bytes.
        cells[index] = _array(inner, path, field, depth + 1) if len(data) else np.empty((0, 0))
    return cells.reshape(head.shape, order="F")
