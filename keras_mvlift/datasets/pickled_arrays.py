"""NumPy's arrays as pickles tell them.

NumPy's own `ndarray.__setstate__` is never called. An array is a checked shape over checked bytes.
"""

from typing import Any, Literal

import numpy as np

from keras_mvlift.datasets import limits, pickled_dtypes


def of_state(
    version: int, shape: tuple[int, ...], dtype: np.dtype, is_fortran: bool, raw: Any
) -> np.ndarray:
    """Makes an array of what its pickle says.

    Raises:
        ValueError, TypeError: If the shape is not that of the bytes or objects.
    """
    order: Literal["C", "F"] = "F" if is_fortran else "C"
    if dtype is not None and dtype == pickled_dtypes.OBJECT:
        return _of_objects(raw, shape, order)
    return of_buffer(_bytes(raw), dtype, shape, order)


def of_buffer(
    raw: Any, dtype: np.dtype, shape: tuple[int, ...], order: Literal["C", "F"]
) -> np.ndarray:
    """Lays an array over bytes, which it must fill exactly. It cannot be written to.

    Raises:
        ValueError, TypeError: If it does not fill them, or is not of plain numbers or text.
    """
    pickled_dtypes.check_plain(dtype)
    num_bytes = limits.array_bytes(shape, dtype.itemsize)
    if not isinstance(raw, bytes | bytearray) or len(raw) != num_bytes:
        raise ValueError(f"shape {shape} of {dtype} over other than {num_bytes} bytes")
    return np.frombuffer(bytes(raw), dtype).reshape(shape, order=order)


def scalar(dtype: np.dtype, raw: Any) -> Any:
    """Makes NumPy's scalar of its bytes.

    Raises:
        ValueError, TypeError: If they are more or less than one, or not of plain numbers or text.
    """
    return of_buffer(_bytes(raw), dtype, (1,), "C")[0]


def _of_objects(items: Any, shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    if type(items) is not list or limits.array_bytes(shape, 1) != len(items):
        raise ValueError(f"shape {shape} over other than a list of as many objects")
    # NumPy lists the objects row by row, whatever their order in memory.
    flat = np.fromiter(items, dtype=object, count=len(items))
    return np.array(flat.reshape(shape), order=order)


def _bytes(raw: Any) -> Any:
    # Python 2 wrote bytes as text in latin-1.
    return raw.encode("latin-1") if isinstance(raw, str) else raw
