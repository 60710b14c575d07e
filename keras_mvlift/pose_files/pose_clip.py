"""Poses over time: the one type that lifting gives, files hold and viewers show."""

import dataclasses
import json
import math
from typing import Any

import numpy as np

from keras_mvlift import argument_rules, skeletons

SPACES = ("root", "camera", "world")
"""Where a pose may be: around its root, in camera axes; from the camera; in the world, z up."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """One person, or one model's or a reference's view of a person.

    Attributes:
        name: Such as `"person 1"` or `"reference"`.
        pose: `[T, J, 3]`, meters, in the clip's space; NaN where a joint is absent.
        confidence: `[T, J]`, in [0, 1], of the 3D joint; None where it is not known.
        uncertainty: `[T, J]`, meters, one standard deviation, where a model knows it; NaN where
            a joint is absent.
        keypoints_2d: `[T, J, 2]`, pixels, what was lifted; NaN where a joint was not seen.
        keypoint_confidence: `[T, J]`, in [0, 1], of what was lifted; 0 where not seen.
        is_reference: Whether it is what the others are judged against.

    Raises:
        ValueError: If a field does not have the shape or values stated above.
    """

    name: str
    pose: np.ndarray
    confidence: np.ndarray | None = None
    uncertainty: np.ndarray | None = None
    keypoints_2d: np.ndarray | None = None
    keypoint_confidence: np.ndarray | None = None
    is_reference: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise _error("name", "be a text that is not empty", repr(self.name))
        if not isinstance(self.is_reference, bool):
            raise _error("is_reference", "be true or false", repr(self.is_reference))
        _check_points("pose", self.pose, 3)
        per_joint = self.pose.shape[:2]
        for name in ("confidence", "uncertainty", "keypoint_confidence"):
            _check_per_joint(name, getattr(self, name), per_joint)
        if self.keypoints_2d is not None:
            _check_points("keypoints_2d", self.keypoints_2d, 2)
            if self.keypoints_2d.shape[:2] != per_joint:
                rule = f"have the frames and joints of `pose`, {list(per_joint)}"
                raise _error("keypoints_2d", rule, list(self.keypoints_2d.shape))

    @property
    def num_frames(self) -> int:
        """The number of frames, `T`."""
        return self.pose.shape[0]

    @property
    def is_present(self) -> np.ndarray:
        """`[T, J]`, where a joint has a position."""
        return np.isfinite(self.pose).all(axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseClip:
    """People over a stretch of time.

    Attributes:
        tracks: At least one, all with the same frames `T` and joints `J`, each of its own name.
        space: `"root"`: around the pelvis, in camera axes, x right, y down, z away from the
            camera; `"camera"`: the same axes, from the camera; `"world"`: z up.
        frame_rate: Frames per second.
        first_frame: The number of the first frame.
        joint_names: `J` names.
        parents: `J` indices of each joint's parent, -1 for the root.
        image_size: Width and height in pixels of the image that was lifted.
        about: Notes, such as the model's name: texts to JSON values.

    Raises:
        ValueError: If a field does not hold what is stated above.
    """

    tracks: tuple[Track, ...]
    space: str
    frame_rate: float
    first_frame: int = 0
    joint_names: tuple[str, ...] = skeletons.H36M_17.joints
    parents: tuple[int, ...] = skeletons.H36M_17.parents
    image_size: tuple[int, int] | None = None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise _error("space", f"be one of {', '.join(SPACES)}", repr(self.space))
        if not _is_number(self.frame_rate) or not 0 < self.frame_rate < math.inf:
            raise _error("frame_rate", "be a number above 0", self.frame_rate)
        if not isinstance(self.first_frame, int) or self.first_frame < 0:
            raise _error("first_frame", "be a whole number of at least 0", self.first_frame)
        self._check_joints()
        self._check_tracks()
        self._check_image_size()
        self._check_about()

    @property
    def num_frames(self) -> int:
        """The number of frames, `T`."""
        return self.tracks[0].num_frames

    def _check_joints(self) -> None:
        names = self.joint_names
        if not names or len(set(names)) < len(names) or not all(map(_is_text, names)):
            raise _error("joint_names", "be texts, each once", names)
        is_tree = len(self.parents) == len(names) and all(
            isinstance(parent, int) and -1 <= parent < child
            for child, parent in enumerate(self.parents)
        )
        if not is_tree or list(self.parents).count(-1) != 1:
            rule = f"name for each of {len(names)} joints an earlier one, -1 for the only root"
            raise _error("parents", rule, self.parents)

    def _check_tracks(self) -> None:
        if not self.tracks:
            raise _error("tracks", "hold somebody", "none")
        shape = (self.num_frames, len(self.joint_names))
        for track in self.tracks:
            if track.pose.shape[:2] != shape:
                rule = f"all have {shape[0]} frames and {shape[1]} joints"
                raise _error("tracks", rule, f"{track.name} with {list(track.pose.shape[:2])}")
        names = [track.name for track in self.tracks]
        if len(set(names)) < len(names):
            raise _error("tracks", "each have a name of its own", ", ".join(names))

    def _check_image_size(self) -> None:
        size = self.image_size
        if size is None:
            return
        is_pair = isinstance(size, (tuple, list)) and len(size) == 2
        if not is_pair or not all(isinstance(side, int) and side > 0 for side in size):
            raise _error("image_size", "be width and height in whole pixels", size)

    def _check_about(self) -> None:
        if not isinstance(self.about, dict):
            raise _error("about", "be texts to JSON values", type(self.about).__name__)
        try:
            json.dumps(self.about, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise _error("about", "hold JSON values only", error) from error


def _check_points(name: str, points: np.ndarray, num_axes: int) -> None:
    axes = {2: "[T, J, 2]", 3: "[T, J, 3]"}[num_axes]
    if not _is_array(points) or points.ndim != 3 or points.shape[-1] != num_axes:
        raise _error(name, f"have shape {axes}", _shape(points))
    if 0 in points.shape:
        raise _error(name, "have at least one frame and one joint", _shape(points))
    is_nan = np.isnan(points)
    if np.isinf(points).any() or (is_nan.any(axis=-1) & ~is_nan.all(axis=-1)).any():
        raise _error(name, "be finite, or NaN in all of a joint's numbers", "others")


def _check_per_joint(name: str, values: np.ndarray | None, shape: tuple[int, ...]) -> None:
    if values is None:
        return
    if not _is_array(values) or values.shape != shape:
        raise _error(name, f"have the frames and joints of `pose`, {list(shape)}", _shape(values))
    if name == "uncertainty":
        if (values < 0).any() or np.isinf(values).any():
            raise _error(name, "be finite and at least 0, or NaN", float(np.nanmin(values)))
    elif not ((values >= 0) & (values <= 1)).all():
        received = f"{values.min()} to {values.max()}"
        raise _error(name, "lie in [0, 1]", received)


def _is_array(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "f"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _shape(values: Any) -> str:
    if not isinstance(values, np.ndarray):
        return type(values).__name__
    return f"{list(values.shape)} of {values.dtype}"


def _error(name: str, rule: str, received: Any) -> ValueError:
    return argument_rules.ArgumentError(name, rule, received)
