"""Every format of poses by its ending."""

import importlib
import os
import pathlib
import types

from keras_mvlift.datasets import errors
from keras_mvlift.pose_files import pose_clip

# Ending to the module that is about it, imported only when it is asked for: some need libraries
# that lifting does not.
_MODULES = {
    ".json": "json_file",
    ".csv": "csv_file",
    ".npz": "npz_file",
    ".trc": "trc_file",
    ".c3d": "c3d_file",
    ".bvh": "bvh_file",
}
_READABLE = (".json", ".npz")

ENDINGS = tuple(_MODULES)
"""Of all files that can be written."""


def write(clip: pose_clip.PoseClip, path: str | os.PathLike[str]) -> tuple[pathlib.Path, ...]:
    """Writes a clip in the format of the path's ending, each file whole or not at all.

    Args:
        clip: What to write.
        path: A file ending in one of `ENDINGS`; what is there is replaced.

    Returns:
        The files that were written: one, but for a `.bvh` of several tracks, whose names stand
        before the ending then.

    Raises:
        ValueError: If the ending is none of them, or the format cannot hold the clip.
        OSError: If the file cannot be written.
    """
    target = pathlib.Path(path)
    written = _module(target, ENDINGS, "write").write(clip, target)
    return (target,) if written is None else written


def read(path: str | os.PathLike[str]) -> pose_clip.PoseClip:
    """Reads a clip that was written as `.json` or `.npz`; the other formats hold less than a clip.

    Raises:
        RecordingError: If the ending is another, or the file is missing or not of its form.
    """
    source = pathlib.Path(path)
    return _module(source, _READABLE, "read").read(source)


def _module(path: pathlib.Path, endings: tuple[str, ...], purpose: str) -> types.ModuleType:
    ending = path.suffix.lower()
    if ending not in endings:
        rule = f"end in {', '.join(endings)} to {purpose} poses"
        raise errors.RecordingError(path, "file name", rule, path.name)
    return importlib.import_module(f"keras_mvlift.pose_files.{_MODULES[ending]}")
