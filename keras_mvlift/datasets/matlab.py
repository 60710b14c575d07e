"""MATLAB's files, `*.mat`, of version 5 and 7.3, from anywhere."""

import pathlib

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import files, limits, matlab5, matlab73

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
    files.size(path, "file", limits.MAX_ARCHIVE_BYTES)
    with errors.parsing(path, "file", "be a readable file"), path.open("rb") as file:
        start = file.read(_MAGIC_BYTES)
    if any(start[offset:].startswith(_HDF5) for offset in _HDF5_OFFSETS):
        found = matlab73.read(path, names)
    elif matlab5.byte_order(start) is not None:
        found = matlab5.read(path, names)
    else:
        rule = "be a MATLAB file of version 5 or 7.3"
        raise errors.RecordingError(path, "file", rule, f"it starts with {start[:20]!r}")
    for name in names:
        if name not in found:
            raise errors.RecordingError(path, name, "be a variable of the file", "no such variable")
    return found
