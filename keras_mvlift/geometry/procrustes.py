"""Alignment of one pose with another: by scale, or by a similarity."""

import tensorflow as tf


def align(pose: tf.Tensor, target: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Moves, turns and scales a pose to lie as near to another as it can.

    Args:
        pose: `[..., J, 3]`.
        target: `[..., J, 3]`, same unit.
        weights: `[..., J]`, of the joints' squared distances; None for all alike.

    Returns:
        `[..., J, 3]`, `pose` after the similarity that minimizes the squared distance.

    Raises:
        ValueError: If the poses have other trailing dimensions, or not the same.

    References:
        Umeyama, Least-squares estimation of transformation parameters between two point
        patterns, PAMI 1991.
    """
    pose, target = tf.convert_to_tensor(pose), tf.convert_to_tensor(target)
    shapes = [(pose, (..., "J", 3)), (target, (..., "J", 3))]
    tf.debugging.assert_shapes(shapes, message="procrustes.align")
    weights = tf.ones_like(pose[..., :1]) if weights is None else weights[..., tf.newaxis]
    total = tf.reduce_sum(weights, axis=-2, keepdims=True)
    pose_mean = tf.math.divide_no_nan(tf.reduce_sum(weights * pose, -2, keepdims=True), total)
    target_mean = tf.math.divide_no_nan(tf.reduce_sum(weights * target, -2, keepdims=True), total)
    centered, centered_target = pose - pose_mean, target - target_mean
    covariance = tf.linalg.matmul(weights * centered_target, centered, transpose_a=True)
    singular, left, right = tf.linalg.svd(covariance)
    # A reflection may fit better than any rotation; flip the weakest axis.
    sign = tf.sign(tf.linalg.det(left) * tf.linalg.det(right))
    flip = tf.stack([tf.ones_like(sign), tf.ones_like(sign), sign], axis=-1)
    rotation = tf.linalg.matmul(left * flip[..., tf.newaxis, :], right, transpose_b=True)
    spread = tf.reduce_sum(weights * tf.square(centered), axis=[-2, -1])
    scale = tf.math.divide_no_nan(tf.reduce_sum(singular * flip, axis=-1), spread)
    turned = tf.linalg.matmul(centered, rotation, transpose_b=True)
    return scale[..., tf.newaxis, tf.newaxis] * turned + target_mean


def align_scale(pose: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Scales a root-relative pose `[..., J, 3]` to lie as near to another as it can."""
    pose, target = tf.convert_to_tensor(pose), tf.convert_to_tensor(target)
    overlap = tf.reduce_sum(pose * target, axis=[-2, -1], keepdims=True)
    spread = tf.reduce_sum(tf.square(pose), axis=[-2, -1], keepdims=True)
    return tf.math.divide_no_nan(overlap, spread) * pose
