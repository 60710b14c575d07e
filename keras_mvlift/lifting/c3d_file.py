"""Poses as C3D, biomechanics' binary format, through ezc3d: millimeters, z up.

Joints are points named by POINT:LABELS; one that is absent has the residual -1, as the format has
it. The world's axes stay as they are; those of a camera are turned so that z points up.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.lifting import mocap_files, pose_clip
from keras_mvlift.untrusted import files, reading

try:
    import ezc3d
except ImportError as error:
    raise ValueError(
        "C3D files must be read and written by ezc3d: pip install 'keras-mvlift[c3d]'. "
        f"Received: {error}."
    ) from error

# What the header counts frames with.
_MAX_FRAMES = 2**16 - 1


def write_c3d(clip: pose_clip.PoseClip, path: pathlib.Path) -> None:
    """Writes a clip.

    Raises:
        ValueError: If it has more frames than the format counts.
    """
    rule = f"have at most {_MAX_FRAMES} frames to be written as C3D"
    errors.require(clip.num_frames <= _MAX_FRAMES, "tracks", rule, clip.num_frames)
    marked = mocap_files.markers_of_clip(clip)
    content = ezc3d.c3d()
    point = content["parameters"]["POINT"]
    point["RATE"]["value"] = [float(clip.frame_rate)]
    point["UNITS"]["value"] = ["mm"]
    point["LABELS"]["value"] = list(marked.names)
    content.add_parameter("POINT", "X_SCREEN", ["+X"])
    content.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    points = errors.MILLIMETERS.from_meters(mocap_files.z_up(marked.points, clip.space))
    # ezc3d takes (x, y, z, 1) of each point in each frame.
    columns = np.moveaxis(points, (2, 1, 0), (0, 1, 2))
    content["data"]["points"] = np.concatenate([columns, np.ones_like(columns[:1])])
    with files.replacing(path) as partial:
        content.write(str(partial))


class Points(NamedTuple):
    """What a file holds, as it stands there.

    Attributes:
        names: `M` labels.
        unit: POINT:UNITS.
        frame_rate: Frames per second.
        first_frame: The number of the first frame, from 0.
        points: `[T, M, 3]`, in the file's unit and axes; NaN where invalid.
    """

    names: tuple[str, ...]
    unit: str
    frame_rate: float
    first_frame: int
    points: np.ndarray


def read(path: pathlib.Path) -> Points:
    """Reads the points of a file.

    Raises:
        RecordingError: If it is damaged, or has no points.
    """
    content = reading.c3d(path)
    names, points = content["names"], content["points"]
    if points.ndim != 3 or not points.size or points.shape[1:] != (len(names), 3):
        rule, received = "be a C3D file with points", f"{points.shape} with {len(names)} labels"
        raise errors.RecordingError(path, "file", rule, received)
    return Points(**(content | {"names": tuple(names)}))
