"""What was unpickled, as large as it is when no part of it is shared.

A list of ten times the same list of ten times the same list, and so on, takes few bytes in a file
and in memory, until someone copies it.
"""

from typing import Any

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import limits

_ITEM_BYTES = 8
_SCALARS = (bool, int, float, complex, str, bytes, bytearray, type(None), np.generic)
_CONTAINERS = (list, tuple, dict, set, frozenset)


def check(value: Any, path: object, field: str, num_stored: int) -> None:
    """Refuses what is too large when written out, nests too deeply, or holds itself.

    Args:
        value: Scalars, arrays and plain containers of them.
        path: The file it comes from.
        field: The part of it, for the error.
        num_stored: The bytes it takes in the file.

    Raises:
        RecordingError: If it exceeds `limits`, or holds anything else.
    """
    num_bytes, _ = _Measure(path, field).of(value, 0)
    limits.check_content(path, field, num_bytes, num_stored)


class _Measure:
    def __init__(self, path: object, field: str):
        self._path, self._field = path, field
        # By identity; what is measured outlives this.
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, value: Any, depth: int) -> tuple[int, int]:
        """Gives the bytes, and how deep they nest."""
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
        if depth + found[1] > limits.MAX_NESTING:
            rule = f"nest at most {limits.MAX_NESTING} deep"
            raise errors.RecordingError(
                self._path, self._field, rule, f"{depth + found[1]} or more"
            )
        self._known[id(value)] = found
        return found

    def _of_items(self, value: Any, depth: int) -> tuple[int, int]:
        if depth > limits.MAX_NESTING:
            return 0, 1
        items = value.ravel().tolist() if isinstance(value, np.ndarray) else value
        if isinstance(value, dict):
            items = [*value, *value.values()]
        num_bytes, height = _ITEM_BYTES * (1 + len(items)), 0
        for item in items:
            item_bytes, item_height = self.of(item, depth + 1)
            num_bytes, height = num_bytes + item_bytes, max(height, item_height)
        return num_bytes, height + 1
