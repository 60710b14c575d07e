"""NumPy's archives, `*.npz`, from anywhere.

Every size is compared with what the archive really stores before an array is allocated, nothing is
written to disk, and pickled members go through `pickles`.
"""

import contextlib
import io
import pathlib
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import files, pickles

_FILE_RULE = "be an .npz archive"
_SUFFIX = ".npy"
_ENCRYPTED = 0x1
_LOCAL_HEADER_BYTES = 30
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_KINDS = "biufcSUV"
_BLOCK_BYTES = 2**20


def names(path: pathlib.Path) -> list[str]:
    """Returns the names of an archive's arrays, in its order.

    Raises:
        RecordingError: If the file is missing, damaged, over the limits, or no archive of arrays.
    """
    with _open(path) as archive:
        return list(_members(path, archive))


def read_npz(path: pathlib.Path, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Reads arrays of an archive.

    Args:
        path: The archive.
        names: Which; all if None.

    Returns:
        Arrays of numbers, text or records; of objects, as far as `pickles` admits them. An
        array of objects without axes gives its one object.

    Raises:
        RecordingError: If the file is missing, damaged, over the limits or no archive of arrays,
            or has no such array.
    """
    with _open(path) as archive:
        members = _members(path, archive)
        wanted = members if names is None else names
        for name in wanted:
            if name not in members:
                rule = "be an array of the archive"
                raise errors.RecordingError(path, name, rule, ", ".join(members)[:200])
        return {name: _read_member(path, name, archive, members[name]) for name in wanted}


class _Reader(io.BufferedReader):
    """Refuses a table of contents that is too large, which `zipfile` reads in one piece."""

    is_open = False

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.is_open and size is not None and size > files.MAX_DIRECTORY_BYTES:
            raise ValueError(f"a table of contents of {size} bytes")
        return super().read(size)


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    size = files.size(path, "file", files.MAX_ARCHIVE_BYTES)
    with contextlib.ExitStack() as stack:
        with errors.parsing(path, "file", _FILE_RULE):
            file = stack.enter_context(_Reader(io.FileIO(path)))
            archive = stack.enter_context(zipfile.ZipFile(file))
        file.is_open = True
        _check_members(path, archive.infolist(), size)
        yield archive


def _check_members(path: pathlib.Path, members: list[zipfile.ZipInfo], size: int) -> None:
    if len(members) > files.MAX_MEMBERS:
        rule = f"have at most {files.MAX_MEMBERS} members"
        raise errors.RecordingError(path, "file", rule, len(members))
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        _check_member(path, member)
        if member.header_offset < end:
            rule = "not share bytes with another member"
            raise errors.RecordingError(path, member.filename, rule, "an overlap")
        end = member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size
        if end > size:
            raise errors.RecordingError(
                path, member.filename, "lie inside the file", "an end behind"
            )
        files.check_content(path, member.filename, member.file_size, member.compress_size)
    total, stored = (sum(getattr(m, n) for m in members) for n in ("file_size", "compress_size"))
    files.check_content(path, "file", total, stored)


def _check_member(path: pathlib.Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = pathlib.PureWindowsPath(name)
    if parts.drive or parts.root or ".." in parts.parts:
        raise errors.RecordingError(path, name, "be a name inside the archive", "a path out of it")
    if member.flag_bits & _ENCRYPTED:
        raise errors.RecordingError(path, name, "be readable", "an encrypted member")
    if member.compress_type not in _METHODS:
        rule = "be stored or deflated"
        raise errors.RecordingError(path, name, rule, f"method {member.compress_type}")


def _members(path: pathlib.Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(_SUFFIX)
        if name in found:
            raise errors.RecordingError(path, name, "be there once", "two members of that name")
        if member.filename.endswith(_SUFFIX):
            found[name] = member
    if not found:
        raise errors.RecordingError(path, "file", _FILE_RULE, f"no member called *{_SUFFIX}")
    return found


def _read_member(
    path: pathlib.Path, name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> Any:
    with errors.parsing(path, name, "be an array"), archive.open(member) as file:
        value = _read_array(path, name, file, member.file_size)
        # The checksum is compared at the end.
        if file.read(1):
            raise ValueError("bytes behind the array")
    return value


def _read_array(path: pathlib.Path, name: str, file: Any, size: int) -> Any:
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise errors.RecordingError(path, name, "be of .npy version 1 or 2", version)
    shape, is_fortran, dtype = _READ_HEADER[version](file)
    left = size - file.tell()
    if dtype == np.dtype(object):
        return _read_objects(path, name, file, left, shape)
    if dtype.hasobject or dtype.kind not in _KINDS or not dtype.itemsize:
        raise errors.RecordingError(path, name, "hold numbers, text or objects", dtype)
    num_bytes = files.check_shape(path, name, shape, dtype.itemsize)
    if num_bytes != left:
        rule = f"have the {num_bytes} bytes that its shape {shape} says"
        raise errors.RecordingError(path, name, rule, left)
    raw = _fill(np.empty(num_bytes, np.uint8), file)
    return raw.view(dtype).reshape(shape, order="F" if is_fortran else "C")


def _fill(raw: np.ndarray, file: BinaryIO) -> np.ndarray:
    for start in range(0, len(raw), _BLOCK_BYTES):
        block = raw[start : start + _BLOCK_BYTES]
        data = file.read(len(block))
        if len(data) != len(block):
            raise EOFError(f"it ends after {start + len(data)} of {len(raw)} bytes")
        block[:] = np.frombuffer(data, np.uint8)
    return raw


def _read_objects(
    path: pathlib.Path, name: str, file: Any, size: int, shape: tuple[int, ...]
) -> Any:
    array = pickles.load(file, size, path, name)
    is_array = isinstance(array, np.ndarray) and array.dtype == np.dtype(object)
    if not is_array or array.shape != shape:
        received = array.shape if is_array else type(array).__name__
        raise errors.RecordingError(path, name, f"be objects of shape {shape}", received)
    return array.item() if array.ndim == 0 else array
