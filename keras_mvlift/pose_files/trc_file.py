"""Poses as OpenSim's marker files: millimeters, y up, a column of three for each joint."""

import pathlib

import numpy as np

from keras_mvlift import units
from keras_mvlift.pose_files import axes, markers, partial_files, pose_clip

_HEADER = (
    *("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"),
    *("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
)


def write(clip: pose_clip.PoseClip, path: pathlib.Path) -> None:
    """Writes a clip; a joint that is absent is three empty cells."""
    marked = markers.of_clip(clip)
    points = units.MILLIMETERS.from_meters(axes.y_up(marked.points, clip.space))
    flat = points.reshape(clip.num_frames, -1)
    rows = [
        "\t".join([str(number), f"{time:.6f}", *map(_cell, values)])
        for number, time, values in zip(*_clock(clip), flat.tolist(), strict=True)
    ]
    lines = [*_header(clip, path.name, marked.names), *rows]
    with partial_files.replacing(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _header(clip: pose_clip.PoseClip, name: str, names: tuple[str, ...]) -> list[str]:
    rate, count, first = f"{clip.frame_rate:g}", clip.num_frames, clip.first_frame + 1
    values = (rate, rate, count, len(names), "mm", rate, first, count)
    parts = [f"{axis}{index + 1}" for index in range(len(names)) for axis in "XYZ"]
    return [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "\t".join(_HEADER),
        "\t".join(map(str, values)),
        "\t".join(["Frame#", "Time", *(f"{marker}\t\t" for marker in names)]).rstrip("\t"),
        "\t".join(["", "", *parts]),
    ]


def _clock(clip: pose_clip.PoseClip) -> tuple[list[int], list[float]]:
    """Gives frame numbers, which the format counts from 1, and times in seconds."""
    index = np.arange(clip.num_frames)
    return (clip.first_frame + 1 + index).tolist(), (index / clip.frame_rate).tolist()


def _cell(value: float) -> str:
    return "" if value != value else f"{value:.4f}"
