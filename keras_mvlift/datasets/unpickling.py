"""Pickles of NumPy arrays and plain containers, read without running anything.

Loading a pickle the usual way runs what it names. See `pickle_machine` for what is done instead and
`pickled_names` for the names that are admitted.
"""

import io
import pathlib
from typing import Any, BinaryIO

from keras_mvlift import errors
from keras_mvlift.datasets import contents, files, limits, pickle_machine


def read(path: pathlib.Path) -> Any:
    """Reads a pickle of any protocol, of Python 2 or 3.

    Arrays cannot be written to; text of Python 2 is decoded as latin-1; an `OrderedDict` comes as
    a `dict`.

    Raises:
        RecordingError: If the file is missing, damaged, over the limits, or names anything but
            arrays and plain containers.
    """
    size = files.size(path, "file", limits.MAX_ARCHIVE_BYTES)
    with errors.parsing(path, "file", "be a readable file"), path.open("rb") as file:
        return load(file, size, path)


def loads(data: bytes, path: object) -> Any:
    """Reads a pickle from bytes; `path` is what an error names. See `read`."""
    return load(io.BytesIO(data), len(data), path)


def load(file: BinaryIO, size: int, path: object, field: str = "pickle") -> Any:
    """Reads a pickle of at most `size` bytes from where a file stands. See `read`."""
    with errors.parsing(path, field, pickle_machine.RULE):
        value = pickle_machine.run(file, size, path, field)
        contents.check(value, path, field, size)
    return value
