"""What a user's arguments must be: the error that names one, and numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Complex numbers, times and texts, which NumPy would turn into some number.
_NO_NUMBERS = "cmMSU"


class ArgumentError(ValueError):
    """An argument breaks a rule.

    Args:
        field: The argument, or the field of it.
        rule: What it must be or do.
        received: What came instead.
    """

    def __init__(self, field: str, rule: str, received: object):
        super().__init__(f"`{field}` must {rule}. Received: {received}.")
        self.field, self.rule, self.received = field, rule, received

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Rebuilds the error from its parts, so that it crosses process borders."""
        return ArgumentError, (self.field, self.rule, self.received)


def numbers(field: str, value: Any, dtype: npt.DTypeLike) -> np.ndarray:
    """Turns what a user gave into an array, of any shape.

    Raises:
        ArgumentError: If it holds anything but real numbers, or lists of different lengths.
    """
    rule = "be an array of numbers"
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(field, rule, _said(error)) from error
    if value is None or array.dtype.kind in _NO_NUMBERS:
        received = "nothing" if value is None else f"an array of {array.dtype}"
        if value is not None and array.size:
            received += f", {array.flat[0].item()!r} first"
        raise ArgumentError(field, rule, received)
    try:
        # What does not fit is infinite, and found where it may not be.
        with np.errstate(over="ignore"):
            return array.astype(dtype, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(field, rule, _said(error)) from error


def number(field: str, value: Any) -> float:
    """Turns what a user gave into a number.

    Raises:
        ArgumentError: If it is none.
    """
    try:
        return float(numbers(field, value, np.float64))
    except (ArgumentError, TypeError) as error:
        raise ArgumentError(field, "be a number", repr(value)) from error


def require_type(field: str, value: Any, kind: type, rule: str) -> None:
    """Refuses what is of another type.

    Raises:
        ArgumentError: If it is.
    """
    if not isinstance(value, kind):
        raise ArgumentError(field, rule, type(value).__name__)


def _said(error: Exception) -> str:
    return str(error).rstrip(".")
