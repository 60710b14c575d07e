"""2D tracks of tables, `.csv`: a row for each joint that was seen.

The columns are `frame`, `joint` (a name of `skeletons`), `x` and `y` (pixels) and, optional,
`person`, `confidence` (in [0, 1], 1 if left out) and `time` (seconds), which tells the frame rate.
A joint without a row, or with empty `x` and `y`, was not seen.
"""

import csv
import io
import pathlib

import numpy as np

from keras_mvlift.datasets import clocks, errors, files, limits
from keras_mvlift.pose_files import tracks_2d

_NEEDED = ("frame", "joint", "x", "y")


def read(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    text = files.read_text(path, "table", limits.MAX_JSON_BYTES)
    with errors.parsing(path, "table", "be comma-separated values"):
        header, *rows = list(csv.reader(io.StringIO(text), strict=True))
    columns = _columns(path, [name.strip() for name in header], [row for row in rows if row])
    frames = _numbers(path, "frame", columns["frame"])
    if not np.isfinite(frames).all() or (frames % 1).any() or frames.min(initial=0) < 0:
        raise errors.RecordingError(path, "frame", "be whole numbers from 0 on", "others")
    first = int(frames.min())
    num_frames = int(frames.max()) - first + 1
    clocks.check_length(path, num_frames)
    slots = frames.astype(np.int64) - first
    people, person = _ranked(columns.get("person"), len(slots))
    joints, joint = _ranked(columns["joint"], len(slots))
    _check_once(path, np.stack([slots, person, joint]))
    laid_out = np.full((num_frames, len(people), len(joints), 3), np.nan)
    laid_out[slots, person, joint] = _points(path, columns)
    with errors.parsing(path, "table", "be 2D tracks"):
        return tracks_2d.of_arrays(
            laid_out[..., :2],
            np.nan_to_num(laid_out[..., 2]),
            joint_names=joints,
            names=people if "person" in columns else None,
            frame_rate=_frame_rate(path, columns, slots),
            first_frame=first,
        )


def _columns(path: pathlib.Path, header: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        rule = f"have the columns {', '.join(_NEEDED)}"
        raise errors.RecordingError(path, "header", rule, ", ".join(header)[:200])
    if not rows:
        raise errors.RecordingError(path, "table", "have rows", "none")
    uneven = next((row for row in rows if len(row) != len(header)), None)
    if uneven is not None:
        rule = f"have {len(header)} cells in each row"
        raise errors.RecordingError(path, "table", rule, ",".join(uneven)[:200])
    cells = zip(*rows, strict=True)
    return {
        name: [cell.strip() for cell in column] for name, column in zip(header, cells, strict=True)
    }


def _numbers(path: pathlib.Path, field: str, cells: list[str]) -> np.ndarray:
    with errors.parsing(path, field, "hold numbers or nothing"):
        return np.array([float(cell or "nan") for cell in cells])


def _points(path: pathlib.Path, columns: dict[str, list[str]]) -> np.ndarray:
    """Gives x, y and confidence of each row, `[N, 3]`."""
    x, y = (_numbers(path, axis, columns[axis]) for axis in "xy")
    confidence = np.ones(len(x))
    if "confidence" in columns:
        confidence = np.nan_to_num(_numbers(path, "confidence", columns["confidence"]))
    return np.stack([x, y, confidence], axis=-1)


def _ranked(cells: list[str] | None, count: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Gives the different texts in the order in which they come, and each row's index in them."""
    if cells is None:
        return tracks_2d.numbered(1), np.zeros(count, np.int64)
    names = tuple(dict.fromkeys(cells))
    index = {name: number for number, name in enumerate(names)}
    return names, np.array([index[cell] for cell in cells])


def _check_once(path: pathlib.Path, keys: np.ndarray) -> None:
    _, first, counts = np.unique(keys, axis=1, return_index=True, return_counts=True)
    if (counts > 1).any():
        row = int(first[counts > 1].min()) + 1
        rule = "have one row for each joint of a person in a frame"
        raise errors.RecordingError(path, "table", rule, f"two, one of them row {row}")


def _frame_rate(
    path: pathlib.Path, columns: dict[str, list[str]], slots: np.ndarray
) -> float | None:
    if "time" not in columns:
        return None
    times = _numbers(path, "time", columns["time"])
    early, late = int(slots.argmin()), int(slots.argmax())
    if slots[early] == slots[late]:
        return None
    rate = (slots[late] - slots[early]) / (times[late] - times[early] or np.nan)
    if not np.isfinite(rate) or rate <= 0:
        raise errors.RecordingError(path, "time", "grow with the frames", "times that do not")
    return float(rate)
