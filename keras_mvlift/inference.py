"""Using a trained model: TensorFlow and NumPy are all it takes."""

import dataclasses
import json
import pathlib
import warnings
from typing import Any

import numpy as np
import tensorflow as tf

_DESCRIPTION = pathlib.PurePath("assets.extra", "keras_mvlift", "model.json")
_SAVED_MODEL = "saved_model.pb"
# A pipeline's output folder keeps its pushed versions here; see pipeline/local.py.
_PUSHED = pathlib.PurePath("serving", "mvlift")


@dataclasses.dataclass(frozen=True)
class LiftedPose:
    """What a single view says of a person.

    Attributes:
        joint_names: `J` names, in the order of the poses.
        root_relative_pose: `[..., J, 3]`, meters, pelvis at 0, camera axes: x right, y down,
            z away from the camera.
        root_position: `[..., 3]`, meters, camera frame; None without a camera.
        pose_camera: `[..., J, 3]`, meters, camera frame; None without a camera.
    """

    joint_names: tuple[str, ...]
    root_relative_pose: np.ndarray
    root_position: np.ndarray | None = None
    pose_camera: np.ndarray | None = None


class Lifter:
    """A trained model.

    Attributes:
        path: The SavedModel's folder.
        joint_names: `J` names, in the order that `lift` expects and gives.
        parents: `J` indices of each joint's parent, -1 for the root.
        intrinsics: `[3, 3]`, pixels, what `lift` takes for a camera that is left out.
        description: All that training noted about the model.
    """

    def __init__(self, path: pathlib.Path):
        description = path / _DESCRIPTION
        if not description.is_file():
            raise FileNotFoundError(f"{description}: not there; no model of keras_mvlift.")
        self.path = path
        self.description: dict[str, Any] = json.loads(description.read_text())
        self.joint_names = tuple(self.description["joints"])
        self.parents = tuple(self.description["parents"])
        self.intrinsics = np.asarray(self.description["intrinsics"], np.float32)
        self._model = tf.saved_model.load(str(path))
        self._lift = self._model.signatures["lift_camera"]

    def lift(
        self,
        keypoints_2d: Any,
        confidence: Any = None,
        camera: Any = None,
    ) -> LiftedPose:
        """Lifts 2D joints to 3D poses.

        Args:
            keypoints_2d: `[..., J, 2]`, pixels, without lens distortion.
            confidence: `[..., J]`, in [0, 1], 0 for a joint that was not seen; left out, every
                joint was.
            camera: The intrinsics `[3, 3]` or `[..., 3, 3]`, pixels, or anything that has them
                as its attribute `intrinsics`. Left out, a camera like those of training is
                taken, with a warning, and no position is given.

        Returns:
            The poses, with the leading axes of `keypoints_2d`.

        Raises:
            ValueError: If a shape is wrong, or a value is not finite, or a confidence lies
                outside [0, 1].
        """
        keypoints = self._checked_keypoints(keypoints_2d)
        leading = keypoints.shape[:-2]
        seen = self._checked_confidence(confidence, leading)
        intrinsics = self._checked_intrinsics(camera, leading)
        lifted = self._lift(
            keypoints_2d=tf.constant(keypoints.reshape(-1, *keypoints.shape[-2:])),
            confidence=tf.constant(seen.reshape(-1, seen.shape[-1])),
            intrinsics=tf.constant(intrinsics.reshape(-1, 3, 3)),
        )
        pose, root, pose_camera = (
            lifted[name].numpy().reshape(*leading, *lifted[name].shape[1:])
            for name in ("root_relative_pose", "root_position", "pose_camera")
        )
        if camera is None:
            return LiftedPose(self.joint_names, pose)
        return LiftedPose(self.joint_names, pose, root, pose_camera)

    def _checked_keypoints(self, value: Any) -> np.ndarray:
        num_joints = len(self.joint_names)
        keypoints = _finite("keypoints_2d", value)
        if keypoints.ndim < 2 or keypoints.shape[-2:] != (num_joints, 2):
            raise ValueError(
                f"`keypoints_2d` must have shape [..., {num_joints}, 2], the joints being "
                f"{', '.join(self.joint_names)}. Received: {list(keypoints.shape)}."
            )
        return keypoints

    def _checked_confidence(self, value: Any, leading: tuple[int, ...]) -> np.ndarray:
        shape = (*leading, len(self.joint_names))
        confidence = np.ones(shape, np.float32) if value is None else _finite("confidence", value)
        if confidence.shape != shape:
            raise ValueError(
                f"`confidence` must have shape {list(shape)}. Received: {list(confidence.shape)}."
            )
        low, high = confidence.min(initial=1), confidence.max(initial=0)
        if low < 0 or high > 1:
            raise ValueError(f"`confidence` must lie in [0, 1]. Received: {low} to {high}.")
        return confidence

    def _checked_intrinsics(self, camera: Any, leading: tuple[int, ...]) -> np.ndarray:
        shape = (*leading, 3, 3)
        if camera is None:
            warnings.warn(
                "`camera` was left out: taking the mean camera of training, "
                f"focal length {self.intrinsics[0, 0]:.0f} px.",
                stacklevel=3,
            )
            return np.broadcast_to(self.intrinsics, shape)
        intrinsics = _finite("camera", getattr(camera, "intrinsics", camera))
        if intrinsics.shape not in ((3, 3), shape):
            raise ValueError(
                f"`camera` must have intrinsics of shape [3, 3] or {list(shape)}. "
                f"Received: {list(intrinsics.shape)}."
            )
        if (intrinsics[..., [0, 1], [0, 1]] <= 0).any():
            raise ValueError(f"`camera` must have positive focal lengths. Received: {intrinsics}.")
        return np.broadcast_to(intrinsics, shape)


def load_model(path: str | pathlib.Path) -> Lifter:
    """Loads a trained model.

    Args:
        path: A SavedModel's folder, a folder of numbered versions, of which the newest is
            taken, or a pipeline's output folder.

    Returns:
        The model.

    Raises:
        FileNotFoundError: If no model lies there.

    Example:
        >>> model = keras_mvlift.load_model("output/mvlift")
        >>> pose = model.lift(keypoints_2d, confidence, camera=intrinsics)
        >>> pose.pose_camera  # [..., 17, 3], meters
    """
    root = pathlib.Path(path)
    for folder in (root, root / _PUSHED):
        if (folder / _SAVED_MODEL).is_file():
            return Lifter(folder)
        versions = [child for child in folder.glob("*") if (child / _SAVED_MODEL).is_file()]
        numbered = [version for version in versions if version.name.isdecimal()]
        if numbered:
            return Lifter(max(numbered, key=lambda version: int(version.name)))
    raise FileNotFoundError(
        f"{root}: must be a SavedModel, a folder of its numbered versions or a pipeline's output "
        "folder; no saved_model.pb was found."
    )


def _finite(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be an array of numbers. Received: {error}.") from error
    if not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise ValueError(
            f"`{name}` must be finite; give a joint that was not seen confidence 0. "
            f"Received: {bad} of {array.size} values NaN or infinite."
        )
    return array
