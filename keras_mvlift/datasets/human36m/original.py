"""Human3.6M's original release: motion capture and its projections in CDF files.

<root>/S<n>/MyPoseFeatures/D3_Positions/<take>.cdf            32 joints, mm, world frame
<root>/S<n>/MyPoseFeatures/D2_Positions/<take>.<camera>.cdf   32 joints, pixels, lens included
"""

import pathlib
from collections.abc import Iterator

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets.human36m import actions, cdf, checks, joints, rig


def pose_path(root: pathlib.Path, subject: str, name: str) -> pathlib.Path:
    """Gives the file of a take's poses."""
    return root / subject / "MyPoseFeatures" / "D3_Positions" / f"{name}.cdf"


def keypoints_path(root: pathlib.Path, subject: str, name: str, camera: str) -> pathlib.Path:
    """Gives the file of a take's projections into one camera."""
    return root / subject / "MyPoseFeatures" / "D2_Positions" / f"{name}.{camera}.cdf"


def subjects(root: pathlib.Path) -> list[str]:
    """Gives the subjects that have poses."""
    return [path.parts[-3] for path in sorted(root.glob("S*/MyPoseFeatures/D3_Positions"))]


class Poses:
    """The poses of the original release."""

    def __init__(self, root: pathlib.Path):
        self._root = root

    def __str__(self) -> str:
        return "D3_Positions, the original release's motion capture"

    def takes(self, subject: str) -> list[str]:
        """Gives the names of a subject's takes, as the files have them.

        Raises:
            RecordingError: If there is none.
        """
        folder = pose_path(self._root, subject, "").parent
        found = [path.stem for path in _visible(folder)]
        if not found:
            raise errors.RecordingError(folder, "*.cdf", "be there", "no such file")
        return found

    def read(self, subject: str, name: str) -> np.ndarray:
        """Reads a take's poses, `[T, J, 3]`, meters, world frame.

        Raises:
            RecordingError: If the file is missing, damaged, or holds something else.
        """
        path = pose_path(self._root, subject, name)
        values = cdf.read(path, joints.NUM_RAW_JOINTS * 3)
        raw = errors.MILLIMETERS.to_meters(values).reshape(len(values), -1, 3)
        return checks.pose(path, cdf.VARIABLE, joints.from_raw(raw), "mm")


class Projections:
    """The exact projections of the original release, lens included."""

    is_projected = True

    def __init__(self, root: pathlib.Path):
        self._root = root

    def __str__(self) -> str:
        return "D2_Positions, exact projections of the motion capture"

    def subjects(self) -> list[str]:
        """Gives the subjects that have projections."""
        found = sorted(self._root.glob("S*/MyPoseFeatures/D2_Positions"))
        return [path.parts[-3] for path in found]

    def takes(self, subject: str) -> list[str]:
        """Gives the names of a subject's takes, as the files have them."""
        folder = keypoints_path(self._root, subject, "", "").parent
        return sorted({path.stem.rpartition(".")[0] for path in _visible(folder)})

    def read(self, subject: str, label: str) -> list[checks.Detections]:
        """Reads a take's projections into the four cameras, sure of every joint.

        Raises:
            RecordingError: If a file is missing, damaged, or holds something else.
        """
        named = {actions.label(name): name for name in self.takes(subject)}
        return [*self._views(subject, named.get(label, label))]

    def _views(self, subject: str, name: str) -> Iterator[checks.Detections]:
        for camera in rig.CAMERAS:
            path = keypoints_path(self._root, subject, name, camera)
            values = cdf.read(path, joints.NUM_RAW_JOINTS * 2)
            keypoints_2d = joints.from_raw(values.reshape(len(values), -1, 2))
            yield checks.detections(path, cdf.VARIABLE, keypoints_2d)


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists a folder's CDF files, without those that other systems hide beside them."""
    return sorted(path for path in folder.glob("*.cdf") if not path.name.startswith("."))
