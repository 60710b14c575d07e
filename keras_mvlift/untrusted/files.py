"""Files that may be missing, too large, or somewhere else than they claim; whole ones in return.

What reads or checks raises a `RecordingError` of the file and the field if there is no such regular
file, or it is not as it is said here.
"""

import contextlib
import functools
import json
import math
import os
import pathlib
import stat
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar
from xml.etree import ElementTree

import numpy as np

from keras_mvlift import errors

AnyPath = str | os.PathLike[str]


def size(path: pathlib.Path, field: str, max_bytes: int) -> int:
    """Returns a file's size in bytes, at most `max_bytes`."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        is_missing = isinstance(error, FileNotFoundError)
        received = "nothing there" if is_missing else errors.met(error)
        raise errors.RecordingError(path, field, "be a file that exists", received) from error
    # A pipe would wait for a writer, a device might never end.
    errors.require_in(path, stat.S_ISREG(status.st_mode), field, "be a file", "something else")
    is_small = status.st_size <= max_bytes
    errors.require_in(path, is_small, field, f"have at most {max_bytes} bytes", status.st_size)
    return status.st_size


def read_bytes(path: pathlib.Path, field: str, max_bytes: int) -> bytes:
    """Reads a whole file of at most `max_bytes`."""
    size(path, field, max_bytes)
    with errors.parsing(path, field, "be a readable file"), path.open("rb") as file:
        return file.read(max_bytes)


MAX_TEXT_BYTES = 64 * 2**20  # TOML, YAML, XML, tables: what people write or look at.
# YAML and TOML, which are read slowly, and XML: manifests and calibrations.
MAX_MARKUP_BYTES = 2**20


def read_text(path: pathlib.Path, field: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Reads a whole UTF-8 file of at most `max_bytes`, its lines' ends made one."""
    data = read_bytes(path, field, max_bytes)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.RecordingError(path, field, "be UTF-8", _what(data, error)) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: pathlib.Path, field: str = "file") -> Any:
    """Reads JSON of at most `MAX_JSON_BYTES`.

    `NaN` and `Infinity` are admitted, as detectors in Python write them for what they did not see;
    `1e999` would be infinite anyway. Readers check numbers where they know what they stand for.
    """
    data = read_bytes(path, field, MAX_JSON_BYTES)
    check_items(path, field, data, _JSON_COSTS)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise errors.RecordingError(path, field, "be JSON", _what(data, error)) from error


# By how files begin, what they are in place of a text.
_BEGINNINGS = {
    b"\x1f\x8b": "a gzip file: unpack it",
    b"PK\x03\x04": "a ZIP archive: unpack it",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"version https://git-lfs": "a pointer of Git LFS: fetch what it points to",
    b"<": "HTML or XML",
}


def _what(data: bytes, error: Exception) -> str:
    """Says what is in a file in place of what was to be."""
    told = (what for begin, what in _BEGINNINGS.items() if data.lstrip().startswith(begin))
    return next(told, errors.met(error)) if data.strip() else "an empty file"


def inside(
    root: pathlib.Path, relative: str, path: pathlib.Path, field: str = "path"
) -> pathlib.Path:
    """Returns the file or folder, there or not, that a configuration names below a folder.

    Args:
        root: The folder.
        relative: What was written, with `/` between the parts.
        path: Where it was written, for the error.
        field: The field it was written in, for the error.

    Raises:
        RecordingError: If that lies outside the folder, by `..`, as an absolute path or through
            a link.
    """
    rule = "be a relative path that stays inside the folder"
    if not isinstance(relative, str) or "\\" in relative or pathlib.PureWindowsPath(relative).drive:
        raise errors.RecordingError(path, field, rule, relative)
    with errors.parsing(path, field, rule):
        found = root / relative
        resolved = found.resolve()
        is_inside = resolved.is_relative_to(root.resolve())
    if not is_inside or ".." in pathlib.PurePosixPath(relative).parts:
        raise errors.RecordingError(path, field, rule, relative)
    return found


# What every array of the release's files must be: of its shape, finite, and of earthly size.

# Pixels or millimeters; nothing in a studio or a meadow is a hundred meters away.
_LARGEST_NUMBER = 1e5


def checked_array(
    path: object, field: str, value: object, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Returns an array of numbers in double precision, if it is of a shape; None is any length."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        received = f"{type(value).__name__} {getattr(value, 'dtype', '')}".strip()
        raise errors.RecordingError(path, field, "be an array of numbers", received)
    pairs = zip(shape, value.shape, strict=False)
    fits = len(value.shape) == len(shape) and all(want in (None, given) for want, given in pairs)
    rule = f"have shape [{', '.join('any' if n is None else str(n) for n in shape)}]"
    errors.require_in(path, fits and value.size, field, rule, value.shape)
    # Quadruple precision beyond double becomes infinite, and a signalling NaN a quiet one.
    with np.errstate(over="ignore", invalid="ignore"):
        return value.astype(np.float64)


def require_finite(path: object, field: str, value: np.ndarray) -> None:
    """Refuses NaN, infinity and numbers of 100 000 on, by the first of frames `[T, ...]`.

    In millimeters that are 100 m.
    """
    is_sound = (np.abs(value) < _LARGEST_NUMBER).reshape(len(value), -1).all(axis=1)
    if not is_sound.all():
        frame = int(np.argmin(is_sound))
        worst = value[frame].ravel()[np.argmin(np.abs(value[frame].ravel()) < _LARGEST_NUMBER)]
        rule = f"hold finite numbers below {_LARGEST_NUMBER:g}"
        raise errors.RecordingError(path, field, rule, f"{worst} in frame {frame}")


# How large a file and what is in it may be.
#
# A reader compares what a file declares with these numbers before it allocates anything. They are
# several times what the largest published recordings need (`data_train_3dhp.npz`: 0.7 GB) and small
# enough that a hostile file cannot take a machine down.

MAX_ARCHIVE_BYTES = 8 * 2**30
MAX_JSON_BYTES = 256 * 2**20

MAX_CONTENT_BYTES = 8 * 2**30  # All that one call reads, counted as if no part of it were shared.
# Numbers that were measured do not shrink a hundredfold; zeros do, and few of them do no harm.
MAX_COMPRESSION_RATIO = 100
COMPRESSION_FREE_BYTES = 256 * 2**20

MAX_NESTING = 32
KINDS = "biufcSU"  # Of arrays: booleans, integers, floats, complex numbers, bytes and text.

# What the process that parses a file may take, beside what it takes before, for each answer: a
# little for any file, and more for one that has more. A file of Python's own numbers grows some
# thirtyfold, YAML is read at some 50 kB a second.
_FREE_MEMORY_BYTES, _MEMORY_PER_BYTE = 2**30, 32
_FREE_SECONDS, _SECONDS_PER_MIB, _MAX_SECONDS = 5, 4, 600
YAML_SECONDS_PER_MIB = 30
_WAITING_SECONDS_PER_SECOND = 20  # Another process may have the processor.


class Limits(NamedTuple):
    """Of a process that parses a file, for one answer."""

    memory_bytes: int  # Address space beside what the process has at the start.
    seconds: int  # Of computing.
    waiting_seconds: int  # Of time.
    content_bytes: int  # Of the answer.


def limits(num_stored: int, seconds_per_mib: int | None = None) -> Limits:
    """Returns what a file of so many bytes may take; of a slow format more seconds."""
    pace = _SECONDS_PER_MIB if seconds_per_mib is None else seconds_per_mib
    memory = _FREE_MEMORY_BYTES + _MEMORY_PER_BYTE * num_stored
    seconds = min(_FREE_SECONDS + pace * num_stored // 2**20, _MAX_SECONDS)
    content = max(COMPRESSION_FREE_BYTES, MAX_COMPRESSION_RATIO * num_stored)
    return Limits(
        min(memory, MAX_CONTENT_BYTES + _FREE_MEMORY_BYTES),
        seconds,
        _WAITING_SECONDS_PER_SECOND * seconds,
        min(content, MAX_CONTENT_BYTES),
    )


def check_content(path: object, field: str, num_bytes: int, num_stored: int) -> None:
    """Refuses what would grow too large when it is read, from what is stored in the file.

    That is more than `MAX_CONTENT_BYTES`, or than `COMPRESSION_FREE_BYTES` and
    `MAX_COMPRESSION_RATIO` times what is stored.
    """
    if num_bytes > MAX_CONTENT_BYTES:
        rule = f"hold at most {MAX_CONTENT_BYTES} bytes"
        raise errors.RecordingError(path, field, rule, f"{num_bytes} bytes")
    if num_bytes > max(COMPRESSION_FREE_BYTES, MAX_COMPRESSION_RATIO * num_stored):
        rule = f"grow at most {MAX_COMPRESSION_RATIO} times when read"
        raise errors.RecordingError(path, field, rule, f"{num_bytes} bytes out of {num_stored}")


def array_bytes(shape: Any, item_bytes: int) -> int:
    """Returns the bytes of an array that declares a shape, before there is one.

    Raises:
        ValueError: If it exceeds `MAX_CONTENT_BYTES`, or is no tuple of lengths.
    """
    is_shape = isinstance(shape, tuple) and all(type(length) is int for length in shape)
    if not is_shape or len(shape) > MAX_NESTING or any(length < 0 for length in shape):
        raise ValueError(f"{shape!r} is no shape of up to {MAX_NESTING} axes")
    num_bytes = math.prod(shape) * item_bytes
    if max(num_bytes, *shape, 0) > MAX_CONTENT_BYTES:
        raise ValueError(f"shape {shape} of {item_bytes} bytes each is more than can be held")
    return num_bytes


# What a mark in a text stands for takes in Python: a container, a number or cell, half a text.
_JSON_COSTS = {b"{": 72, b"[": 72, b",": 40, b'"': 30}
CSV_COSTS = {b"\n": 120, b",": 60}
MAX_ITEM_BYTES = 2 * 2**30


def check_items(path: object, field: str, data: bytes, costs: dict[bytes, int]) -> None:
    """Refuses text whose items would take more than `MAX_ITEM_BYTES` in memory."""
    num_bytes = sum(cost * data.count(mark) for mark, cost in costs.items())
    rule = f"hold items of at most {MAX_ITEM_BYTES} bytes in memory"
    errors.require_in(path, num_bytes <= MAX_ITEM_BYTES, field, rule, num_bytes)


# What nobody says takes no bytes in a file: few detections may be far apart.
MAX_SPARSENESS = 100
FREE_NUMBERS = 2**24


def check_span(path: object, field: str, shape: tuple[int, ...], num_told: int) -> None:
    """Refuses arrays, such as people by frames by joints, that few numbers of a file span.

    They have more than `FREE_NUMBERS`, and more than `MAX_SPARSENESS` times what is told.
    """
    check_shape(path, field, shape, np.dtype(np.float64).itemsize)
    fits = math.prod(shape) <= max(FREE_NUMBERS, MAX_SPARSENESS * num_told)
    rule = f"span at most {MAX_SPARSENESS} times as many numbers as are told"
    received = f"{' x '.join(map(str, shape))} of {num_told}"
    errors.require_in(path, fits, field, rule, received)


def check_shape(path: object, field: str, shape: Any, item_bytes: int) -> int:
    """Returns what `array_bytes` returns, for a part of a file."""
    with errors.parsing(path, field, f"have a shape and at most {MAX_CONTENT_BYTES} bytes"):
        return array_bytes(shape, item_bytes)


# XML from anywhere: no entities, which may grow without end or name other files.


def read_xml(path: pathlib.Path, field: str) -> ElementTree.Element:
    """Reads the root element of a file of at most `MAX_MARKUP_BYTES` without a document type."""
    data = read_bytes(path, field, MAX_MARKUP_BYTES)
    with errors.parsing(path, field, "be XML without a document type"):
        parser = ElementTree.XMLParser(target=_XMLBuilder())
        parser.feed(data)
        return parser.close()


class _XMLBuilder(ElementTree.TreeBuilder):
    def doctype(self, name: str, public_id: str | None, system: str | None) -> None:
        """Ends the reading before an entity is declared."""
        raise ValueError(f"a document type {name}")


# Files that are read once per process, as long as they do not change.

Content = TypeVar("Content")

_MAX_FILES = 4  # Poses, detections, and room to compare two detectors.


class PerVersion(Generic[Content]):
    """A function of a file that keeps what it gave while the file's size and time stay."""

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


# Files that are written whole or not at all.


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path beside `path` to write to, which takes its place once all is written.

    What was there before stays if writing fails, and half a file never stands there, however the
    machine ends.

    Raises:
        FileNotFoundError: If its folder is not there.
        IsADirectoryError: If it is a folder.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} must be a folder to write {path.name} to.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} must be a file to write to, not a folder.")
    # Libraries tell the format by the ending, some in small letters only.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix.lower()}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text, whole or not at all; errors are those of `replacing`."""
    with replacing(pathlib.Path(path)) as partial:
        partial.write_text(text, encoding="utf-8")
