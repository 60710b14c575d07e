"""Packs arrays of measurements into small JSON values: whole steps, little-endian, in base64."""

import base64
from typing import Any

import numpy as np

# The smallest type whose steps reach is taken; its last value stands for NaN.
_TYPES = ("uint8", "uint16", "uint32")


def pack(values: np.ndarray, step: float) -> dict[str, Any]:
    """Rounds an array to multiples of a step and packs it.

    A value is `offset[axis] + step * whole`, with `axis` the index in the last dimension, or NaN
    where the whole number is `absent`.

    Args:
        values: `[..., D]`, finite or NaN; each of the `D` axes gets its own offset.
        step: What values are rounded to, in their unit.

    Returns:
        JSON values: `type`, `offset` (`D` numbers), `step`, `absent`, `data`.

    Raises:
        ValueError: If `step` is not above 0, or values span more than four billion steps.
    """
    if not step > 0:
        raise ValueError(f"`step` must be above 0. Received: {step}.")
    is_known = np.isfinite(values)
    axes = tuple(range(values.ndim - 1))
    lowest = np.min(values, axis=axes, where=is_known, initial=np.inf)
    # In whole steps, so that a value that is a multiple of the step stays it.
    start = np.where(np.isfinite(lowest), np.round(lowest / step), 0.0)
    steps = np.where(is_known, np.round(values / step) - start, 0.0)
    kind = _smallest(steps.max(initial=0.0))
    whole = np.where(is_known, steps, np.iinfo(kind).max).astype(np.dtype(kind).newbyteorder("<"))
    return {
        "type": kind,
        "offset": [round(float(value), 9) for value in start * step],
        "step": step,
        "absent": int(np.iinfo(kind).max),
        "data": base64.b64encode(whole.tobytes()).decode("ascii"),
    }


def _smallest(largest: float) -> str:
    for kind in _TYPES:
        if largest < np.iinfo(kind).max:
            return kind
    raise ValueError(f"`values` must span fewer than 2**32 steps. Received: {largest:.3g} steps.")
