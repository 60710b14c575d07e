"""How far off each joint of a lifted pose is likely to be, learned from how other views saw it.

A network of its own looks at the view that was lifted, confidences included, and predicts a scale
σ per joint. Its loss is the negative log-likelihood of the distance e at which another view saw the
joint, `log σ + e / σ`, which is least where σ is the mean of e. No gradient goes to the pose: a
pose that could buy a lower loss by being sure of easy joints alone would leave the others wrong.
"""

import tensorflow as tf
from tensorflow import keras

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import reprojection
from keras_mvlift.networks import joint_scales

# Meters. A pose that is still anywhere teaches nothing about how sure poses are.
_MAX_ERROR = 3.0


class JointUncertainty(keras.layers.Layer):
    """Predicts how far off joints are.

    Args:
        seed: Of the initial weights.

    Attributes:
        network: From rays and confidences `[B, J, 3]` to scales `[B, J]`, meters.
        calibration: What `uncertainty_calibration.calibrate` found, as JSON; empty before.

    Call arguments:
        view: A batch of `View`, fields `[B, ...]`.
        training: Whether to update batch statistics.

    Returns:
        `[B, J]`, meters across, at the subject's distance.
    """

    def __init__(self, seed: int = 0):
        super().__init__(name="joint_uncertainty")
        self.network = joint_scales.joint_scales(name="uncertainty_network", seed=seed)
        # Text: Keras wraps the dicts of a layer in what cannot be written as JSON.
        self.calibration = ""

    def call(self, view: views.View, training: bool = False) -> tf.Tensor:
        """Predicts."""
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
        """Gives the negative log-likelihood of what other views saw.

        Args:
            pose_camera: Global poses `[B, J, 3]`, meters, frames of their own cameras.
            own: The views that they were lifted from, fields `[B, ...]`.
            others: Other views, fields `[B, V, ...]`.
            weights: `[B, V, J]`, of each distance; 0 leaves it out.
            training: Whether to update batch statistics.

        Returns:
            `[B]`, its mean over what counts.
        """
        distance = tf.stop_gradient(
            tf.minimum(distances_across(pose_camera, own, others), _MAX_ERROR)
        )
        scale = self(own, training=training)[:, tf.newaxis]
        likelihood = tf.math.log(scale) + distance / scale
        weighted = tf.reduce_sum(weights * likelihood, axis=[-2, -1])
        return tf.math.divide_no_nan(weighted, tf.reduce_sum(weights, axis=[-2, -1]))

    def pair_loss(
        self, poses: tuple[tf.Tensor, tf.Tensor], pair: views.ViewPair, training: bool
    ) -> tf.Tensor:
        """Gives the mean of `loss` over both directions of pairs, `[B]`."""
        own = tf.nest.map_structure(lambda *sides: tf.concat(sides, axis=0), *pair)
        others = tf.nest.map_structure(
            lambda *sides: tf.concat(sides, axis=0)[:, tf.newaxis], *pair.swapped
        )
        both = self.loss(tf.concat(poses, axis=0), own, others, others.confidence, training)
        return tf.add_n(tf.split(both, 2)) / 2


def distances_across(pose_camera: tf.Tensor, own: views.View, others: views.View) -> tf.Tensor:
    """Measures how far joints lie from where other views saw them.

    Args:
        pose_camera: Global poses `[B, J, 3]`, meters, frames of their own cameras.
        own: The views that they were lifted from, fields `[B, ...]`.
        others: Other views, fields `[B, V, ...]`.

    Returns:
        `[B, V, J]`, meters across the other view's line of sight, at the joint's depth.
    """
    first = cameras.Camera(*(field[:, tf.newaxis] for field in own.camera))
    moved = cameras.target_from_source(pose_camera[:, tf.newaxis], first, others.camera)
    projected = cameras.project(moved, others.camera.intrinsics)
    px = reprojection.norm(projected - others.keypoints_2d)
    pixels_per_unit = tf.sqrt(tf.linalg.det(others.camera.intrinsics))[..., tf.newaxis]
    return px * tf.maximum(moved[..., 2], cameras.MIN_DEPTH) / pixels_per_unit
