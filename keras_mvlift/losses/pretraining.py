"""Eq. (6): the two lifted poses against each other."""

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import distances


def loss(poses: tuple[tf.Tensor, tf.Tensor], pair: views.ViewPair) -> tf.Tensor:
    """Computes `Σ_i ‖τ_1to2(Ỹ1_i) - Ỹ2_i‖ + ‖τ_2to1(Ỹ2_i) - Ỹ1_i‖`.

    It leads to no valid poses by itself; it moves the roots away from the cameras, where the
    projection of eq. (1) is singular. τ keeps lengths, so that both terms are the same: one of
    them is computed, and counts twice.

    Args:
        poses: Global poses lifted from source and target, `[B, J, 3]`, meters, each in its
            own camera's frame.
        pair: The two views.

    Returns:
        `[B]`, meters.

    References:
        Li et al., eq. (6).
    """
    pose_source, pose_target = poses
    source, target = pair.source.camera, pair.target.camera
    difference = cameras.target_from_source(pose_source, source, target) - pose_target
    return 2.0 * tf.reduce_sum(distances.norm(difference), axis=-1)
