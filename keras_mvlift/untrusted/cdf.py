"""The CDF files of Human3.6M's original release: one variable `Pose`, `[1, T, width]`."""

import functools
import io
import pathlib
import struct
import zlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import cdflib.cdfread
import cdflib.cdfwrite
import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import files

VARIABLE = "Pose"
MAX_FRAMES = 50_000
"""Frames that a file may hold; the longest take of the release has some 6,000."""

_CDF_FLOAT, _CDF_DOUBLE = 44, 45
_REAL_TYPES = {21: 4, 22: 8, _CDF_FLOAT: 4, _CDF_DOUBLE: 8}
# Bytes that headers and attributes may take beside the values.
_MAX_OVERHEAD = 1 << 20


def read(path: pathlib.Path, width: int) -> np.ndarray:
    """Reads a file's values.

    Args:
        path: The file.
        width: Values per frame.

    Returns:
        `[T, width]`, double precision, in the file's unit; finite.

    Raises:
        RecordingError: If the file is missing, damaged, too large, or not of that form.
    """
    max_bytes = MAX_FRAMES * width * 8 + _MAX_OVERHEAD
    content = files.read_bytes(path, "file", max_bytes)
    with errors.parsing(path, "file", "be a CDF file"):
        file = BoundedCDF(content, max_bytes)
    with errors.parsing(path, VARIABLE, "be a variable of the file"):
        variable = file.vdr_info(VARIABLE)
    shape = (variable.max_rec + 1, *variable.dim_sizes)
    is_frames = len(shape) == 3 and (shape[0], shape[2]) == (1, width)
    if not (is_frames and 1 <= shape[1] <= MAX_FRAMES and all(variable.dim_vary)):
        rule = f"have shape (1, T, {width}) with T of 1 to {MAX_FRAMES}"
        raise errors.RecordingError(path, VARIABLE, rule, shape)
    is_plain = variable.data_type in _REAL_TYPES and variable.num_elements == 1
    if not (is_plain and variable.record_vary and variable.sparse == 0):
        rule = "hold floating-point numbers in one record"
        raise errors.RecordingError(path, VARIABLE, rule, f"CDF type {variable.data_type}")
    with errors.parsing(path, VARIABLE, "hold the values that its header promises"):
        values = np.asarray(file.varget(VARIABLE), np.float64)
    if values.shape != shape:
        raise errors.RecordingError(path, VARIABLE, f"have shape {shape}", values.shape)
    if not np.isfinite(values).all():
        frame = int(np.argwhere(~np.isfinite(values))[0, 1])
        raise errors.RecordingError(path, VARIABLE, "be finite", f"NaN or infinity, frame {frame}")
    return values[0]


def write(path: pathlib.Path, values: np.ndarray, *, double: bool = False) -> None:
    """Writes `[T, width]` values as a new file, in single or double precision."""
    file = cdflib.cdfwrite.CDF(path, cdf_spec={"Majority": "row_major"})
    specification = {
        "Variable": VARIABLE,
        "Data_Type": _CDF_DOUBLE if double else _CDF_FLOAT,
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Dim_Sizes": list(values.shape),
        "Compress": 0,
    }
    precision = np.float64 if double else np.float32
    file.write_var(specification, var_data=values[np.newaxis].astype(precision))
    file.close()


# cdflib's reader of CDF files, kept from running away with a damaged or hostile file.
#
# Bytes past a record's end read as zeros to cdflib, counts in the file drive its loops, links
# between records may run in circles, and compressed blocks may hold anything. Here every read must
# find its bytes, reads are counted, and blocks grow no further than allowed.

# A file of Human3.6M is read in some 20 steps; one in many blocks needs more.
_MAX_READS = 5000
_UNCOMPRESSED = bytes.fromhex("0000ffff")
_COMPRESSED_V3 = bytes.fromhex("cdf30001cccc0001")
_COMPRESSED_BLOCK = 13
# zlib's code for data with gzip's header.
_GZIP = 31
_DOES_NOT_FIT = "the file ends too early, or a size in it is wrong"


class BoundedCDF(cdflib.cdfread.CDF):
    """A CDF file in memory, that ends in an error where cdflib alone might not end.

    Args:
        content: The file's bytes, whole.
        max_bytes: To how many bytes compressed data may grow.

    Raises:
        ValueError: Here and in every method, if records do not fit the file; cdflib raises errors
            of other kinds too.
    """

    def __init__(self, content: bytes, max_bytes: int):
        self._content, self._max_bytes = _inflated(content, max_bytes), max_bytes
        # cdflib wants an existing file; what it opens is decided below.
        super().__init__(pathlib.Path(__file__))

    def _file_or_url_or_s3_handler(self, *_: Any) -> io.BytesIO:
        return _CountedFile(self._content)

    def _read_vvr_block(self, offset: int) -> bytes:
        return self._block(offset, ">Q", 16)

    def _read_vvr_block2(self, offset: int) -> bytes:
        return self._block(offset, ">I", 12)

    def _block(self, offset: int, size_format: str, header: int) -> bytes:
        """Reads a block of values; its size has another width in each version of the format."""
        self._f.seek(offset)
        (size,) = struct.unpack(size_format, self._f.read(struct.calcsize(size_format)))
        block = self._f.read(size - struct.calcsize(size_format))
        if struct.unpack(">I", block[:4])[0] == _COMPRESSED_BLOCK:
            return _inflate(block[header:], self._max_bytes)
        return block[4:]


class _Record(bytes):
    """Bytes that are not read past their end."""

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice) and max(index.start or 0, index.stop or 0) > len(self):
            raise ValueError(_DOES_NOT_FIT)
        return super().__getitem__(index)


class _CountedFile(io.BytesIO):
    """A file that gives all bytes asked for, and not endlessly often."""

    _num_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._num_reads += 1
        if self._num_reads > _MAX_READS:
            raise ValueError("the file's records do not come to an end")
        content = super().read(size)
        if size is None or size < 0 or len(content) != size:
            raise ValueError(_DOES_NOT_FIT)
        return _Record(content)


def _inflated(content: bytes, max_bytes: int) -> bytes:
    """Unpacks a file that is compressed as a whole, as version 3 of the format may be."""
    if content[:8] != _COMPRESSED_V3:
        return content
    # The compressed record's header: size, type, where its parameters are, size when unpacked.
    header = 8 + struct.calcsize(">QIQQI")
    return content[:4] + _UNCOMPRESSED + _inflate(content[header:], max_bytes)


def _inflate(packed: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    content = inflater.decompress(bytes(packed), max_bytes)
    if not inflater.eof:
        raise ValueError(f"a compressed block ends early, or is larger than {max_bytes} bytes")
    return content


# Files that are read once per process, as long as they do not change.

Content = TypeVar("Content")

# Poses, detections, and room to compare two detectors.
_MAX_FILES = 4


class PerVersion(Generic[Content]):
    """A function of a file that keeps what it gave until the file's size or time of change differs.

    Args:
        read: What to call with the path of a file.

    Call arguments:
        path: The file.

    Raises:
        RecordingError: If there is no such file.
    """

    def __init__(self, read: Callable[[pathlib.Path], Content]):
        functools.update_wrapper(self, read)
        self._read = functools.lru_cache(_MAX_FILES)(lambda path, *_: read(pathlib.Path(path)))

    def __call__(self, path: pathlib.Path) -> Content:
        """Returns the result of the function for the file as it is now."""
        with errors.parsing(path, "file", "be there"):
            status = path.stat()
        return self._read(str(path), status.st_mtime_ns, status.st_size)

    def forget(self) -> None:
        """Lets go of all files."""
        self._read.cache_clear()
