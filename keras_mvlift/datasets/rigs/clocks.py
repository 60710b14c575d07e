"""Streams of cameras that started at different moments or run at different rates, joined.

A clip has a clock: frame 0 at its start, the next a frame period later. Each frame of a camera
has a position on it, in frames; it becomes the clip's frame nearest to it.
"""

import pathlib

import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import files

MAX_FRAMES = 250_000
"""The most frames of a clip: more than an hour at 60 frames per second."""


def positions_by_time(
    index: np.ndarray, seconds: np.ndarray, start: float, frame_rate: float
) -> np.ndarray:
    """Places frames, by their index `[N]` among time stamps `[M]`, in frames of the clip.

    The clip's frame 0 is at `start`, on the clock of the stamps. What lies outside of them is NaN.
    """
    has_time = (index >= 0) & (index < len(seconds))
    times = np.full(len(index), np.nan)
    times[has_time] = seconds[index[has_time]]
    return (times - start) * frame_rate


def length(positions: list[np.ndarray]) -> int:
    """Returns how many frames a clip needs to hold all positions from its frame 0 on."""
    last = np.nanmax(np.concatenate([*positions, np.array([-1.0])]))
    # Beyond the limit it matters no more how long it is, and infinity has no number.
    return int(np.floor(np.minimum(last, MAX_FRAMES) + 0.5)) + 1


def check_length(path: object, num_frames: int) -> None:
    """Refuses a clip that frame numbers or time stamps make absurdly long.

    Raises:
        RecordingError: If it has more than `MAX_FRAMES` frames, or none.
    """
    rule = f"span 1 to {MAX_FRAMES} frames from the clip's frame 0 on"
    errors.require_in(path, 0 < num_frames <= MAX_FRAMES, "frames", rule, num_frames)


MAX_RATE_RATIO = 8.0  # By so much a camera's frame rate may differ from its clip's.


def check_rate(path: pathlib.Path, seconds: np.ndarray, frame_rate: float) -> None:
    """Refuses time stamps `[M]` that are not seconds, as they are not a frame period apart.

    Raises:
        RecordingError: If the median between two differs by more than `MAX_RATE_RATIO`.
    """
    period = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1 / frame_rate
    ratio = period * frame_rate
    if not 1 / MAX_RATE_RATIO <= ratio <= MAX_RATE_RATIO:
        unit = {3: " (milliseconds?)", 6: " (microseconds?)", 9: " (nanoseconds?)"}
        guess = unit.get(round(float(np.log10(ratio))), "")
        rule = f"be about 1/{frame_rate:g} s apart, as `frame_rate` says"
        raise errors.RecordingError(path, "seconds", rule, f"{period:.4g} s{guess}")


def assign(positions: np.ndarray, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds for each frame of a clip the frame of a stream that is nearest, within half a period.

    The stream's `[N]` positions are in frames of the clip, NaN for none.

    Returns:
        `[M]`, frames of the clip that have one, ascending, and `[M]`, the stream's index of each.
        Each frame of the stream is used at most once.
    """
    index = np.flatnonzero((positions >= -0.5) & (positions < num_frames - 0.5))
    slot = np.floor(positions[index] + 0.5).astype(np.int64)
    ranking = np.lexsort((np.abs(positions[index] - slot), slot))
    slots, first = np.unique(slot[ranking], return_index=True)
    return slots, index[ranking[first]]


def read_times(path: pathlib.Path) -> np.ndarray:
    """Reads the time stamps of a stream, `[M]`, seconds.

    A text file has a line for each frame: its time in seconds, or comma-separated columns of which
    the first line names one `seconds`.

    Raises:
        RecordingError: If a line holds no finite number, or the time does not go on.
    """
    lines = [line for line in files.read_text(path, "timestamps").splitlines() if line.strip()]
    header = [name.strip() for name in lines[0].split(",")] if lines else []
    column, rows = 0, lines
    if "seconds" in header:
        column, rows = header.index("seconds"), lines[1:]
    with errors.parsing(path, "seconds", "be a number on each line"):
        seconds = np.array([float(row.split(",")[column]) for row in rows])
    holds, received = np.isfinite(seconds).all(), "NaN or infinity" if rows else "no line"
    errors.require_in(path, rows and holds, "seconds", "be finite on at least one line", received)
    back = np.flatnonzero(np.diff(seconds) <= 0)
    if len(back):
        received = f"{seconds[back[0]]} before {seconds[back[0] + 1]}"
        raise errors.RecordingError(path, "seconds", "go up from frame to frame", received)
    return seconds
