"""Every format of 2D tracks: a detector's, or by its ending."""

import os
import pathlib

from keras_mvlift.datasets import errors, files
from keras_mvlift.pose_files import (
    json_file,
    tracks_2d,
    tracks_2d_arrays,
    tracks_2d_detections,
    tracks_2d_markers,
    tracks_2d_table,
)

ENDINGS = (".json", ".npz", ".csv", ".trc", ".c3d")
"""Of files; a folder is a detector's."""


def read(path: str | os.PathLike[str], skeleton: str | None = None) -> tracks_2d.Tracks2D:
    """Reads people's 2D joints in one camera's image.

    Args:
        path: A folder of OpenPose's files, or a file ending in one of `ENDINGS`: a detector's JSON,
            or what `tracks_2d_arrays`, `tracks_2d_table` and `tracks_2d_markers` state, or what
            lifting wrote as `.json` or `.npz`.
        skeleton: The joints' set, by its name in `skeletons`, where the file does not tell it.

    Raises:
        RecordingError: If it is missing or not of its form.
    """
    source = pathlib.Path(path)
    if source.is_dir():
        return tracks_2d_detections.read(source, skeleton)
    ending = source.suffix.lower()
    if ending not in ENDINGS:
        rule = f"be a folder of detections or end in {', '.join(ENDINGS)}"
        raise errors.RecordingError(source, "file name", rule, source.name)
    if ending == ".json":
        return _read_json(source, skeleton)
    if ending == ".npz":
        return tracks_2d_arrays.read(source, skeleton)
    if ending == ".csv":
        return tracks_2d_table.read(source)
    return (tracks_2d_markers.read_trc if ending == ".trc" else tracks_2d_markers.read_c3d)(source)


def _read_json(path: pathlib.Path, skeleton: str | None) -> tracks_2d.Tracks2D:
    content = files.read_json(path)
    if not isinstance(content, dict) or content.get("format") != json_file.FORMAT:
        return tracks_2d_detections.read(path, skeleton)
    clip = json_file.read(path)
    with errors.parsing(path, "tracks", "hold `keypoints_2d`"):
        return tracks_2d.of_clip(clip)
