"""Which of the layouts, in which Human3.6M goes around, a folder has, and readers of them."""

import pathlib
from collections.abc import Callable
from typing import Protocol

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import files
from keras_mvlift.datasets.human36m import (
    canonpose,
    checks,
    confidences,
    original,
    videopose3d,
)

AUTO, NONE = "auto", "none"
POSES = (AUTO, "cdf", "videopose3d", NONE)
PROJECTIONS = "D2_Positions"
"""What the exact projections of the original release are called."""


class PoseReader(Protocol):
    """A set of poses."""

    def takes(self, subject: str) -> list[str]:
        """Gives the names of a subject's takes, as the files have them."""

    def read(self, subject: str, name: str) -> np.ndarray:
        """Reads a take's poses, `[T, J, 3]`, meters, world frame."""


class DetectionReader(Protocol):
    """A set of detections."""

    @property
    def is_projected(self) -> bool:
        """Whether they are the motion capture's own projections, frame by frame."""

    def subjects(self) -> list[str]:
        """Gives the subjects of which there are detections."""

    def takes(self, subject: str) -> list[str]:
        """Gives the names of a subject's takes, as the files have them."""

    def read(self, subject: str, label: str) -> list[checks.Detections]:
        """Reads what the four cameras saw; `label` is the take's name in the one spelling."""


_BY_SUFFIX: dict[str, Callable[[pathlib.Path], DetectionReader]] = {
    ".npz": confidences.Archive,
    ".parquet": confidences.Table,
    ".pickle": canonpose.Detections,
    ".pkl": canonpose.Detections,
}


def poses(root: pathlib.Path, kind: str) -> PoseReader | None:
    """Opens the poses of a folder.

    Args:
        root: The folder.
        kind: One of `POSES`; with `"auto"` the original release goes before the archives.

    Returns:
        A reader, that says in words what it reads; None without poses.
    """
    has_original = bool(original.subjects(root))
    has_archive = videopose3d.pose_path(root).is_file()
    if kind == "cdf" or (kind == AUTO and has_original):
        return original.Poses(root)
    if kind == "videopose3d" or (kind == AUTO and has_archive):
        return videopose3d.Poses(root)
    return None


def detections(root: pathlib.Path, name: str) -> DetectionReader:
    """Opens the detections of a folder.

    Args:
        root: The folder.
        name: `"D2_Positions"`; or what the name of one of VideoPose3D's archives ends in, such as
            `"cpn_ft_h36m_dbb"`; or a file below the folder with a suffix that tells its layout;
            or `"auto"` for the only ones in the folder.

    Raises:
        RecordingError: If a file is outside of the folder, or `"auto"` has no or several choices.
    """
    if name == AUTO:
        found = candidates(root)
        if len(found) != 1:
            rule = "be named, unless the folder has one kind of detections"
            received = f"{AUTO!r} with {', '.join(found) or 'none'}"
            raise errors.RecordingError(root, "detections", rule, received)
        (name,) = found
    suffix = pathlib.PurePosixPath(name).suffix
    if name == PROJECTIONS:
        return original.Projections(root)
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix](files.inside(root, name, root, "detections"))
    path = videopose3d.keypoints_path(root, name)
    files.inside(root, path.name if path.parent == root else name, root, "detections")
    return videopose3d.Detections(root, name)


def candidates(root: pathlib.Path) -> list[str]:
    """Gives the names of all detections that a folder has, as `detections` takes them."""
    projections = [PROJECTIONS] if original.Projections(root).subjects() else []
    archives = videopose3d.detector_names(root)
    known = {videopose3d.pose_path(root), *(videopose3d.keypoints_path(root, a) for a in archives)}
    paths = sorted(path for path in root.glob("*") if path.suffix in _BY_SUFFIX)
    return projections + archives + [path.name for path in paths if path not in known]
