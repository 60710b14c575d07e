"""Eq. (2): each lifted pose against the view it was lifted from."""

from collections.abc import Callable

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import distances


def loss(
    poses: tuple[tf.Tensor, tf.Tensor],
    pair: views.ViewPair,
    distance: Callable[[tf.Tensor], tf.Tensor] = distances.norm,
    least_depth: float = cameras.MIN_DEPTH,
) -> tf.Tensor:
    """Computes `Σ_i w1_i ‖X1_i - ρ_1(Ỹ1_i)‖ + w2_i ‖X2_i - ρ_2(Ỹ2_i)‖`.

    Args:
        poses: Global poses lifted from source and target, `[B, J, 3]`, meters, each in its
            own camera's frame.
        pair: The two views.
        distance: The ‖·‖.
        least_depth: Meters, as of `cameras.project`.

    Returns:
        `[B]`, pixels times confidence.

    References:
        Li et al., eq. (2).
    """
    return sum(
        error(pose, view, view.confidence, distance, least_depth)
        for pose, view in zip(poses, pair, strict=True)
    )


def error(
    pose_camera: tf.Tensor,
    view: views.View,
    weight: tf.Tensor,
    distance: Callable[[tf.Tensor], tf.Tensor] = distances.norm,
    least_depth: float = cameras.MIN_DEPTH,
) -> tf.Tensor:
    """Sums a pose's weighted distances to the keypoints of a view.

    Args:
        pose_camera: `[B, J, 3]`, meters, frame of the view's camera.
        view: The view.
        weight: `[B, J]`.
        distance: The ‖·‖.
        least_depth: Meters, as of `cameras.project`.

    Returns:
        `[B]`, pixels times the unit of the weight.
    """
    return tf.reduce_sum(weight * distance(residual(pose_camera, view, least_depth)), axis=-1)


def residual(
    pose_camera: tf.Tensor, view: views.View, least_depth: float = cameras.MIN_DEPTH
) -> tf.Tensor:
    """Computes the way from a pose's image to the keypoints of a view, `[B, J, 2]`, pixels."""
    return view.keypoints_2d - cameras.project(pose_camera, view.camera.intrinsics, least_depth)
