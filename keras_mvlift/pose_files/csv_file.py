"""Poses as a table: a row for each joint of each track in each frame.

The columns are `track`, `frame`, `time` (seconds from the first frame), `joint`, `x`, `y`, `z`
(meters, in the space that the column `space` names), `confidence`, `uncertainty` (meters),
`keypoint_x`, `keypoint_y` (pixels) and `keypoint_confidence`. What is absent is an empty cell.
"""

import csv
import pathlib
from collections.abc import Iterator

import numpy as np

from keras_mvlift.pose_files import partial_files, pose_clip

COLUMNS = (
    *("track", "frame", "time", "joint", "space", "x", "y", "z", "confidence", "uncertainty"),
    *("keypoint_x", "keypoint_y", "keypoint_confidence"),
)
_FIELDS = ("confidence", "uncertainty", "keypoints_2d", "keypoint_confidence")


def write(clip: pose_clip.PoseClip, path: pathlib.Path) -> None:
    """Writes a clip."""
    with (
        partial_files.replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for track in clip.tracks:
            table.writerows(_rows(clip, track))


def _rows(clip: pose_clip.PoseClip, track: pose_clip.Track) -> Iterator[list[object]]:
    numbers = _numbers(track).tolist()
    for index, frame in enumerate(numbers):
        start = (track.name, clip.first_frame + index, f"{index / clip.frame_rate:.6f}")
        for joint, values in zip(clip.joint_names, frame, strict=True):
            cells = ["" if value != value else f"{value:.5f}" for value in values]
            yield [*start, joint, clip.space, *cells]


def _numbers(track: pose_clip.Track) -> np.ndarray:
    """Gives `[T, J, 8]`, the numbers in the columns' order; NaN where absent."""
    shape = track.pose.shape[:2]
    columns = [track.pose]
    for name in _FIELDS:
        values = getattr(track, name)
        if values is None:
            values = np.full((*shape, 2) if name == "keypoints_2d" else shape, np.nan)
        columns.append(values.reshape(*shape, -1))
    return np.concatenate(columns, axis=-1)
