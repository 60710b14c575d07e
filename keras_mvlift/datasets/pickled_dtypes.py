"""NumPy's dtypes as pickles tell them: numbers, text, records and objects."""

import re
from typing import Any

import numpy as np

from keras_mvlift.datasets import limits

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


def of_state(
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
        limits.array_bytes(shape, base.itemsize)
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
