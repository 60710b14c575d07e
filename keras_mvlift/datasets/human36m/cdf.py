"""The CDF files of Human3.6M's original release: one variable `Pose`, `[1, T, width]`."""

import pathlib

import cdflib.cdfwrite
import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import files
from keras_mvlift.datasets.human36m import bounded_cdf

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
        file = bounded_cdf.BoundedCDF(content, max_bytes)
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
