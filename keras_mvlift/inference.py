"""Using a trained model: TensorFlow and NumPy are all it takes."""

import dataclasses
import math
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift import (
    argument_rules,
    inference_clip_streams,
    inference_files,
    inference_flips,
    inference_inputs,
    inference_shipped,
    inference_single_view,
    inference_streams,
    inference_uncertainty,
)

_STREAMED = ("lifting_network.npz", "root_network.npz")
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
        joint_uncertainty: `[..., J]`, meters; None of a model that does not predict it.
    """

    joint_names: tuple[str, ...]
    root_relative_pose: np.ndarray
    root_position: np.ndarray | None = None
    pose_camera: np.ndarray | None = None
    joint_uncertainty: np.ndarray | None = None


class Lifter:
    """A trained model.

    Attributes:
        path: The SavedModel's folder.
        joint_names: `J` names, in the order that `lift` expects and gives.
        parents: `J` indices of each joint's parent, -1 for the root.
        intrinsics: `[3, 3]`, pixels, what `lift` takes for a camera that is left out.
        description: All that training noted about the model.
    """

    _signature = "lift_camera"
    _is_for_clips = False

    def __init__(self, path: pathlib.Path, description: dict[str, Any]):
        self.path = path
        self.description = description
        self.joint_names = tuple(description["joints"])
        self.parents = tuple(description["parents"])
        self.intrinsics = np.asarray(description["intrinsics"], np.float32)
        self._model = self._open()
        self._single_view = inference_single_view.of(self._model, description, self.intrinsics)

    def _open(self) -> Any:
        return inference_files.open_model(self.path)

    def lift(
        self, keypoints_2d: Any, confidence: Any = None, camera: Any = None, flip: bool = False
    ) -> LiftedPose:
        """Lifts 2D joints to 3D poses.

        Args:
            keypoints_2d: `[..., J, 2]`, pixels, without lens distortion; `[..., T, J, 2]`, the
                frames of clips, for a `ClipLifter`.
            confidence: `[..., J]`, in [0, 1], 0 for a joint that was not seen; left out, every
                joint was.
            camera: The intrinsics `[3, 3]` or `[..., 3, 3]`, pixels, or anything that has them
                as its attribute `intrinsics`. Left out, a camera like those of training is
                taken, with a warning, and no position is given.
            flip: Whether the mirrored person is lifted, too, and the mean of both given.

        Returns:
            The poses, with the leading axes of `keypoints_2d`.

        Raises:
            ValueError: If a shape is wrong, or a value is not finite, or a confidence lies
                outside [0, 1].
        """
        checked = inference_inputs.keypoints_2d(keypoints_2d, self.joint_names, self._is_for_clips)
        leading = checked.shape[:-2]
        seen = inference_inputs.confidence(confidence, checked.shape[:-1])
        intrinsics = inference_inputs.intrinsics(camera, leading, self.intrinsics)
        run = inference_flips.averaged(self._run, self.joint_names) if flip else self._run
        pose, root_position = run(checked, seen, intrinsics)
        lifted = self._lifted(pose, None if camera is None else root_position)
        uncertainty = inference_uncertainty.predict(self._model, checked, seen, intrinsics)
        return dataclasses.replace(lifted, joint_uncertainty=uncertainty)

    def _run(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gives poses `[..., J, 3]`, root at 0, and root positions `[..., 3]`."""
        leading = keypoints_2d.shape[:-2]
        if self._single_view is not None and math.prod(leading) == 1:
            pose, root_position = self._single_view.lift(
                keypoints_2d.reshape(-1, 2), confidence.reshape(-1), intrinsics.reshape(3, 3)
            )
            return pose.reshape(*leading, *pose.shape), root_position.reshape(*leading, 3)
        batch = (-1, *leading[len(leading) - self._is_for_clips :])
        lifted = self._model.signatures[self._signature](
            keypoints_2d=tf.constant(keypoints_2d.reshape(*batch, *keypoints_2d.shape[-2:])),
            confidence=tf.constant(confidence.reshape(*batch, confidence.shape[-1])),
            intrinsics=tf.constant(intrinsics.reshape(*batch, 3, 3)),
        )
        pose, root_position = (
            lifted[name].numpy() for name in ("root_relative_pose", "root_position")
        )
        return pose.reshape(*leading, *pose.shape[-2:]), root_position.reshape(*leading, 3)

    def _lifted(self, pose: np.ndarray, root_position: np.ndarray | None) -> LiftedPose:
        if root_position is None:
            return LiftedPose(self.joint_names, pose)
        pose_camera = pose + root_position[..., np.newaxis, :]
        return LiftedPose(self.joint_names, pose, root_position, pose_camera)


class ClipLifter(Lifter):
    """A trained model that lifts a frame by those around it; it takes clips, or frame by frame.

    A frame in which nobody is seen repeats the one before; frames before anybody is seen repeat the
    first in which somebody is.

    Attributes:
        num_frames: Frames of its window.
        is_causal: Whether it lifts a window's last frame, not its middle.
        frame_step: Frames of a clip from one frame of a window to the next, as in training. For
            clips of another frame rate than training's, it may be set to another number.
    """

    _signature = "lift_clip"
    _is_for_clips = True

    def __init__(self, path: pathlib.Path, description: dict[str, Any]):
        super().__init__(path, description)
        window = description["window"]
        self.num_frames, self.is_causal = window["num_frames"], window["is_causal"]
        self.frame_step = window["frame_step"]

    def stream(self) -> inference_clip_streams.ClipStream:
        """Gives what lifts a clip frame by frame, to the same poses."""
        folder = self.path / inference_files.DESCRIPTION.parent
        lifting, root = (inference_streams.read(folder / name) for name in _STREAMED)
        return inference_clip_streams.ClipStream(
            [self._pose_stream(lifting, root) for _ in range(self.frame_step)],
            self.joint_names,
            self.intrinsics,
            self._lifted,
        )

    def _run(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        pose = np.zeros((*keypoints_2d.shape[:-1], 3), np.float32)
        root_position = np.zeros((*keypoints_2d.shape[:-2], 3), np.float32)
        if pose.size:
            # Frames that far apart are clips of their own.
            for start in range(min(self.frame_step, keypoints_2d.shape[-3])):
                frames = slice(start, None, self.frame_step)
                pose[..., frames, :, :], root_position[..., frames, :] = super()._run(
                    keypoints_2d[..., frames, :, :],
                    confidence[..., frames, :],
                    intrinsics[..., frames, :, :],
                )
        return pose, root_position

    def _pose_stream(
        self, lifting: inference_streams.Arrays, root: inference_streams.Arrays
    ) -> inference_streams.PoseStream:
        head = self._model.signatures["root_position"]

        def root_position(outputs_and_rays: tuple[np.ndarray, np.ndarray]) -> tf.Tensor:
            outputs, rays = (tf.constant(array, tf.float32) for array in outputs_and_rays)
            return head(outputs=outputs, rays=rays)["root_position"]

        has_free_root = self.description.get("has_free_root", False)
        return inference_streams.PoseStream(
            lifting, root, root_position, has_free_root=has_free_root
        )


def load_model(path: str | pathlib.Path) -> Lifter:
    """Loads a trained model.

    Args:
        path: A SavedModel's folder, a folder of numbered versions, of which the newest is
            taken, a pipeline's output folder, or the name of a model that comes with the package,
            `"studio"`. A model that lies in a folder of that name goes first.

    Returns:
        The model: a `ClipLifter` if it lifts a frame by those around it, else a `Lifter`.

    Raises:
        FileNotFoundError: If no model lies there.
        ValueError: If a file of it is damaged.

    Example:
        >>> model = keras_mvlift.load_model("output/mvlift")
        >>> pose = model.lift(keypoints_2d, confidence, camera=intrinsics)
        >>> pose.pose_camera  # [..., 17, 3], meters
    """
    if not isinstance(path, (str, pathlib.PurePath)):
        raise argument_rules.ArgumentError("path", "be a folder's path", type(path).__name__)
    root = pathlib.Path(path)
    for folder in (root, root / _PUSHED):
        if (folder / inference_files.SAVED_MODEL).is_file():
            return _lifter(folder)
        versions = [
            child for child in folder.glob("*") if (child / inference_files.SAVED_MODEL).is_file()
        ]
        numbered = [version for version in versions if version.name.isdecimal()]
        if numbered:
            return _lifter(max(numbered, key=lambda version: int(version.name)))
    if str(path) in inference_shipped.names():
        return _lifter(inference_shipped.folder(str(path)))
    raise FileNotFoundError(
        f"{root}: must be a SavedModel, a folder of its numbered versions or a pipeline's output "
        "folder; no saved_model.pb was found. Nor is it the name of a model that comes with the "
        f"package: {', '.join(inference_shipped.names())}."
    )


def _lifter(path: pathlib.Path) -> Lifter:
    description = inference_files.description(path)
    return (ClipLifter if "window" in description else Lifter)(path, description)
