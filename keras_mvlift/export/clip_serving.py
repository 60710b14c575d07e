"""What the SavedModel of a temporal network does, in plain TensorFlow operations."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.export import request_checks
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import temporal
from keras_mvlift.training import lifters, multi_view_lifter

SIGNATURES = ("serving_default", "lift_window", "lift_clip", "root_position")

_NUM_JOINTS = skeletons.H36M_17.num_joints
_CLIP = (
    tf.TensorSpec([None, None, _NUM_JOINTS, 2], tf.float32, "keypoints_2d"),
    tf.TensorSpec([None, None, _NUM_JOINTS], tf.float32, "confidence"),
)
_INTRINSICS = tf.TensorSpec([None, 3, 3], tf.float32, "intrinsics")
_CLIP_INTRINSICS = tf.TensorSpec([None, None, 3, 3], tf.float32, "intrinsics")
_OUTPUTS = tf.TensorSpec([None, 3], tf.float32, "outputs")
_RAYS = tf.TensorSpec([None, _NUM_JOINTS, 2], tf.float32, "rays")


class ClipServingModule(tf.Module):
    """Two temporal networks behind the signatures `SIGNATURES`.

    Frames are as far apart as those of a window in training. A frame in which nobody is seen
    repeats the one before; frames before anybody is seen repeat the first in which somebody is.

    Args:
        lifter: The trained model.
        intrinsics: `[3, 3]`, pixels, taken for a camera that a request does not describe.
    """

    def __init__(self, lifter: multi_view_lifter.MultiViewLifter, intrinsics: np.ndarray):
        super().__init__()
        networks = [temporal.dilated(x) for x in (lifter.lifting_network, lifter.root_network)]
        self._lift_window = lambda seen: lifter(seen, training=False)
        self._networks = lambda rays: [network(rays, training=False) for network in networks]
        self._root_head = lambda *inputs: lifter.root_head(inputs)
        self._has_free_root = lifter.recipe.has_free_root
        is_causal = temporal.is_causal(lifter.lifting_network)
        self._num_frames = lifter.lifting_network.input_shape[1]
        self._lifted_frame = self._num_frames - 1 if is_causal else self._num_frames // 2
        self._intrinsics = tf.constant(intrinsics, tf.float32)
        # The variables alone: tracking the Keras models would save their layers' own functions.
        self.variables_to_save = lifters.weights_of(lifter)

    @tf.function(input_signature=_CLIP)
    def serving_default(
        self, keypoints_2d: tf.Tensor, confidence: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Lifts one frame of each window, seen by a camera like those of training.

        Args:
            keypoints_2d: `[B, T, 17, 2]`, pixels, `T` being the window's frames.
            confidence: `[B, T, 17]`, 0 for a joint that was not seen.

        Returns:
            `root_relative_pose`, `[B, 17, 3]`, meters, camera axes.
        """
        axes = (None, None, _NUM_JOINTS, 2)
        keypoints_2d = request_checks.shaped("keypoints_2d", keypoints_2d, *axes)
        batch = tf.shape(keypoints_2d)[0]
        intrinsics = tf.broadcast_to(self._intrinsics, [batch, 3, 3])
        lifted = self.lift_window(keypoints_2d, confidence, intrinsics)
        return {"root_relative_pose": lifted["root_relative_pose"]}

    @tf.function(input_signature=[*_CLIP, _INTRINSICS])
    def lift_window(
        self, keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Lifts one frame of each window: its middle, or its last by a causal network.

        Args:
            keypoints_2d: `[B, T, 17, 2]`, pixels, without lens distortion.
            confidence: `[B, T, 17]`, 0 for a joint that was not seen.
            intrinsics: `[B, 3, 3]`, pixels.

        Returns:
            `root_relative_pose` `[B, 17, 3]`, `root_position` `[B, 3]` and their sum
            `pose_camera` `[B, 17, 3]`, meters, camera frame.
        """
        keypoints_2d, confidence = request_checks.seen(keypoints_2d, confidence, None, None)
        intrinsics, keypoints_2d = request_checks.camera(intrinsics, keypoints_2d, None)
        shape = tf.shape(keypoints_2d)
        rule = f"`T` must be {self._num_frames}, the frames of a window."
        tf.debugging.assert_equal(shape[1], self._num_frames, rule)
        each = tf.broadcast_to(intrinsics[:, tf.newaxis], [shape[0], shape[1], 3, 3])
        rays = _seen_rays(keypoints_2d, confidence, each)
        rays = tf.ensure_shape(rays, [None, self._num_frames, _NUM_JOINTS, 2])
        lifted = self._lift_window(_SeenWindow(rays[:, self._lifted_frame], rays))
        return _with_sum(lifted.root_relative_pose, lifted.root_position)

    @tf.function(input_signature=[*_CLIP, _CLIP_INTRINSICS])
    def lift_clip(
        self, keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Lifts every frame of each clip, of any length.

        Args:
            keypoints_2d: `[B, T, 17, 2]`, pixels, without lens distortion, with a frame or more.
            confidence: `[B, T, 17]`, 0 for a joint that was not seen.
            intrinsics: `[B, T, 3, 3]`, pixels.

        Returns:
            What `lift_window` gives, for each frame, `[B, T, ...]`.
        """
        keypoints_2d, confidence = request_checks.seen(keypoints_2d, confidence, None, None)
        intrinsics, keypoints_2d = request_checks.camera(intrinsics, keypoints_2d, None, None)
        rule = "`T` must be 1 or more, the frames of a clip."
        tf.debugging.assert_positive(tf.shape(keypoints_2d)[1], rule)
        rays = _seen_rays(keypoints_2d, confidence, intrinsics)
        batch, num_frames = tf.unstack(tf.shape(rays)[:2])
        outputs, root_outputs = self._networks(rays)
        pose = tf.reshape(outputs, [batch, num_frames, _NUM_JOINTS, 3])
        predicted = self._root_head(
            tf.reshape(root_outputs, [-1, 3]), tf.reshape(rays, [-1, _NUM_JOINTS, 2])
        )
        root_position = tf.reshape(predicted, [batch, num_frames, 3])
        root_joint = pose[:, :, skeletons.ROOT]
        if self._has_free_root:
            root_position += root_joint
        return _with_sum(pose - root_joint[:, :, tf.newaxis], root_position)

    @tf.function(input_signature=[_OUTPUTS, _RAYS])
    def root_position(self, outputs: tf.Tensor, rays: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the predicted root `[B, 3]`, meters, camera frame, as streaming needs it.

        The root joint of a pose lies off it where the description says `has_free_root`.

        Args:
            outputs: `[B, 3]`, of the root network.
            rays: `[B, 17, 2]`, of the frame that is lifted.
        """
        outputs = request_checks.shaped("outputs", outputs, None, 3)
        rays = request_checks.shaped("rays", rays, None, _NUM_JOINTS, 2)
        return {"root_position": self._root_head(outputs, rays)}


class _SeenWindow(NamedTuple):
    """What a lifter reads of a `WindowedView`."""

    rays: tf.Tensor
    window_rays: tf.Tensor


def _seen_rays(keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Gives the viewing rays `[B, T, J, 2]`, frames in which nobody is seen filled."""
    is_seen = confidence > 0
    rays = tf.where(is_seen[..., tf.newaxis], cameras.rays(keypoints_2d, intrinsics), 0.0)
    # Where the count of frames with somebody last rose is the last of them.
    count = tf.cumsum(tf.cast(tf.reduce_any(is_seen, axis=-1), tf.int32), axis=1)
    frame = tf.searchsorted(count, tf.maximum(count, 1))
    return tf.gather(rays, tf.minimum(frame, tf.shape(rays)[1] - 1), batch_dims=1)


def _with_sum(pose: tf.Tensor, root_position: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        "root_relative_pose": pose,
        "root_position": root_position,
        "pose_camera": pose + root_position[..., tf.newaxis, :],
    }
