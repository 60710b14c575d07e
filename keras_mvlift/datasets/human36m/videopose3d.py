"""Human3.6M in VideoPose3D's archives.

<root>/data_3d_h36m.npz          `positions_3d`: subject, take -> [T, 32, 3], meters, world frame
<root>/data_2d_h36m_<name>.npz   `positions_2d`: subject, take -> a [T, K, 2] per camera, pixels;
                                 `metadata`: which joints these are

Both are pickled inside, and come whole into memory: once per process, as long as they do not
change.
"""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import archives
from keras_mvlift.datasets.human36m import actions, checks, file_cache, joints, rig

GROUND_TRUTH = "gt"
"""The name under which exact projections go."""

_PREFIX = "data_2d_h36m_"


class Layout(NamedTuple):
    """A joint set as an archive's metadata describe it.

    Attributes:
        num_joints: `K`.
        left: The joints of the left side.
        right: The joints of the right side.
    """

    num_joints: int
    left: tuple[int, ...]
    right: tuple[int, ...]


LAYOUTS = {
    "h36m": Layout(17, skeletons.H36M_17.left, skeletons.H36M_17.right),
    "coco": Layout(17, (1, 3, 5, 7, 9, 11, 13, 15), (2, 4, 6, 8, 10, 12, 14, 16)),
    "mpii": Layout(16, (3, 4, 5, 13, 14, 15), (0, 1, 2, 10, 11, 12)),
}
"""The joint sets that are understood, by the names that the archives give them."""


def pose_path(root: pathlib.Path) -> pathlib.Path:
    """Gives the archive of poses."""
    return root / "data_3d_h36m.npz"


def keypoints_path(root: pathlib.Path, name: str) -> pathlib.Path:
    """Gives the archive of a detector's output."""
    return root / f"{_PREFIX}{name}.npz"


def detector_names(root: pathlib.Path) -> list[str]:
    """Gives the names of the detectors of which there are archives."""
    paths = sorted(root.glob(f"{_PREFIX}*.npz"))
    return [path.stem.removeprefix(_PREFIX) for path in paths]


class Poses:
    """The poses of the archives."""

    def __init__(self, root: pathlib.Path):
        self._path = pose_path(root)

    def __str__(self) -> str:
        return f"{self._path.name}, the archive of the motion capture"

    def takes(self, subject: str) -> list[str]:
        """Gives the names of a subject's takes, as the archive has them.

        Raises:
            RecordingError: If there is none, or the archive cannot be read.
        """
        return _takes(self._path, "positions_3d", subject)

    def read(self, subject: str, name: str) -> np.ndarray:
        """Reads a take's poses, `[T, J, 3]`, meters, world frame.

        Raises:
            RecordingError: If they are not of the form described above.
        """
        field = f"positions_3d {subject} {name}"
        raw = _member(self._path, "positions_3d", subject, name)
        points = checks.array(self._path, field, raw, (joints.NUM_RAW_JOINTS, 3))
        return checks.pose(self._path, field, joints.from_raw(points), "m")


class Detections:
    """A detector's output, or exact projections, in an archive.

    Args:
        root: The folder of the archives.
        name: What the archive's name ends in, such as `"cpn_ft_h36m_dbb"`.
    """

    def __init__(self, root: pathlib.Path, name: str):
        self._path, self._name = keypoints_path(root, name), name

    def __str__(self) -> str:
        kind = "exact projections of the motion capture" if self.is_projected else "detections"
        return f"{self._path.name}, {kind}"

    @property
    def is_projected(self) -> bool:
        """Whether these are the motion capture's own projections."""
        return self._name == GROUND_TRUTH

    def subjects(self) -> list[str]:
        """Gives the subjects of which there are detections, with poses or without."""
        return sorted(map(str, _content(self._path, "positions_2d")))

    def takes(self, subject: str) -> list[str]:
        """Gives the names of a subject's takes, as the archive has them."""
        return _takes(self._path, "positions_2d", subject)

    def read(self, subject: str, label: str) -> list[checks.Detections]:
        """Reads what the four cameras saw in a take.

        Joints of another set are converted. A third column, which the published archives do not
        have, is taken as confidence.

        Raises:
            RecordingError: If it is not of the form described above.
        """
        field = f"positions_2d {subject} {label}"
        named = {actions.label(take): take for take in self.takes(subject)}
        views = _member(self._path, "positions_2d", subject, named.get(label, label))
        is_list = isinstance(views, (list, tuple)) or getattr(views, "ndim", 0) in (1, 4)
        if not is_list or len(views) != len(rig.CAMERAS):
            rule = f"be a list of the {len(rig.CAMERAS)} cameras' arrays"
            received = f"{type(views).__name__} of {len(views) if is_list else 'no'} entries"
            raise errors.RecordingError(self._path, field, rule, received)
        layout = _layout(self._path)
        return [
            self._view(f"{field} {camera}", view, layout)
            for camera, view in zip(rig.CAMERAS, views, strict=True)
        ]

    def _view(self, field: str, view: Any, layout: str) -> checks.Detections:
        num_joints, width = LAYOUTS[layout].num_joints, 2
        if isinstance(view, np.ndarray) and view.ndim == 3 and view.shape[2] == 3:
            width = 3
        values = checks.array(self._path, field, view, (num_joints, width))
        is_found = (values[..., :2] != 0).any(axis=-1)
        confidence = values[..., 2] if width == 3 else is_found.astype(np.float64)
        return checks.detections(
            self._path, field, *_CONVERTERS[layout](values[..., :2], confidence)
        )


def _from_coco(keypoints: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    converter = skeletons.Converter(skeletons.SKELETONS["coco_17"].joints)
    return converter.keypoints(keypoints), converter.confidence(confidence)


_CONVERTERS = {
    "h36m": lambda keypoints, confidence: (keypoints, confidence),
    "coco": _from_coco,
    "mpii": joints.from_hourglass,
}


def _content(path: pathlib.Path, key: str) -> dict[str, Any]:
    content = load(path)
    if not isinstance(content.get(key), dict):
        received = type(content.get(key)).__name__ if key in content else "no such key"
        raise errors.RecordingError(path, key, "be a dictionary of subjects", received)
    return content[key]


@file_cache.PerVersion
def load(path: pathlib.Path) -> dict[str, Any]:
    """Reads an archive whole; it stays in memory until the file changes."""
    return archives.read_npz(path)


def _takes(path: pathlib.Path, key: str, subject: str) -> list[str]:
    takes = _content(path, key).get(subject)
    if not isinstance(takes, dict) or not takes:
        received = "no such key" if takes is None else type(takes).__name__
        rule = "be a dictionary of takes"
        raise errors.RecordingError(path, f"{key} {subject}", rule, received)
    return sorted(map(str, takes))


def _member(path: pathlib.Path, key: str, subject: str, name: str) -> Any:
    takes = _content(path, key).get(subject)
    if not isinstance(takes, dict) or name not in takes:
        raise errors.RecordingError(path, f"{key} {subject} {name}", "be there", "no such key")
    return takes[name]


def _layout(path: pathlib.Path) -> str:
    """Finds which joints an archive has, from its metadata."""
    metadata = _content(path, "metadata")
    with errors.parsing(path, "metadata", "have `num_joints` and `keypoints_symmetry`"):
        left, right = (tuple(map(int, side)) for side in metadata["keypoints_symmetry"])
        received = Layout(int(metadata["num_joints"]), left, right)
    name = metadata.get("layout_name")
    for known, layout in LAYOUTS.items():
        if received == layout and name in (None, known):
            return known
    rule = f"describe the joints of {', '.join(LAYOUTS)}"
    raise errors.RecordingError(path, "metadata", rule, f"{name!r} with {received}")
