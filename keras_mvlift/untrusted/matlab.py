"""MATLAB's files, `*.mat`, of version 5 and 7.3, from anywhere."""

import math
import pathlib
import struct
import zlib
from typing import NamedTuple

import h5py
import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import files

_MAGIC_BYTES = 520
_HDF5 = b"\x89HDF\r\n\x1a\n"
# MATLAB keeps its own header in front of HDF5's.
_HDF5_OFFSETS = (0, 512)


def read(path: pathlib.Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Reads variables of a MATLAB file.

    Args:
        path: The file.
        names: Which.

    Returns:
        Arrays of real numbers or booleans with MATLAB's axes in MATLAB's order, not always to be
        written to; a cell array as an array of objects, which are such arrays.

    Raises:
        RecordingError: If the file is missing, damaged, over the limits or no MATLAB file, or a
            variable is not there or is no array of numbers or cells.
    """
    files.size(path, "file", files.MAX_ARCHIVE_BYTES)
    with errors.parsing(path, "file", "be a readable file"), path.open("rb") as file:
        start = file.read(_MAGIC_BYTES)
    if any(start[offset:].startswith(_HDF5) for offset in _HDF5_OFFSETS):
        found = read_matlab73(path, names)
    elif byte_order(start) is not None:
        found = read_matlab5(path, names)
    else:
        rule = "be a MATLAB file of version 5 or 7.3"
        raise errors.RecordingError(path, "file", rule, f"it starts with {start[:20]!r}")
    for name in names:
        if name not in found:
            raise errors.RecordingError(path, name, "be a variable of the file", "no such variable")
    return found


# MATLAB's files of version 5, which versions 5 to 7 of MATLAB write.
#
# Read here and not by SciPy, whose reader allocates what a header declares before it looks whether
# the file has as much.

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
    """Returns the byte order of a file that starts so; None if it is none of version 5."""
    return _BYTE_ORDERS.get(start[_HEADER_BYTES - 4 : _HEADER_BYTES])


def read_matlab5(path: pathlib.Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Reads those variables that the file has. See `read_matlab5`.

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
        """Returns the next element's type and bytes."""
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
        """Returns the next element's numbers."""
        kind, data = self.next()
        return np.frombuffer(data, self.order + _DATA_TYPES[kind])


def _start(data: bytes, kind: int) -> bytes:
    """Returns the start of a matrix's bytes."""
    if kind == _COMPRESSED:
        return zlib.decompressobj().decompress(data, _HEAD_BYTES)[_TAG_BYTES:]
    return data


def _whole(path: pathlib.Path, name: str, data: bytes, kind: int, order: str) -> bytes:
    """Returns all of a matrix's bytes."""
    if kind == _MATRIX:
        return data
    unpacker = zlib.decompressobj()
    kind, size = struct.unpack(order + "II", unpacker.decompress(data, _TAG_BYTES))
    files.check_content(path, name, size, len(data))
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
    files.check_shape(path, field, head.shape, values.itemsize)
    if values.size != math.prod(head.shape):
        rule = f"have as many numbers as its shape {head.shape} says"
        raise errors.RecordingError(path, field, rule, values.size)
    # Whole numbers are stored in the smallest type that holds them.
    own = np.dtype(bool if head.flags & _LOGICAL else _CLASSES[head.kind])
    return values.astype(own, copy=False).reshape(head.shape, order="F")


def _cells(
    elements: _Elements, head: _Head, path: pathlib.Path, field: str, depth: int
) -> np.ndarray:
    count = files.check_shape(path, field, head.shape, 1)
    if count * _TAG_BYTES > elements.left or depth >= files.MAX_NESTING:
        rule = f"have a cell for each of its shape and nest at most {files.MAX_NESTING} deep"
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


_KINDS = "biuf"
_CELL_CLASS = "cell"
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
# Who is not MATLAB need not name a class.
_HDF5_CLASSES = ("", "double", "single", "logical", *_INTEGERS)
# Of these alone no filter is loaded from a shared library.
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_MAX_DEFLATE_RATIO = 1032
_CHECKSUM_BYTES = 4
_CLASS_BYTES = 64


def read_matlab73(path: pathlib.Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Reads those variables that the file has. See `read_matlab73`.

    Raises:
        RecordingError: If the file is damaged or over the limits, or a variable is no array of
            numbers or cells, or lies in another file.
    """
    with errors.parsing(path, "file", "be a MATLAB file of version 7.3"):
        with h5py.File(path, "r", locking=False) as file:
            reader = _Reader(path, file)
            # To ask the file itself would follow the link.
            return {
                name: reader.read(name) for name in names if file.id.links.exists(name.encode())
            }


class _Reader:
    """Reads variables of one open file, and counts how much."""

    def __init__(self, path: pathlib.Path, file: h5py.File):
        self._path, self._file = path, file
        self._size = path.stat().st_size
        self._num_bytes = 0
        # By where they lie: a dataset may be a cell many times.
        self._known: dict[int, np.ndarray] = {}

    def read(self, name: str) -> np.ndarray:
        with errors.parsing(self._path, name, _RULE):
            if self._file.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
                raise self._refusal(name, "lie in the file itself", "a link")
            value = self._array(name, self._file[name], 0)
            files.check_contents(value, self._path, name, self._size)
            return value

    def _refusal(self, name: str, rule: str, received: object) -> errors.RecordingError:
        return errors.RecordingError(self._path, name, rule, received)

    def _array(self, name: str, dataset: h5py.Dataset, depth: int) -> np.ndarray:
        if not isinstance(dataset, h5py.Dataset):
            raise self._refusal(name, _RULE, "a group")
        address = h5py.h5o.get_info(dataset.id).addr
        if address not in self._known:
            self._known[address] = self._read(name, dataset, depth)
        return self._known[address]

    def _read(self, name: str, dataset: h5py.Dataset, depth: int) -> np.ndarray:
        kind = _matlab_class(dataset)
        is_cell = kind == _CELL_CLASS and h5py.check_ref_dtype(dataset.dtype) is h5py.Reference
        if not is_cell and (kind not in _HDF5_CLASSES or dataset.dtype.kind not in _KINDS):
            raise self._refusal(name, _RULE, f"class {kind or 'unknown'} of {dataset.dtype}")
        self._check_storage(name, dataset)
        self._check_size(name, dataset)
        values = dataset[()]
        if _is_empty(dataset):
            # Its numbers are the lengths of its axes.
            return self._empty(name, values, is_cell)
        if is_cell:
            values = self._cells(name, values, depth)
        elif kind == "logical":
            values = values.astype(bool)
        # HDF5 names the axes in the reverse order.
        return np.asarray(values).T

    def _cells(self, name: str, references: np.ndarray, depth: int) -> np.ndarray:
        if depth >= files.MAX_NESTING:
            raise self._refusal(name, f"nest at most {files.MAX_NESTING} deep", "more")
        cells = np.empty(references.size, object)
        for index, reference in enumerate(references.flat):
            cells[index] = self._array(name, self._file[reference], depth + 1)
        return cells.reshape(references.shape)

    def _empty(self, name: str, lengths: np.ndarray, is_cell: bool) -> np.ndarray:
        shape = tuple(int(length) for length in lengths.flat)
        if len(shape) > files.MAX_NESTING or 0 not in shape:
            raise self._refusal(name, "be empty as it says", shape)
        return np.empty(shape, object if is_cell else float)

    def _check_storage(self, name: str, dataset: h5py.Dataset) -> None:
        if dataset.external or dataset.is_virtual:
            raise self._refusal(name, "lie in the file itself", "storage in another file")
        properties = dataset.id.get_create_plist()
        filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        # Deflated twice, a file grows by the square.
        if not set(filters) <= set(_FILTERS) or len(set(filters)) < len(filters):
            raise self._refusal(name, "be stored plainly, shuffled or deflated", f"{filters}")

    def _check_size(self, name: str, dataset: h5py.Dataset) -> None:
        if dataset.shape is None:
            raise self._refusal(name, _RULE, "no values")
        item_bytes, stored = dataset.dtype.itemsize, dataset.id.get_storage_size()
        num_bytes = files.check_shape(self._path, name, dataset.shape, item_bytes)
        files.check_content(self._path, name, num_bytes, stored)
        # Each may be small and all of them together not.
        self._num_bytes += num_bytes
        files.check_content(self._path, name, self._num_bytes, self._size)
        if dataset.chunks:
            chunk_bytes = files.check_shape(self._path, name, dataset.chunks, item_bytes)
            files.check_content(self._path, name, chunk_bytes, stored)
            self._check_chunks(name, dataset, chunk_bytes)

    def _check_chunks(self, name: str, dataset: h5py.Dataset, chunk_bytes: int) -> None:
        """Refuses chunks that grow past their size, which HDF5 itself lets them."""
        suspects: list[tuple[int, ...]] = []

        def note(chunk: h5py.h5d.StoreInfo) -> None:
            if chunk.size * _MAX_DEFLATE_RATIO > files.COMPRESSION_FREE_BYTES:
                suspects.append(chunk.chunk_offset)

        dataset.id.chunk_iter(note)
        for offset in suspects if dataset.compression == "gzip" else ():
            _, data = dataset.id.read_direct_chunk(offset)
            # One byte more than there should be tells.
            unpacked = zlib.decompressobj().decompress(data, chunk_bytes + _CHECKSUM_BYTES + 1)
            if len(unpacked) > chunk_bytes + _CHECKSUM_BYTES:
                raise self._refusal(name, f"have chunks of {chunk_bytes} bytes", "a larger one")


def _matlab_class(dataset: h5py.Dataset) -> str:
    """Returns what MATLAB calls an array's class; nothing for who does not say."""
    if "MATLAB_class" not in dataset.attrs:
        return ""
    attribute = dataset.attrs.get_id("MATLAB_class")
    if (
        attribute.shape != ()
        or attribute.dtype.kind != "S"
        or attribute.dtype.itemsize > _CLASS_BYTES
    ):
        return "of another kind"
    return bytes(dataset.attrs["MATLAB_class"]).decode("latin-1")


def _is_empty(dataset: h5py.Dataset) -> bool:
    if "MATLAB_empty" not in dataset.attrs:
        return False
    attribute = dataset.attrs.get_id("MATLAB_empty")
    return (
        attribute.shape == ()
        and attribute.dtype.kind in "iu"
        and bool(dataset.attrs["MATLAB_empty"])
    )
