"""Human3.6M's poses and detections, in each form in which they are passed on.

Readers raise a `RecordingError` if a file is missing, damaged, or holds something else.

The original release has motion capture and its projections in CDF files:

<root>/S<n>/MyPoseFeatures/D3_Positions/<take>.cdf            32 joints, mm, world frame
<root>/S<n>/MyPoseFeatures/D2_Positions/<take>.<camera>.cdf   32 joints, pixels, lens included
"""

import pathlib
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import protocol, rig
from keras_mvlift.untrusted import files, reading


def cdf_pose_path(root: pathlib.Path, subject: str, name: str) -> pathlib.Path:
    """Returns the file of a take's poses."""
    return root / subject / "MyPoseFeatures" / "D3_Positions" / f"{name}.cdf"


def cdf_keypoints_path(root: pathlib.Path, subject: str, name: str, camera: str) -> pathlib.Path:
    """Returns the file of a take's projections into one camera."""
    return root / subject / "MyPoseFeatures" / "D2_Positions" / f"{name}.{camera}.cdf"


def cdf_subjects(root: pathlib.Path, folder: str = "D3_Positions") -> list[str]:
    """Returns the subjects that have poses, or what else lies in a folder of that name."""
    return [path.parts[-3] for path in sorted(root.glob(f"S*/MyPoseFeatures/{folder}"))]


CDF_VARIABLE = "Pose"
"""What the one variable of each file is called."""

_MAX_OVERHEAD = 2**20  # Bytes that headers and attributes may take beside the values.


def read_cdf(path: pathlib.Path, width: int) -> np.ndarray:
    """Reads a file's values, `[T, width]`, double precision, in the file's unit; finite."""
    max_frames = protocol.MAX_FRAMES
    files.size(path, "file", max_frames * width * np.dtype(np.float64).itemsize + _MAX_OVERHEAD)
    values = reading.cdf(path, CDF_VARIABLE)
    is_frames = values.ndim == 3 and (len(values), values.shape[2]) == (1, width)
    holds = is_frames and 1 <= values.shape[1] <= max_frames
    rule = f"have shape (1, T, {width}) with T of 1 to {max_frames}"
    errors.require_in(path, holds, CDF_VARIABLE, rule, values.shape)
    return rig.check_array(path, CDF_VARIABLE, values[0], (width,))


class CDFPoses:
    """The poses of the original release."""

    def __init__(self, root: pathlib.Path):
        self._root = root

    def __str__(self) -> str:
        return "D3_Positions, the original release's motion capture"

    def takes(self, subject: str) -> list[str]:
        """Returns the names of a subject's takes, one at least, as the files have them."""
        folder = cdf_pose_path(self._root, subject, "").parent
        found = [path.stem for path in _visible(folder)]
        errors.require_in(folder, found, "*.cdf", "be there", "no such file")
        return found

    def read(self, subject: str, name: str) -> np.ndarray:
        """Reads a take's poses, `[T, J, 3]`, meters, world frame."""
        path = cdf_pose_path(self._root, subject, name)
        values = read_cdf(path, protocol.NUM_RAW_JOINTS * 3)
        raw = errors.MILLIMETERS.to_meters(values).reshape(len(values), -1, 3)
        return rig.check_pose(path, CDF_VARIABLE, protocol.joints_from_raw(raw), "mm")


class CDFProjections(rig.DetectionReader):
    """The exact projections of the original release, lens included; every joint is sure."""

    is_projected = True

    def __str__(self) -> str:
        return "D2_Positions, exact projections of the motion capture"

    def subjects(self) -> list[str]:
        """Returns the subjects that have projections."""
        return cdf_subjects(self._path, "D2_Positions")

    def takes(self, subject: str) -> list[str]:
        """Returns the names of a subject's takes, as the files have them."""
        folder = cdf_keypoints_path(self._path, subject, "", "").parent
        return sorted({path.stem.rpartition(".")[0] for path in _visible(folder)})

    def _views(self, subject: str, name: str) -> list[rig.Detections]:
        views = []
        for camera in rig.CAMERAS:
            path = cdf_keypoints_path(self._path, subject, name, camera)
            values = read_cdf(path, protocol.NUM_RAW_JOINTS * 2)
            joints = protocol.joints_from_raw(values.reshape(len(values), -1, 2))
            views.append(rig.check_detections(path, CDF_VARIABLE, joints))
        return views


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists a folder's CDF files, without those that other systems hide beside them."""
    return sorted(path for path in folder.glob("*.cdf") if not path.name.startswith("."))


# Human3.6M in VideoPose3D's archives.
#
# <root>/data_3d_h36m.npz          `positions_3d`: subject, take -> [T, 32, 3], meters, world frame
# <root>/data_2d_h36m_<name>.npz   `positions_2d`: subject, take -> a [T, K, 2] per camera, pixels;
#                                  `metadata`: which joints these are
#
# Both are pickled inside, and come whole into memory: once per process, as long as they do not
# change.

GROUND_TRUTH = "gt"  # The name under which exact projections go.

_PREFIX = "data_2d_h36m_"


_SETS = {"h36m": skeletons.H36M_17, "coco": skeletons.COCO_17, "mpii": protocol.HOURGLASS_16}
LAYOUTS = {
    name: (joints.num_joints, sorted(joints.left), sorted(joints.right))
    for name, joints in _SETS.items()
}
"""How many joints there are, and which are on either side, by the archives' names of the sets."""


def archive_pose_path(root: pathlib.Path) -> pathlib.Path:
    """Returns the archive of poses."""
    return root / "data_3d_h36m.npz"


def archive_keypoints_path(root: pathlib.Path, name: str) -> pathlib.Path:
    """Returns the archive of a detector's output."""
    return root / f"{_PREFIX}{name}.npz"


def detector_names(root: pathlib.Path) -> list[str]:
    """Returns the names of the detectors of which there are archives."""
    paths = sorted(root.glob(f"{_PREFIX}*.npz"))
    return [path.stem.removeprefix(_PREFIX) for path in paths]


class ArchivePoses:
    """The poses of the archives."""

    def __init__(self, root: pathlib.Path):
        self._path = archive_pose_path(root)

    def __str__(self) -> str:
        return f"{self._path.name}, the archive of the motion capture"

    def takes(self, subject: str) -> list[str]:
        """Returns the names of a subject's takes, one at least, as the archive has them."""
        return _takes(self._path, "positions_3d", subject)

    def read(self, subject: str, name: str) -> np.ndarray:
        """Reads a take's poses, `[T, J, 3]`, meters, world frame."""
        field = f"positions_3d {subject} {name}"
        raw = _member(self._path, "positions_3d", subject, name)
        points = rig.check_array(self._path, field, raw, (protocol.NUM_RAW_JOINTS, 3))
        return rig.check_pose(self._path, field, protocol.joints_from_raw(points), "m")


class ArchiveDetections(rig.DetectionReader):
    """A detector's output, or exact projections, in an archive.

    Joints of another set are converted. A third column, which the published archives do not have,
    is taken as confidence.

    Args:
        root: The folder of the archives.
        name: What the archive's name ends in, such as `"cpn_ft_h36m_dbb"`.
    """

    def __init__(self, root: pathlib.Path, name: str):
        super().__init__(archive_keypoints_path(root, name))
        self.is_projected = name == GROUND_TRUTH

    def __str__(self) -> str:
        kind = "exact projections of the motion capture" if self.is_projected else "detections"
        return f"{self._path.name}, {kind}"

    def subjects(self) -> list[str]:
        """Returns the subjects of which there are detections, with poses or without."""
        return sorted(map(str, _content(self._path, "positions_2d")))

    def takes(self, subject: str) -> list[str]:
        """Returns the names of a subject's takes, as the archive has them."""
        return _takes(self._path, "positions_2d", subject)

    def _views(self, subject: str, name: str) -> list[rig.Detections]:
        field = f"positions_2d {subject} {protocol.action_label(name)}"
        views = _member(self._path, "positions_2d", subject, name)
        is_list = isinstance(views, (list, tuple)) or getattr(views, "ndim", 0) in (1, 4)
        received = f"{type(views).__name__} of {len(views) if is_list else 'no'} entries"
        rule = f"be a list of the {len(rig.CAMERAS)} cameras' arrays"
        holds = is_list and len(views) == len(rig.CAMERAS)
        errors.require_in(self._path, holds, field, rule, received)
        layout = _layout(self._path)
        return [
            self._view(f"{field} {camera}", view, layout)
            for camera, view in zip(rig.CAMERAS, views, strict=True)
        ]

    def _view(self, field: str, view: Any, layout: str) -> rig.Detections:
        width = 3 if isinstance(view, np.ndarray) and view.shape[2:] == (3,) else 2
        values = rig.check_array(self._path, field, view, (LAYOUTS[layout][0], width))
        keypoints_2d, is_found = values[..., :2], (values[..., :2] != 0).any(axis=-1)
        confidence = values[..., 2] if width == 3 else is_found.astype(np.float64)
        if layout == "coco":
            converter = skeletons.Converter(skeletons.COCO_17.joints)
            keypoints_2d = converter.keypoints(keypoints_2d)
            confidence = converter.confidence(confidence)
        elif layout == "mpii":
            keypoints_2d, confidence = protocol.joints_from_hourglass(keypoints_2d, confidence)
        return rig.check_detections(self._path, field, keypoints_2d, confidence)


def _content(path: pathlib.Path, key: str) -> dict[str, Any]:
    content = load_archive(path)
    received = type(content[key]).__name__ if key in content else "no such key"
    is_there = isinstance(content.get(key), dict)
    errors.require_in(path, is_there, key, "be a dictionary of subjects", received)
    return content[key]


@files.PerVersion
def load_archive(path: pathlib.Path) -> dict[str, Any]:
    """Reads an archive whole; it stays in memory until the file changes."""
    return reading.npz(path)


def _takes(path: pathlib.Path, key: str, subject: str) -> list[str]:
    takes: Any = _content(path, key).get(subject)
    received = "no such key" if takes is None else type(takes).__name__
    is_there = isinstance(takes, dict) and takes
    errors.require_in(path, is_there, f"{key} {subject}", "be a dictionary of takes", received)
    return sorted(map(str, takes))


def _member(path: pathlib.Path, key: str, subject: str, name: str) -> Any:
    takes: Any = _content(path, key).get(subject)
    is_there = isinstance(takes, dict) and name in takes
    errors.require_in(path, is_there, f"{key} {subject} {name}", "be there", "no such key")
    return takes[name]


def _layout(path: pathlib.Path) -> str:
    metadata = _content(path, "metadata")
    with errors.parsing(path, "metadata", "have `num_joints` and `keypoints_symmetry`"):
        left, right = (sorted(map(int, side)) for side in metadata["keypoints_symmetry"])
        received = int(metadata["num_joints"]), left, right
    name = metadata.get("layout_name")
    for known, described in LAYOUTS.items():
        if received == described and name in (None, known):
            return known
    rule = f"describe the joints of {', '.join(LAYOUTS)}"
    told = f"{name!r} with {received[0]} joints, {left} left and {right} right"
    raise errors.RecordingError(path, "metadata", rule, told)


# CanonPose's pickle of detections with confidences: 16 joints, four cameras, no poses.
#
#     subjects             N numbers: who is seen
#     poses_2d_pred        camera -> [N, 32], pixels: the x of all joints, then the y of all joints
#     confidences          camera -> [N, 16]
#
# Frames of a subject follow each other; which take they are of is not in the file, so that a
# subject is one clip.

CANONPOSE_TAKE = "All"
"""What a subject's only clip is called."""

_NUM_JOINTS = protocol.HOURGLASS_16.num_joints


class CanonPoseDetections(rig.DetectionReader):
    """The detections of a pickle, in which nobody has a nose; it comes whole into memory."""

    def __str__(self) -> str:
        return f"{self._path.name}, CanonPose's detections with confidences; for training only"

    def subjects(self) -> list[str]:
        """Returns the subjects of which there are detections."""
        return sorted(f"S{number}" for number in np.unique(self._numbers()))

    def takes(self, subject: str) -> list[str]:
        """Returns the one clip of a subject."""
        known, rule = self.subjects(), "name every subject asked for"
        received = f"{', '.join(known)} without {subject}"
        errors.require_in(self._path, subject in known, "subjects", rule, received)
        return [CANONPOSE_TAKE]

    def _views(self, subject: str, name: str) -> list[rig.Detections]:
        numbers = self._numbers()
        index = np.flatnonzero(numbers == int(subject[1:]))
        is_there = name == CANONPOSE_TAKE and len(index)
        rule = f"be {CANONPOSE_TAKE!r} of a subject of the file"
        errors.require_in(self._path, is_there, "clip", rule, f"{subject} {name}")
        views = []
        for camera in rig.CAMERAS:
            rows = self._array("poses_2d_pred", camera, 2 * _NUM_JOINTS, len(numbers))[index]
            confidence = self._array("confidences", camera, _NUM_JOINTS, len(numbers))[index]
            keypoints_2d = rows.reshape(len(rows), 2, _NUM_JOINTS).swapaxes(-1, -2)
            joints = protocol.joints_from_hourglass(keypoints_2d, confidence)
            views.append(rig.check_detections(self._path, f"poses_2d_pred {camera}", *joints))
        return views

    def _array(self, field: str, camera: str, width: int, num_frames: int) -> np.ndarray:
        views: Any = load_canonpose(self._path).get(field)
        about = f"{field} {camera}"
        is_there = isinstance(views, dict) and camera in views
        errors.require_in(self._path, is_there, about, "be there", "no such key")
        values = rig.check_array(self._path, about, views[camera], (width,))
        rule = f"have a row for each of the {num_frames} subjects"
        errors.require_in(self._path, len(values) == num_frames, about, rule, len(values))
        return values

    def _numbers(self) -> np.ndarray:
        with errors.parsing(self._path, "subjects", "be a list of numbers"):
            numbers = np.asarray(load_canonpose(self._path)["subjects"])
        is_list = numbers.ndim == 1 and len(numbers) and numbers.dtype.kind in "iu"
        received = f"{numbers.dtype} of shape {numbers.shape}"
        errors.require_in(self._path, is_list, "subjects", "be a list of numbers", received)
        return numbers


@files.PerVersion
def load_canonpose(path: pathlib.Path) -> dict[str, Any]:
    """Reads a pickle whole; it stays in memory until the file changes."""
    content, rule = reading.pickled(path), "be a dictionary"
    errors.require_in(path, isinstance(content, dict), "file", rule, type(content).__name__)
    return content
