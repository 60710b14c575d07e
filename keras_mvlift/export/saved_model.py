"""The SavedModel: plain TensorFlow operations, a few signatures, nothing of Keras."""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift import configs, skeletons
from keras_mvlift.datasets import examples, views
from keras_mvlift.export import (
    clip_serving,
    folded_lifters,
    halved_lifters,
    request_checks,
    uncertainty_serving,
)
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import folded
from keras_mvlift.serving import warm_up_requests
from keras_mvlift.training import lifters, multi_view_lifter

SIGNATURES = ("serving_default", "lift_camera", "lift_world", "serving_examples")

_NUM_JOINTS = skeletons.H36M_17.num_joints
_KEYPOINTS = tf.TensorSpec([None, _NUM_JOINTS, 2], tf.float32, "keypoints_2d")
_CONFIDENCE = tf.TensorSpec([None, _NUM_JOINTS], tf.float32, "confidence")
_INTRINSICS = tf.TensorSpec([None, 3, 3], tf.float32, "intrinsics")
_ROTATION = tf.TensorSpec([None, 3, 3], tf.float32, "rotation")
_CENTER = tf.TensorSpec([None, 3], tf.float32, "center")


class ServingModule(tf.Module):
    """The two networks behind the signatures `SIGNATURES`.

    Args:
        lifter: The trained model.
        intrinsics: `[3, 3]`, pixels, taken for a camera that a request does not describe.
    """

    def __init__(self, lifter: multi_view_lifter.MultiViewLifter, intrinsics: np.ndarray):
        super().__init__()
        networks = lifter if halved_lifters.is_halved(lifter) else folded_lifters.fold(lifter)
        self._lift = lambda view: networks(view, training=False)
        if lifter.uncertainty is not None:
            self.joint_uncertainty = uncertainty_serving.signature(lifter.uncertainty)
        self._intrinsics = tf.constant(intrinsics, tf.float32)
        # The variables alone: tracking the Keras models would save their layers' own functions.
        self.folded = folded_lifters.weights_of(networks)
        if lifter.uncertainty is not None:
            self.variables_to_save = lifter.uncertainty.network.variables

    @tf.function(input_signature=[_KEYPOINTS, _CONFIDENCE])
    def serving_default(
        self, keypoints_2d: tf.Tensor, confidence: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Lifts poses seen by a camera like those of training.

        Args:
            keypoints_2d: `[B, 17, 2]`, pixels.
            confidence: `[B, 17]`, 0 for a joint that was not seen.

        Returns:
            `root_relative_pose`, `[B, 17, 3]`, meters, camera axes.
        """
        keypoints_2d = request_checks.shaped("keypoints_2d", keypoints_2d, None, _NUM_JOINTS, 2)
        batch = tf.shape(keypoints_2d)[0]
        intrinsics = tf.broadcast_to(self._intrinsics, [batch, 3, 3])
        lifted = self.lift_camera(keypoints_2d, confidence, intrinsics)
        return {"root_relative_pose": lifted["root_relative_pose"]}

    @tf.function(input_signature=[_KEYPOINTS, _CONFIDENCE, _INTRINSICS])
    def lift_camera(
        self, keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Lifts poses seen by known cameras.

        Args:
            keypoints_2d: `[B, 17, 2]`, pixels, without lens distortion.
            confidence: `[B, 17]`, 0 for a joint that was not seen.
            intrinsics: `[B, 3, 3]`, pixels.

        Returns:
            `root_relative_pose` `[B, 17, 3]`, `root_position` `[B, 3]` and their sum
            `pose_camera` `[B, 17, 3]`, meters, camera frame.
        """
        keypoints_2d, confidence = request_checks.seen(keypoints_2d, confidence, None)
        intrinsics, keypoints_2d = request_checks.camera(intrinsics, keypoints_2d, None)
        batch = tf.shape(keypoints_2d)[0]
        camera = cameras.Camera(
            intrinsics,
            rotation=tf.eye(3, batch_shape=[batch]),
            center=tf.zeros([batch, 3]),
        )
        lifted = self._lift(views.View(keypoints_2d, confidence, camera))
        root_position = lifted.root_position
        return {
            "root_relative_pose": lifted.root_relative_pose,
            "root_position": root_position,
            "pose_camera": lifted.root_relative_pose + root_position[:, tf.newaxis],
        }

    @tf.function(input_signature=[_KEYPOINTS, _CONFIDENCE, _INTRINSICS, _ROTATION, _CENTER])
    def lift_world(
        self,
        keypoints_2d: tf.Tensor,
        confidence: tf.Tensor,
        intrinsics: tf.Tensor,
        rotation: tf.Tensor,
        center: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Lifts poses seen by cameras whose places are known.

        Args:
            keypoints_2d: `[B, 17, 2]`, pixels, without lens distortion.
            confidence: `[B, 17]`, 0 for a joint that was not seen.
            intrinsics: `[B, 3, 3]`, pixels.
            rotation: `[B, 3, 3]`, camera from world.
            center: `[B, 3]`, meters, world frame: where the camera stands.

        Returns:
            What `lift_camera` gives and `pose_world` `[B, 17, 3]`, meters, world frame.
        """
        rotation, center = request_checks.place(rotation, center, keypoints_2d)
        lifted = self.lift_camera(keypoints_2d, confidence, intrinsics)
        camera = cameras.Camera(intrinsics, rotation, center)
        return lifted | {"pose_world": cameras.world_from_camera(lifted["pose_camera"], camera)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serving_examples(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Lifts serialized `tf.Example` records of single views.

        Args:
            serialized: `[B]`, with features `keypoints_2d`, `confidence` and `intrinsics`.

        Returns:
            `root_relative_pose` flattened to `[B, 51]`, meters, camera axes.
        """
        view = examples.decode_views(serialized)
        lifted = self.lift_camera(view.keypoints_2d, view.confidence, view.camera.intrinsics)
        flat = tf.reshape(lifted["root_relative_pose"], [-1, 3 * _NUM_JOINTS])
        return {"root_relative_pose": flat}


def save(
    lifter: multi_view_lifter.MultiViewLifter,
    description: dict[str, Any],
    folder: pathlib.Path,
    *,
    half_precision: bool = False,
) -> None:
    """Writes a SavedModel with what `lifters.load` and `load_model` read beside it.

    Args:
        lifter: The trained model.
        description: With `"model"`, `"rig_distance"` and `"intrinsics"`, `[3, 3]` in pixels.
        folder: The SavedModel's folder.
        half_precision: Whether its weights are rounded to 16 bits, and those that `lifters.load`
            reads left out: a model of single frames to pass on, in a quarter of the space.

    Raises:
        ValueError: If `half_precision` is asked for, and the model sees windows or predicts
            uncertainties.
    """
    config = configs.ModelConfig(**description["model"])
    window = lifters.window_of(config)
    notes = {} if window else _notes(lifter, config)
    if half_precision:
        lifter = halved_lifters.halved(lifter)
    make, names = (
        (clip_serving.ClipServingModule, clip_serving.SIGNATURES)
        if window
        else (ServingModule, SIGNATURES)
    )
    module = make(lifter, np.asarray(description["intrinsics"]))
    more = (uncertainty_serving.SIGNATURE,) if lifter.uncertainty is not None else ()
    signatures = {name: getattr(module, name) for name in (*names, *more)}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    warm_up_requests.write(folder, num_frames=window.num_frames if window else 1)
    about = description | notes | _joints()
    if half_precision:
        halved_lifters.save_description(about, folder / lifters.FOLDER)
        return
    if window:
        about["window"] = {
            "num_frames": window.num_frames,
            "is_causal": window.is_causal,
            "frame_step": window.step,
        }
    lifters.save(lifter, about, folder / lifters.FOLDER)
    if window:
        for network in (lifter.lifting_network, lifter.root_network):
            folded.save(network, folder / lifters.FOLDER / f"{network.name}.npz")


def _joints() -> dict[str, Any]:
    skeleton = skeletons.H36M_17
    return {
        "skeleton": skeleton.name,
        "joints": list(skeleton.joints),
        "parents": list(skeleton.parents),
    }


def _notes(
    lifter: multi_view_lifter.MultiViewLifter, config: configs.ModelConfig
) -> dict[str, Any]:
    # A class with a way of its own to look at views is more than the notes tell.
    if type(lifter).call is not multi_view_lifter.MultiViewLifter.call:
        return {}
    return {"folded": folded_lifters.notes(lifter, config.network_input)}
