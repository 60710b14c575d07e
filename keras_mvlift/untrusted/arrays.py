"""Parsers of files of arrays: NumPy's, pickles, MATLAB's and CDF; they run where `parsers` does."""

import io
import os
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, cast

import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import files

PICKLE_RULE = "hold NumPy arrays and plain containers only"
_ARRAY_RULE = "be an array of real numbers or cells"
_BLOCK_BYTES = 2**20

# NumPy's archives.

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_ARCHIVE_RULE = "be an .npz archive"


def npz_names(path: files.AnyPath) -> list[str]:
    """Returns the names of an archive's arrays, in its order."""
    with errors.parsing("", "file", _ARCHIVE_RULE), zipfile.ZipFile(path) as archive:
        return list(_members(archive))


def npz(path: files.AnyPath, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Reads arrays of an archive, all of them if `names` is None.

    Returns:
        Arrays of numbers and text; of objects, as far as `pickled` admits them. An array of objects
        without axes gives its one object.
    """
    with errors.parsing("", "file", _ARCHIVE_RULE):
        archive = zipfile.ZipFile(path)
    with archive:
        members = _members(archive)
        for name in names or ():
            received = ", ".join(members)[:200] + errors.nearest(name, members)
            errors.require_in("", name in members, name, "be an array of the archive", received)
        wanted = members if names is None else {name: members[name] for name in names}
        total = sum(member.file_size for member in wanted.values())
        files.check_content("", "file", total, os.path.getsize(path))
        return {name: _member(archive, name, member) for name, member in wanted.items()}


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        errors.require_in("", name not in found, name, "be there once", "two members of that name")
        if name != member.filename:
            found[name] = member
    errors.require_in("", found, "file", _ARCHIVE_RULE, "no member called *.npy")
    return found


def _member(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> Any:
    with errors.parsing("", name, "be an array"), archive.open(member) as file:
        value = _npy(name, file, member.file_size)
        # The checksum is compared at the end.
        if file.read(1):
            raise ValueError("bytes behind the array")
    return value


def _npy(name: str, file: Any, size: int) -> Any:
    version = np.lib.format.read_magic(file)
    errors.require_in("", version in _READ_HEADER, name, "be of .npy version 1 or 2", version)
    shape, is_fortran, dtype = _READ_HEADER[version](file)
    if dtype.hasobject:
        found = _unpickled(file, name)
        fits = isinstance(found, _Array) and found.made().shape == shape
        errors.require_in("", fits, name, f"be objects of shape {shape}", "something else")
        return found if shape else found.made().item()
    is_plain = dtype.kind in files.KINDS and dtype.itemsize
    errors.require_in("", is_plain, name, "hold numbers, text or objects", dtype)
    num_bytes, left = files.check_shape("", name, shape, dtype.itemsize), size - file.tell()
    rule = f"have the {num_bytes} bytes that its shape {shape} says"
    errors.require_in("", num_bytes == left, name, rule, left)
    raw = np.empty(num_bytes, np.uint8)
    for start in range(0, num_bytes, _BLOCK_BYTES):
        block = raw[start : start + _BLOCK_BYTES]
        if file.readinto(block) != len(block):
            raise EOFError("it ends too early")
    return raw.view(dtype).reshape(shape, order="F" if is_fortran else "C")


# Pickles. What a pickle may name are stand-ins: what is called by a name is a function of ours.


def pickled(path: files.AnyPath) -> Any:
    """Reads a pickle of any protocol, of Python 2 or 3, of arrays and plain containers only.

    Text of Python 2 is decoded as latin-1; NumPy's scalars come as Python's.
    """
    with open(path, "rb") as file:
        return _unpickled(file, "pickle")


def _unpickled(file: BinaryIO, field: str) -> Any:
    with errors.parsing("", field, PICKLE_RULE):
        return _Unpickler(file, field).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, field: str):
        super().__init__(file, encoding="latin1")
        self._field = field

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise errors.RecordingError("", self._field, PICKLE_RULE, f"{module}.{name}")
        return _StandIn(_NAMES[module, name])


class _StandIn:
    """A name, which can be called and nothing else."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]):
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise TypeError("attributes are set on a name")


class Made:
    """What a pickle calls and then tells the state of; made when all is read."""

    def __init__(self, *arguments: Any):
        self._arguments, self._state = arguments, cast(Any, ())

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def made(self) -> Any:
        """Returns it."""
        raise NotImplementedError


class _DType(Made):
    def made(self) -> np.dtype:
        code = self._arguments[0]
        order, subarray, names = self._state[1:4] if self._state else ("=", None, None)
        is_plain = subarray is None and names is None and re.fullmatch(r"\|?[a-zA-Z]\d*", code)
        dtype = np.dtype(order + code.lstrip("|") if is_plain else "V")
        fits = dtype.kind in f"{files.KINDS}O"
        errors.require_in("", fits, "dtype", "be of numbers, text or objects", code)
        return dtype


class _Array(Made):
    def made(self) -> np.ndarray:
        # NumPy's own `__setstate__` would believe what the file says of pointers.
        _, shape, dtype, is_fortran, raw = self._state
        kind, order = dtype.made(), "F" if is_fortran else "C"
        if not kind.hasobject:
            return _laid_over(raw, kind, shape, order)
        if type(raw) is not list or files.array_bytes(shape, 1) != len(raw):
            raise ValueError(f"shape {shape} over other than a list of as many objects")
        return np.fromiter(raw, object, len(raw)).reshape(shape)


class _Buffer(Made):
    def made(self) -> np.ndarray:
        raw, dtype, shape, order = self._arguments
        return _laid_over(raw, dtype.made(), shape, "F" if order == "F" else "C")


class _Scalar(Made):
    def made(self) -> Any:
        dtype, raw = self._arguments
        return _laid_over(raw, dtype.made(), (1,), "C")[0].item()


def _laid_over(raw: Any, dtype: np.dtype, shape: Any, order: Any) -> np.ndarray:
    # Python 2 wrote bytes as text in latin-1.
    data = raw.encode("latin-1") if isinstance(raw, str) else raw
    if dtype.hasobject or len(data) != files.array_bytes(shape, dtype.itemsize):
        raise ValueError(f"shape {shape} of {dtype} over {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _encoded(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"text encoded as {encoding!r}, not as latin1")
    return text.encode("latin-1")


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): lambda: b"",
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encoded,
    ("collections", "OrderedDict"): lambda pairs=(): dict(pairs),
    ("builtins", "bytes"): lambda: b"",
    ("__builtin__", "bytes"): lambda: b"",
}
for _module in ("numpy.core", "numpy._core"):
    _NAMES[f"{_module}.multiarray", "_reconstruct"] = _Array
    _NAMES[f"{_module}.multiarray", "scalar"] = _Scalar
    _NAMES[f"{_module}.numeric", "_frombuffer"] = _Buffer


# MATLAB's files, of versions 5 to 7 by SciPy and 7.3 by HDF5.

MATLAB_RULE = "be a MATLAB file of version 5 or 7.3"
_MAGIC_BYTES = 520
_HDF5 = b"\x89HDF\r\n\x1a\n"


def matlab(path: files.AnyPath, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads variables of a MATLAB file of version 5 to 7.3.

    Returns:
        Arrays of real numbers or booleans with MATLAB's axes in MATLAB's order; a cell array as an
        array of objects, which are such arrays.
    """
    with open(path, "rb") as file:
        start = file.read(_MAGIC_BYTES)
    # MATLAB keeps its own header in front of HDF5's.
    if start.startswith(_HDF5) or start[512:] == _HDF5:
        found = _matlab73(path, names)
    elif start[124:128] in (b"\x00\x01IM", b"\x01\x00MI"):
        import scipy.io

        with errors.parsing("", "file", "be a MATLAB file of version 5"), warnings.catch_warnings():
            # The half of a complex number is dropped with a warning.
            warnings.simplefilter("error")
            found = scipy.io.loadmat(path, variable_names=names, mat_dtype=True)
    else:
        raise errors.RecordingError("", "file", MATLAB_RULE, f"it starts with {start[:20]!r}")
    for name in names:
        rule = "be a variable of the file"
        errors.require_in("", name in found, name, rule, "no such variable")
        _check_numbers(name, found[name])
    return {name: found[name] for name in names}


def _check_numbers(name: str, value: Any) -> None:
    # There may be millions of cells: what is said is made only where it is needed.
    if type(value) is not np.ndarray or value.dtype.kind not in "biufO":
        received = f"{type(value).__name__} {getattr(value, 'dtype', '')}".strip()
        raise errors.RecordingError("", name, _ARRAY_RULE, received)
    for cell in value.flat if value.dtype == object else ():
        _check_numbers(name, cell)


def _matlab73(path: files.AnyPath, names: Sequence[str]) -> dict[str, Any]:
    found = {}
    with _hdf5(path, "be a MATLAB file of version 7.3") as file:
        for name in names:
            with errors.parsing("", name, _ARRAY_RULE):
                if file.id.links.exists(name.encode()):
                    found[name] = _dataset(name, file, _own(file, name), 0)
    return found


def _hdf5(path: files.AnyPath, rule: str) -> Any:
    import h5py

    with errors.parsing("", "file", rule):
        return h5py.File(path, "r", locking=False)


def _own(group: Any, name: str) -> Any:
    """Returns what a name of a group holds, unless it lies in another file."""
    import h5py

    # To ask the group itself would follow the link.
    is_own = group.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD
    errors.require_in("", is_own, name, "lie in the file itself", "a link")
    return group[name]


def _dataset(name: str, file: Any, dataset: Any, depth: int) -> Any:
    is_flat = depth <= files.MAX_NESTING
    errors.require_in("", is_flat, name, _ARRAY_RULE, "cells that nest too deeply")
    errors.require_in("", hasattr(dataset, "dtype"), name, _ARRAY_RULE, "a group")
    _check_stored(name, file, dataset)
    kind = bytes(dataset.attrs.get("MATLAB_class", b"")).decode("latin-1")
    is_cell = dataset.dtype.kind == "O" and kind == "cell"
    is_number = re.fullmatch(r"(u?int\d+|double|single|logical|)", kind)
    if not is_cell and not (is_number and dataset.dtype.kind in "biuf"):
        received = f"class {kind or 'unknown'} of {dataset.dtype}"
        raise errors.RecordingError("", name, _ARRAY_RULE, received)
    values = dataset[()]
    if dataset.attrs.get("MATLAB_empty", 0):
        # Its numbers are the lengths of its axes.
        shape = tuple(int(length) for length in values.flat)
        errors.require_in("", 0 in shape, name, "be empty as it says", shape)
        return np.empty(shape, object if is_cell else float)
    if is_cell:
        cells = [_dataset(name, file, file[reference], depth + 1) for reference in values.flat]
        values = np.fromiter(cells, object, len(cells)).reshape(values.shape)
    # HDF5 names the axes in the reverse order.
    return np.asarray(values.astype(bool) if kind == "logical" else values).T


def _check_stored(name: str, file: Any, dataset: Any) -> None:
    is_own = not (dataset.external or dataset.is_virtual)
    errors.require_in("", is_own, name, "lie in the file itself", "storage in another file")
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if filters - {1, 2, 3}:
        rule = "be stored plainly, shuffled or deflated"
        raise errors.RecordingError("", name, rule, f"filters {sorted(filters)}")
    files.check_content("", name, dataset.nbytes, os.path.getsize(file.filename))


# What trackers of animals, and of people, write as HDF5.

TRACKS_RULE = "be SLEAP's analysis or DeepLabCut's table"
_SLEAP = ("tracks", "node_names", "track_names", "point_scores")


def hdf5_tracks(path: files.AnyPath) -> dict[str, Any]:
    """Reads the tracks of SLEAP's analysis, or of DeepLabCut's table, both `.h5`.

    Returns:
        Of SLEAP's `tracks` `[P, 2, K, T]`, `node_names`, `track_names` and, if they are there,
        `point_scores` `[P, K, T]`; of DeepLabCut's `frames` `[T]`, `values` `[T, C]` and `columns`,
        the labels of each, from the scorer to the coordinate.
    """
    with _hdf5(path, "be an HDF5 file") as file, errors.parsing("", "file", TRACKS_RULE):
        names = list(file)
        if {*_SLEAP[:2]} <= {*names}:
            return {
                name: _laid_down(name, file, _own(file, name)) for name in _SLEAP if name in names
            }
        # As pandas writes a table: the columns' labels are a pickle beside it.
        tables = [
            _own(_own(file, name), "table") for name in names if "table" in [*_own(file, name)]
        ]
        errors.require_in("", len(tables) == 1, "file", TRACKS_RULE, ", ".join(names)[:200])
        rows = _laid_down("table", file, tables[0])
        labels = bytes(tables[0].attrs["values_block_0_kind"])
        columns = _unpickled(io.BytesIO(labels), "columns")
        return {"frames": rows["index"], "values": rows["values_block_0"], "columns": columns}


def _laid_down(name: str, file: Any, dataset: Any) -> Any:
    """Returns the numbers or rows of a dataset; of text a list."""
    _check_stored(name, file, dataset)
    values = dataset[()]
    if values.dtype.kind not in "SO":
        return values
    return [text.decode() if isinstance(text, bytes) else str(text) for text in values.ravel()]


# CDF, whose reader takes bytes that are missing at the end for zeros.

_COMPRESSED_CDF = bytes.fromhex("cdf30001cccc0001")
_GZIP = 31
_CDF_REALS = (21, 22, 44, 45)


def cdf(path: files.AnyPath, name: str) -> np.ndarray:
    """Reads a variable of floating-point numbers of a CDF file."""
    import cdflib.cdfread

    class Whole(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            if size is not None and size != len(data):
                raise ValueError("the file ends too early, or a size in it is wrong")
            return data

    class File(cdflib.cdfread.CDF):
        # Its own would write what it unpacks to a file.
        def _file_or_url_or_s3_handler(self, *_: Any) -> io.BytesIO:
            return Whole(_inflated(path))

    with errors.parsing("", "file", "be a CDF file"):
        file = File(path)
    with errors.parsing("", name, "be a variable of the file"):
        variable = file.vdr_info(name)
    is_real = variable.data_type in _CDF_REALS and variable.num_elements == 1
    is_real &= bool(variable.record_vary and variable.sparse == 0 and all(variable.dim_vary))
    received = f"CDF type {variable.data_type}"
    errors.require_in("", is_real, name, "hold floating-point numbers", received)
    with errors.parsing("", name, "hold the values that its header promises"):
        shape = (variable.max_rec + 1, *map(int, variable.dim_sizes))
        num_bytes = files.check_shape("", name, shape, np.dtype(np.float64).itemsize)
        files.check_content("", name, num_bytes, os.path.getsize(path))
        return np.asarray(file.varget(name))


def _inflated(path: files.AnyPath) -> bytes:
    with open(path, "rb") as file:
        content = file.read()
    if not content.startswith(_COMPRESSED_CDF):
        return content
    # The compressed record's header: size, type, where its parameters are, size when unpacked.
    packed = content[8 + struct.calcsize(">QIQQI") :]
    return content[:4] + bytes.fromhex("0000ffff") + zlib.decompressobj(_GZIP).decompress(packed)
