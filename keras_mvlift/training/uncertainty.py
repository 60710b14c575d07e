"""How far off each joint of a lifted pose is likely to be, learned from how other views saw it.

A network of its own looks at the view that was lifted, confidences included, and predicts a scale
σ per joint. Its loss is the negative log-likelihood of the distance e at which another view saw the
joint, `log σ + e / σ`, which is least where σ is the mean of e. No gradient goes to the pose: a
pose that could buy a lower loss by being sure of easy joints alone would leave the others wrong.
"""

import math

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import reprojection, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import residual
from keras_mvlift.training import objectives

# Meters. A pose that is still anywhere teaches nothing about how sure poses are.
_MAX_ERROR = 3.0


class JointUncertainty(keras.layers.Layer):
    """Predicts how far off joints are; `seed` is of the initial weights.

    Attributes:
        network: From rays and confidences `[B, J, 3]` to scales `[B, J]`, meters.
        calibration: What `held_out.calibrate_uncertainty` found, as JSON; empty before.

    Call arguments:
        view: A batch of `View`, fields `[B, ...]`.
        training: Whether to update batch statistics.

    Returns:
        `[B, J]`, meters across, at the subject's distance.
    """

    parts = ("uncertainty",)

    def __init__(self, seed: int = 0):
        super().__init__(name="joint_uncertainty")
        self.network = joint_scales(name="uncertainty_network", seed=seed)
        # Text: Keras wraps the dicts of a layer in what cannot be written as JSON.
        self.calibration = ""

    def call(self, view: views.View, training: bool = False) -> tf.Tensor:
        seen = tf.concat([view.rays, view.confidence[..., tf.newaxis]], axis=-1)
        return self.network(seen, training=training)

    def loss(
        self,
        pose_camera: tf.Tensor,
        own: views.View,
        others: views.View,
        weights: tf.Tensor,
        training: bool,
    ) -> tf.Tensor:
        """Returns the negative log-likelihood of what others saw, `[B]` means over what counts.

        The first three arguments are those of `distances_across`; weights are `[B, V, J]`, 0 for
        none.
        """
        distance = tf.stop_gradient(
            tf.minimum(distances_across(pose_camera, own, others), _MAX_ERROR)
        )
        scale = self(own, training=training)[:, tf.newaxis]
        likelihood = tf.math.log(scale) + distance / scale
        weighted = tf.reduce_sum(weights * likelihood, axis=[-2, -1])
        return tf.math.divide_no_nan(weighted, tf.reduce_sum(weights, axis=[-2, -1]))

    def losses(self, placed: objectives.Placed, training: bool) -> objectives.Losses:
        """Returns `loss`, `[B]`, over the views that poses were not lifted from."""
        seen, is_own = placed.instants.seen, placed.is_own
        weights = seen.confidence * (1.0 - is_own)[..., tf.newaxis]
        loss = self.loss(placed.pose_camera, placed.own, seen, weights, training)
        return {"uncertainty": loss}


def distances_across(pose_camera: tf.Tensor, own: views.View, others: views.View) -> tf.Tensor:
    """Measures how far joints lie from where other views saw them.

    Global poses are `[B, J, 3]`, meters, frames of their own cameras, whose views have fields `[B,
    ...]`, and the others' `[B, V, ...]`.

    Returns:
        `[B, V, J]`, meters across the other view's line of sight, at the joint's depth.
    """
    first = cameras.Camera(*(field[:, tf.newaxis] for field in own.camera))
    moved = cameras.target_from_source(pose_camera[:, tf.newaxis], first, others.camera)
    projected = cameras.project(moved, others.camera.intrinsics)
    px = reprojection.norm(projected - others.keypoints_2d)
    pixels_per_unit = tf.sqrt(tf.linalg.det(others.camera.intrinsics))[..., tf.newaxis]
    return px * tf.maximum(moved[..., 2], cameras.MIN_DEPTH) / pixels_per_unit


# Meters: what every joint starts with, and between which any answer lies.
_NUM_LAYERS = 2
_FIRST_SCALE, _MIN_SCALE, _MAX_SCALE = 0.1, 1e-3, 3.0


def joint_scales(*, name: str, seed: int, width: int = 256) -> keras.Model:
    """Builds the network: dense layers with batch norm, and a number per joint.

    Returns:
        A model from rays and confidences `[B, J, 3]` to scales `[B, J]`, meters.
    """
    num_joints = skeletons.H36M_17.num_joints
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))
    seen = keras.Input((num_joints, 3), name="rays_and_confidence")
    x = keras.layers.Flatten()(seen)
    for _ in range(_NUM_LAYERS):
        start = keras.initializers.HeNormal(seed=next(seeds))
        x = keras.layers.Dense(width, kernel_initializer=start)(x)
        x = residual.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    log_scale = keras.layers.Dense(
        num_joints,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.002, seed=next(seeds)),
        bias_initializer=keras.initializers.Constant(math.log(_FIRST_SCALE)),
        dtype="float32",
        name="log_scale",
    )(x)
    return keras.Model(
        seen, keras.layers.Activation(_bounded_exp, dtype="float32")(log_scale), name=name
    )


def enlarge(network: keras.Model, factor: float) -> None:
    """Multiplies all answers of what `joint_scales` built."""
    network.get_layer("log_scale").bias.assign_add(
        tf.fill(network.output_shape[1:], math.log(factor))
    )


def _bounded_exp(log_scale: tf.Tensor) -> tf.Tensor:
    return tf.exp(tf.clip_by_value(log_scale, math.log(_MIN_SCALE), math.log(_MAX_SCALE)))
