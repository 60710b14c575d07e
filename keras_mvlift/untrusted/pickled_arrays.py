"""NumPy's arrays as pickles tell them.

NumPy's own `ndarray.__setstate__` is never called. An array is a checked shape over checked bytes.
"""

import re
from typing import Any, Literal

import numpy as np

from keras_mvlift.untrusted import files


def array_of_state(
    version: int, shape: tuple[int, ...], dtype: np.dtype, is_fortran: bool, raw: Any
) -> np.ndarray:
    """Makes an array of what its pickle says.

    Raises:
        ValueError, TypeError: If the shape is not that of the bytes or objects.
    """
    order: Literal["C", "F"] = "F" if is_fortran else "C"
    if dtype is not None and dtype == OBJECT:
        return _of_objects(raw, shape, order)
    return array_of_buffer(_bytes(raw), dtype, shape, order)


def array_of_buffer(
    raw: Any, dtype: np.dtype, shape: tuple[int, ...], order: Literal["C", "F"]
) -> np.ndarray:
    """Lays an array over bytes, which it must fill exactly. It cannot be written to.

    Raises:
        ValueError, TypeError: If it does not fill them, or is not of plain numbers or text.
    """
    check_plain(dtype)
    num_bytes = files.array_bytes(shape, dtype.itemsize)
    if not isinstance(raw, bytes | bytearray) or len(raw) != num_bytes:
        raise ValueError(f"shape {shape} of {dtype} over other than {num_bytes} bytes")
    return np.frombuffer(bytes(raw), dtype).reshape(shape, order=order)


def scalar(dtype: np.dtype, raw: Any) -> Any:
    """Makes NumPy's scalar of its bytes.

    Raises:
        ValueError, TypeError: If they are more or less than one, or not of plain numbers or text.
    """
    return array_of_buffer(_bytes(raw), dtype, (1,), "C")[0]


def _of_objects(items: Any, shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    if type(items) is not list or files.array_bytes(shape, 1) != len(items):
        raise ValueError(f"shape {shape} over other than a list of as many objects")
    # NumPy lists the objects row by row, whatever their order in memory.
    flat = np.fromiter(items, dtype=object, count=len(items))
    return np.array(flat.reshape(shape), order=order)


def _bytes(raw: Any) -> Any:
    # Python 2 wrote bytes as text in latin-1.
    return raw.encode("latin-1") if isinstance(raw, str) else raw


# NumPy's dtypes as pickles tell them: numbers, text, records and objects.

OBJECT = np.dtype(object)
# Booleans, integers, floats, complex numbers, bytes, text, records and objects.
_CODE = re.compile(r"b1|[iufcSUV][0-9]{1,9}|O[0-9]?")
_BYTE_ORDERS = ("<", ">", "=", "|")
_STATE_VERSION = 3
_MAX_DEPTH = 4


def check_code(code: Any) -> None:
    """Refuses what a dtype is not first called with.

    Raises:
        ValueError: If it is no code of an admitted type, as `f8`.
    """
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise ValueError(f"a dtype called {code!r}")


def check_plain(dtype: Any) -> None:
    """Refuses what no bytes may be taken for.

    Raises:
        TypeError: If it is no dtype of numbers, text or records, or of no size.
    """
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not dtype.itemsize:
        raise TypeError(f"{dtype!r} is no type of numbers or text")


def dtype_of_state(
    code: str,
    version: int,
    byte_order: str,
    subarray: tuple[np.dtype, tuple[int, ...]] | None,
    names: tuple[str, ...] | None,
    fields: dict[str, tuple[Any, ...]] | None,
    item_bytes: int,
    alignment: int,
    flags: int,
) -> np.dtype:
    """Makes a dtype of what its pickle says.

    NumPy's own `dtype.__setstate__` would believe the flags, and with them that bytes are
    pointers to objects.

    Raises:
        ValueError, TypeError: If it is not of the kinds above.
    """
    if version != _STATE_VERSION or byte_order not in _BYTE_ORDERS:
        raise ValueError(f"a dtype's state of version {version!r} and byte order {byte_order!r}")
    if subarray is not None:
        base, shape = subarray
        _check_part(base)
        files.array_bytes(shape, base.itemsize)
        return np.dtype((base, shape))
    if names is not None:
        return _record(names, fields, item_bytes)
    return np.dtype(byte_order + code)


def _record(names: tuple[str, ...], fields: Any, item_bytes: int) -> np.dtype:
    formats, offsets = zip(*(fields[name][:2] for name in names), strict=True)
    for part in formats:
        _check_part(part)
    # NumPy checks that the parts lie within the item.
    return np.dtype(
        {"names": names, "formats": formats, "offsets": offsets, "itemsize": item_bytes}
    )


def _check_part(part: Any) -> None:
    check_plain(part)
    if _depth(part) >= _MAX_DEPTH:
        raise ValueError(f"records nest more than {_MAX_DEPTH} deep")


def _depth(dtype: np.dtype) -> int:
    """Tells how deep records nest; their parts were told apart when they were made."""
    if dtype.subdtype is not None:
        return 1 + _depth(dtype.subdtype[0])
    return 1 + max(_depth(dtype[name]) for name in dtype.names) if dtype.names else 0
