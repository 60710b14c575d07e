"""MATLAB's files of version 7.3, which are HDF5's.

HDF5 lets a file read other files and asks for what it declares; both are refused before a
dataset is read.
"""

import pathlib
import zlib

import h5py
import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import contents, limits

_RULE = "be an array of real numbers or cells"
_KINDS = "biuf"
_CELL = "cell"
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
# Who is not MATLAB need not name a class.
_CLASSES = ("", "double", "single", "logical", *_INTEGERS)
# Of these alone no filter is loaded from a shared library.
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_MAX_DEFLATE_RATIO = 1032
_CHECKSUM_BYTES = 4
_CLASS_BYTES = 64


def read(path: pathlib.Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Reads those variables that the file has. See `matlab.read`.

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
            contents.check(value, self._path, name, self._size)
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
        is_cell = kind == _CELL and h5py.check_ref_dtype(dataset.dtype) is h5py.Reference
        if not is_cell and (kind not in _CLASSES or dataset.dtype.kind not in _KINDS):
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
        if depth >= limits.MAX_NESTING:
            raise self._refusal(name, f"nest at most {limits.MAX_NESTING} deep", "more")
        cells = np.empty(references.size, object)
        for index, reference in enumerate(references.flat):
            cells[index] = self._array(name, self._file[reference], depth + 1)
        return cells.reshape(references.shape)

    def _empty(self, name: str, lengths: np.ndarray, is_cell: bool) -> np.ndarray:
        shape = tuple(int(length) for length in lengths.flat)
        if len(shape) > limits.MAX_NESTING or 0 not in shape:
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
        num_bytes = limits.check_shape(self._path, name, dataset.shape, item_bytes)
        limits.check_content(self._path, name, num_bytes, stored)
        # Each may be small and all of them together not.
        self._num_bytes += num_bytes
        limits.check_content(self._path, name, self._num_bytes, self._size)
        if dataset.chunks:
            chunk_bytes = limits.check_shape(self._path, name, dataset.chunks, item_bytes)
            limits.check_content(self._path, name, chunk_bytes, stored)
            self._check_chunks(name, dataset, chunk_bytes)

    def _check_chunks(self, name: str, dataset: h5py.Dataset, chunk_bytes: int) -> None:
        """Refuses chunks that grow past their size, which HDF5 itself lets them."""
        suspects: list[tuple[int, ...]] = []

        def note(chunk: h5py.h5d.StoreInfo) -> None:
            if chunk.size * _MAX_DEFLATE_RATIO > limits.COMPRESSION_FREE_BYTES:
                suspects.append(chunk.chunk_offset)

        dataset.id.chunk_iter(note)
        for offset in suspects if dataset.compression == "gzip" else ():
            _, data = dataset.id.read_direct_chunk(offset)
            # One byte more than there should be tells.
            unpacked = zlib.decompressobj().decompress(data, chunk_bytes + _CHECKSUM_BYTES + 1)
            if len(unpacked) > chunk_bytes + _CHECKSUM_BYTES:
                raise self._refusal(name, f"have chunks of {chunk_bytes} bytes", "a larger one")


def _matlab_class(dataset: h5py.Dataset) -> str:
    """Gives what MATLAB calls an array's class; nothing for who does not say."""
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
