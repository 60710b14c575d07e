"""Files that may be missing, too large, or somewhere else than they claim."""

import json
import math
import pathlib
import stat
from typing import Any
from xml.etree import ElementTree

import numpy as np

from keras_mvlift import errors


def size(path: pathlib.Path, field: str, max_bytes: int) -> int:
    """Returns a file's size in bytes.

    Raises:
        RecordingError: If there is no such regular file, or it is larger than `max_bytes`.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise errors.RecordingError(path, field, "be a file that exists", error) from error
    if not stat.S_ISREG(status.st_mode):
        # A pipe would wait for a writer, a device might never end.
        raise errors.RecordingError(path, field, "be a file", "something else")
    if status.st_size > max_bytes:
        rule = f"have at most {max_bytes} bytes"
        raise errors.RecordingError(path, field, rule, status.st_size)
    return status.st_size


def read_bytes(path: pathlib.Path, field: str, max_bytes: int) -> bytes:
    """Reads a whole file of at most `max_bytes`.

    Raises:
        RecordingError: If it is missing, no regular file, unreadable or too large.
    """
    size(path, field, max_bytes)
    with errors.parsing(path, field, "be a readable file"), path.open("rb") as file:
        return file.read(max_bytes)


# TOML, YAML, XML, tables: what people write or look at.
MAX_TEXT_BYTES = 64 * 2**20


def read_text(path: pathlib.Path, field: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Reads a whole UTF-8 file of at most `max_bytes`, its lines' ends made one.

    Raises:
        RecordingError: If it is missing, no regular file, unreadable, too large or not UTF-8.
    """
    data = read_bytes(path, field, max_bytes)
    with errors.parsing(path, field, "be UTF-8"):
        text = data.decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: pathlib.Path, field: str = "file") -> Any:
    """Reads JSON of at most `MAX_JSON_BYTES`.

    `NaN` and `Infinity` are admitted, as detectors in Python write them for what they did not see;
    `1e999` would be infinite anyway. Readers check numbers where they know what they stand for.

    Raises:
        RecordingError: If the file is missing, too large, no JSON, or nested too deeply.
    """
    data = read_bytes(path, field, MAX_JSON_BYTES)
    with errors.parsing(path, field, "be JSON"):
        return json.loads(data)


def inside(
    root: pathlib.Path, relative: str, path: pathlib.Path, field: str = "path"
) -> pathlib.Path:
    """Returns the file or folder that a configuration names below a folder.

    Args:
        root: The folder.
        relative: What was written, with `/` between the parts.
        path: Where it was written, for the error.
        field: The field it was written in, for the error.

    Returns:
        `root / relative`, whether or not it exists.

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
    """Returns an array of a file in double precision, if it is as it must be.

    Args:
        path: The file.
        field: The array's name in it.
        value: What the file holds.
        shape: The shape it must have; None for any length.

    Raises:
        RecordingError: If it is no array of numbers of that shape.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        received = f"{type(value).__name__} {getattr(value, 'dtype', '')}".strip()
        raise errors.RecordingError(path, field, "be an array of numbers", received)
    fits = len(value.shape) == len(shape) and all(
        wanted in (None, given) for wanted, given in zip(shape, value.shape, strict=True)
    )
    if not fits or not value.size:
        rule = f"have shape [{', '.join('any' if n is None else str(n) for n in shape)}]"
        raise errors.RecordingError(path, field, rule, value.shape)
    return value.astype(np.float64)


def require_finite(path: object, field: str, value: np.ndarray) -> None:
    """Refuses NaN, infinity and what is far too large, by the first frame that has it.

    Args:
        path: The file.
        field: The array's name in it.
        value: `[T, ...]`.

    Raises:
        RecordingError: If a number is not below 100 000, which is 100 m in millimeters.
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

MAX_MEMBERS = 100_000
# Of an archive's table of contents, about 300 bytes a member.
MAX_DIRECTORY_BYTES = 32 * 2**20

# All that one call reads, counted as if no part of it were shared.
MAX_CONTENT_BYTES = 8 * 2**30
# Numbers that were measured do not shrink a hundredfold; zeros do, and few of them do no harm.
MAX_COMPRESSION_RATIO = 100
COMPRESSION_FREE_BYTES = 256 * 2**20

MAX_OPERATIONS = 20_000_000
MAX_NESTING = 32
MAX_KEY_LENGTH = 32
MAX_INTEGER_BYTES = 16


def check_content(path: object, field: str, num_bytes: int, num_stored: int) -> None:
    """Refuses what would grow too large when it is read.

    Args:
        path: The file.
        field: The part of it.
        num_bytes: What it declares to hold.
        num_stored: What it takes in the file.

    Raises:
        RecordingError: If it exceeds `MAX_CONTENT_BYTES`, or `COMPRESSION_FREE_BYTES` and
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

    Args:
        shape: What it declares: a tuple of lengths, if it is right.
        item_bytes: What one item takes.

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


def check_shape(path: object, field: str, shape: Any, item_bytes: int) -> int:
    """Returns what `array_bytes` returns, for a part of a file.

    Raises:
        RecordingError: If it exceeds `MAX_CONTENT_BYTES`, or is no tuple of lengths.
    """
    with errors.parsing(path, field, f"have a shape and at most {MAX_CONTENT_BYTES} bytes"):
        return array_bytes(shape, item_bytes)


# What was unpickled, as large as it is when no part of it is shared.
#
# A list of ten times the same list of ten times the same list, and so on, takes few bytes in a file
# and in memory, until someone copies it.

_ITEM_BYTES = 8
_SCALARS = (bool, int, float, complex, str, bytes, bytearray, type(None), np.generic)
_CONTAINERS = (list, tuple, dict, set, frozenset)


def check_contents(value: Any, path: object, field: str, num_stored: int) -> None:
    """Refuses what is too large when written out, nests too deeply, or holds itself.

    Args:
        value: Scalars, arrays and plain containers of them.
        path: The file it comes from.
        field: The part of it, for the error.
        num_stored: The bytes it takes in the file.

    Raises:
        RecordingError: If it exceeds a limit, or holds anything else.
    """
    num_bytes, _ = _Measure(path, field).of(value, 0)
    check_content(path, field, num_bytes, num_stored)


class _Measure:
    def __init__(self, path: object, field: str):
        self._path, self._field = path, field
        # By identity; what is measured outlives this.
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, value: Any, depth: int) -> tuple[int, int]:
        """Returns the bytes, and how deep they nest."""
        if isinstance(value, _SCALARS):
            return _ITEM_BYTES + (
                len(value) if isinstance(value, str | bytes | bytearray) else 0
            ), 0
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            return _ITEM_BYTES + value.nbytes, 0
        if type(value) not in (*_CONTAINERS, np.ndarray):
            received = getattr(value, "name", type(value).__name__)
            raise errors.RecordingError(self._path, self._field, "hold no types", received)
        found = self._known.get(id(value)) or self._of_items(value, depth)
        if depth + found[1] > MAX_NESTING:
            rule = f"nest at most {MAX_NESTING} deep"
            raise errors.RecordingError(
                self._path, self._field, rule, f"{depth + found[1]} or more"
            )
        self._known[id(value)] = found
        return found

    def _of_items(self, value: Any, depth: int) -> tuple[int, int]:
        if depth > MAX_NESTING:
            return 0, 1
        items = value.ravel().tolist() if isinstance(value, np.ndarray) else value
        if isinstance(value, dict):
            items = [*value, *value.values()]
        num_bytes, height = _ITEM_BYTES * (1 + len(items)), 0
        for item in items:
            item_bytes, item_height = self.of(item, depth + 1)
            num_bytes, height = num_bytes + item_bytes, max(height, item_height)
        return num_bytes, height + 1


# XML from anywhere: no entities, which may grow without end or name other files.


def read_xml(path: pathlib.Path, field: str) -> ElementTree.Element:
    """Reads the root element of a file of at most `MAX_TEXT_BYTES`.

    Raises:
        RecordingError: If it is missing, too large, no XML, or declares a document type.
    """
    data = read_bytes(path, field, MAX_TEXT_BYTES)
    with errors.parsing(path, field, "be XML without a document type"):
        parser = ElementTree.XMLParser(target=_XMLBuilder())
        parser.feed(data)
        return parser.close()


class _XMLBuilder(ElementTree.TreeBuilder):
    def doctype(self, name: str, public_id: str | None, system: str | None) -> None:
        """Ends the reading before an entity is declared."""
        raise ValueError(f"a document type {name}")
