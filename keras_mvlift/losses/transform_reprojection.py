"""Eq. (5): each lifted pose, moved into the other camera, against the other view."""

from collections.abc import Callable

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import distances, reprojection, weighting


def loss(
    poses: tuple[tf.Tensor, tf.Tensor],
    pair: views.ViewPair,
    distance: Callable[[tf.Tensor], tf.Tensor] = distances.norm,
    weight: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = weighting.source,
    least_depth: float = cameras.MIN_DEPTH,
) -> tf.Tensor:
    """Computes `Σ_i w1_i ‖X2_i - ρ_2(τ_1to2(Ỹ1_i))‖ + w2_i ‖X1_i - ρ_1(τ_2to1(Ỹ2_i))‖`.

    Args:
        poses: Global poses lifted from source and target, `[B, J, 3]`, meters, each in its
            own camera's frame.
        pair: The two views.
        distance: The ‖·‖.
        weight: Makes a joint's weight from the confidences of the view it is lifted from and
            of the view it is compared with.
        least_depth: Meters, as of `cameras.project`.

    Returns:
        `[B]`, pixels times confidence.

    References:
        Li et al., eq. (5).
    """
    total = 0.0
    for pose, (source, target) in zip(poses, (pair, pair.swapped), strict=True):
        moved = cameras.target_from_source(pose, source.camera, target.camera)
        weights = weight(source.confidence, target.confidence)
        total += reprojection.error(moved, target, weights, distance, least_depth)
    return total
