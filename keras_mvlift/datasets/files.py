"""Files that may be missing, too large, or somewhere else than they claim."""

import json
import pathlib
import stat
from typing import Any

from keras_mvlift import errors
from keras_mvlift.datasets import limits


def size(path: pathlib.Path, field: str, max_bytes: int) -> int:
    """Gives a file's size in bytes.

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


def read_text(path: pathlib.Path, field: str, max_bytes: int = limits.MAX_TEXT_BYTES) -> str:
    """Reads a whole UTF-8 file of at most `max_bytes`, its lines' ends made one.

    Raises:
        RecordingError: If it is missing, no regular file, unreadable, too large or not UTF-8.
    """
    data = read_bytes(path, field, max_bytes)
    with errors.parsing(path, field, "be UTF-8"):
        text = data.decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: pathlib.Path, field: str = "file") -> Any:
    """Reads JSON of at most `limits.MAX_JSON_BYTES`.

    `NaN` and `Infinity` are admitted, as detectors in Python write them for what they did not see;
    `1e999` would be infinite anyway. Readers check numbers where they know what they stand for.

    Raises:
        RecordingError: If the file is missing, too large, no JSON, or nested too deeply.
    """
    data = read_bytes(path, field, limits.MAX_JSON_BYTES)
    with errors.parsing(path, field, "be JSON"):
        return json.loads(data)


def inside(
    root: pathlib.Path, relative: str, path: pathlib.Path, field: str = "path"
) -> pathlib.Path:
    """Gives the file or folder that a configuration names below a folder.

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
