"""Files that are read once per process, as long as they do not change."""

import functools
import pathlib
from collections.abc import Callable
from typing import Generic, TypeVar

from keras_mvlift import errors

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
        """Gives what the function gives for the file as it is now."""
        with errors.parsing(path, "file", "be there"):
            status = path.stat()
        return self._read(str(path), status.st_mtime_ns, status.st_size)

    def forget(self) -> None:
        """Lets go of all files."""
        self._read.cache_clear()
