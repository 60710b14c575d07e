"""Rows of stored views: what readers of files give, held against what a view must be."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from keras_mvlift import skeletons

_NUM_JOINTS = skeletons.H36M_17.num_joints
REQUIRED = {
    "keypoints_2d": (_NUM_JOINTS, 2),
    "confidence": (_NUM_JOINTS,),
    "intrinsics": (3, 3),
}
PLACE = {"rotation": (3, 3), "center": (3,)}
NUMBERS = REQUIRED | PLACE
"""Shapes of a view's numbers; those of `PLACE` may be absent, both together."""

TEXTS = ("clip", "subject", "action", "camera")
KEYS = {name: pa.string() for name in TEXTS} | {"frame": pa.int64()}
"""What tells views apart. Each may be absent, and comes out as it went in."""

# Of calibrations that were written with few decimals.
_ROTATION_TOLERANCE = 1e-2


class Numbers(NamedTuple):
    """A column of lists.

    Attributes:
        values: All of them, one list after the other.
        lengths: `[N]`, of each row's list; 0 where it is absent.
    """

    values: np.ndarray
    lengths: np.ndarray


class Refusal(NamedTuple):
    """Why a row cannot be used.

    Attributes:
        field: The field that breaks a rule.
        rule: What it must be or do.
        received: What came instead.
    """

    field: str
    rule: str
    received: object


class Rows(NamedTuple):
    """Views as a file has them.

    Attributes:
        numbers: Of each name in `NUMBERS`, `N` rows.
        keys: Of each name in `KEYS`, `[N]`, null where absent.
        refusals: Rows that the reader itself refused, by index.
    """

    numbers: dict[str, Numbers]
    keys: dict[str, pa.Array]
    refusals: dict[int, Refusal]


class Views(NamedTuple):
    """Views that can be lifted.

    Attributes:
        numbers: Of each name in `NUMBERS`, `[M, ...]`, single precision.
        has_place: `[M]`, whether `rotation` and `center` are there; NaN where not.
        keys: Of each name in `KEYS`, `[M]`.
    """

    numbers: dict[str, np.ndarray]
    has_place: np.ndarray
    keys: dict[str, pa.Array]


def check(rows: Rows) -> tuple[Views, dict[int, Refusal]]:
    """Tells rows that are views from those that are not.

    Returns:
        The views, in their order, and of each other row, by index, the first rule that it breaks.
    """
    refusals = dict(rows.refusals)
    numbers = {
        name: _dense(name, rows.numbers[name], shape, refusals) for name, shape in NUMBERS.items()
    }
    has = {name: rows.numbers[name].lengths > 0 for name in PLACE}
    _check_seen(numbers, refusals)
    _check_intrinsics(numbers["intrinsics"], refusals)
    _check_place(numbers, has, refusals)
    is_view = np.ones(len(numbers["confidence"]), bool)
    is_view[list(refusals)] = False
    views = Views(
        {name: values[is_view] for name, values in numbers.items()},
        has["rotation"][is_view],
        {name: values.filter(pa.array(is_view)) for name, values in rows.keys.items()},
    )
    return views, refusals


def _dense(
    name: str, column: Numbers, shape: tuple[int, ...], refusals: dict[int, Refusal]
) -> np.ndarray:
    """Gives `[N, *shape]`, NaN in rows that hold another number of values."""
    size = int(np.prod(shape))
    lengths = column.lengths
    is_whole = lengths == size
    with np.errstate(over="ignore"):
        # What does not fit is infinite, and found where it may not be.
        values = column.values.astype(np.float32, copy=False)
    if not is_whole.all():
        is_absent = lengths == 0 if name in PLACE else np.zeros(len(lengths), bool)
        rule = f"hold {size} numbers, {' x '.join(map(str, shape))}"
        _refuse(refusals, ~is_whole & ~is_absent, name, rule, lambda row: int(lengths[row]))
        filled = np.full((len(lengths), size), np.nan, np.float32)
        starts = (np.cumsum(lengths) - lengths)[is_whole]
        filled[is_whole] = values[starts[:, np.newaxis] + np.arange(size)]
        values = filled
    dense = values.reshape(-1, *shape)
    is_given = lengths > 0
    is_finite = np.isfinite(dense).reshape(len(dense), size).all(axis=1)
    advice = "; give a joint that was not seen confidence 0" if name == "keypoints_2d" else ""
    _refuse(refusals, is_given & ~is_finite, name, f"be finite{advice}", _not_finite)
    return dense


def _check_seen(numbers: dict[str, np.ndarray], refusals: dict[int, Refusal]) -> None:
    confidence = numbers["confidence"]
    is_off = ((confidence < 0) | (confidence > 1)).any(axis=1)
    _refuse(
        refusals,
        is_off,
        "confidence",
        "lie in [0, 1]",
        lambda row: f"{confidence[row].min():g} to {confidence[row].max():g}",
    )


def _check_intrinsics(intrinsics: np.ndarray, refusals: dict[int, Refusal]) -> None:
    is_wrong = (intrinsics[:, [0, 1], [0, 1]] <= 0).any(axis=1)
    is_wrong |= (intrinsics[:, 2] != [0, 0, 1]).any(axis=1)
    rule = "have positive focal lengths and 0, 0, 1 as last row"
    _refuse(refusals, is_wrong, "intrinsics", rule, lambda row: intrinsics[row].tolist())


def _check_place(
    numbers: dict[str, np.ndarray], has: dict[str, np.ndarray], refusals: dict[int, Refusal]
) -> None:
    for name, other in (("rotation", "center"), ("center", "rotation")):
        rule = f"be given together with `{other}`"
        _refuse(refusals, has[other] & ~has[name], name, rule, lambda _: "nothing")
    rotation = numbers["rotation"]
    known = np.where(np.isfinite(rotation), rotation, 0).astype(np.float64)
    off = np.abs(np.swapaxes(known, 1, 2) @ known - np.eye(3)).max(axis=(1, 2), initial=0)
    is_turn = (off < _ROTATION_TOLERANCE) & (np.linalg.det(known) > 0)
    rule = "be a rotation, camera from world"
    is_wrong = has["rotation"] & ~is_turn
    _refuse(refusals, is_wrong, "rotation", rule, lambda row: rotation[row].tolist())


def _not_finite(_: int) -> str:
    return "NaN or infinity"


def _refuse(
    refusals: dict[int, Refusal],
    is_wrong: np.ndarray,
    field: str,
    rule: str,
    received: Callable[[int], object],
) -> None:
    for row in np.flatnonzero(is_wrong).tolist():
        if row not in refusals:
            refusals[row] = Refusal(field, rule, received(row))
