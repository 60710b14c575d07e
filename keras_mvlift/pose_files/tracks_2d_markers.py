"""2D tracks of motion capture's files, `.trc` and `.c3d`, with the unit `px`.

X and Y of a marker are pixels to the right and down, Z is its confidence in [0, 1]; a Z of 0
throughout the file says that it is not known. A marker is named as a joint of `skeletons`, or
`person:joint`; an empty or invalid one was not seen.
"""

import pathlib

import numpy as np

from keras_mvlift.datasets import clocks, errors, files, limits, trc
from keras_mvlift.pose_files import markers, tracks_2d

UNIT = "px"


def read_trc(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people of a `.trc` file.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    table = trc.read_table(path)
    _check_unit(path, "Units", table.unit)
    first = int(table.frames[0]) - 1 if table.frames[0] >= 1 else 0
    return _tracks(path, table.names, table.points, table.frame_rate, first)


def read_c3d(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people of a `.c3d` file; needs ezc3d.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    # Only this format needs it.
    from keras_mvlift.pose_files import c3d_file

    files.size(path, "file", limits.MAX_ARCHIVE_BYTES)
    content = c3d_file.read(path)
    _check_unit(path, "POINT:UNITS", content.unit)
    return _tracks(path, content.names, content.points, content.frame_rate, content.first_frame)


def _check_unit(path: pathlib.Path, field: str, unit: str) -> None:
    if unit != UNIT:
        rule = f"be {UNIT}, X and Y being points of an image and Z confidence"
        raise errors.RecordingError(path, field, rule, unit or "nothing")


def _tracks(
    path: pathlib.Path,
    names: tuple[str, ...],
    points: np.ndarray,
    frame_rate: float,
    first_frame: int,
) -> tracks_2d.Tracks2D:
    clocks.check_length(path, len(points))
    pairs = [markers.split_name(name) for name in names]
    people = tuple(dict.fromkeys(person for person, _ in pairs))
    joints = tuple(dict.fromkeys(joint for _, joint in pairs))
    if len(set(pairs)) < len(pairs) or len(pairs) != len(people) * len(joints):
        rule = "have each joint of each person once"
        raise errors.RecordingError(path, "markers", rule, ", ".join(names)[:200])
    order = [pairs.index((person, joint)) for person in people for joint in joints]
    laid_out = points[:, order].reshape(len(points), len(people), len(joints), 3)
    confidence = np.nan_to_num(laid_out[..., 2])
    with errors.parsing(path, "markers", "be 2D tracks"):
        return tracks_2d.of_arrays(
            laid_out[..., :2],
            confidence if confidence.any() else None,
            joint_names=joints,
            names=people if people != ("",) else None,
            frame_rate=frame_rate if frame_rate > 0 else None,
            first_frame=max(first_frame, 0),
        )
