"""Alignment of one pose with another: by a turn, by scale, or by a similarity.

Of NumPy arrays all functions make NumPy arrays, of tensors tensors.
"""

import numpy as np

from keras_mvlift.geometry import arrays


def align(
    pose: arrays.Array, target: arrays.Array, weights: arrays.Array | None = None
) -> arrays.Array:
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
    xp, pose, target = arrays.convert(pose, target)
    arrays.check_shapes(pose=(pose, "J 3"), target=(target, "J 3"))
    weights = xp.ones_like(pose[..., :1]) if weights is None else weights[..., np.newaxis]
    total = xp.sum(weights, axis=-2, keepdims=True)
    pose_mean = arrays.divide(xp.sum(weights * pose, axis=-2, keepdims=True), total)
    target_mean = arrays.divide(xp.sum(weights * target, axis=-2, keepdims=True), total)
    centered, centered_target = pose - pose_mean, target - target_mean
    rotation, agreement = kabsch(arrays.transposed_times(weights * centered_target, centered))
    spread = xp.sum(weights * xp.square(centered), axis=(-2, -1))
    scale = arrays.divide(agreement, spread)
    turned = arrays.times_transposed(centered, rotation)
    return scale[..., np.newaxis, np.newaxis] * turned + target_mean


def kabsch(covariance: arrays.Array) -> tuple[arrays.Array, arrays.Array]:
    """Finds the rotations that turn bundles of vectors nearest to others.

    Args:
        covariance: `[..., 3, 3]`, the sums over vectors of `target sourceᵀ`.

    Returns:
        `[..., 3, 3]`, the rotations R that make `tr(Rᵀ covariance)` greatest, and these traces.

    References:
        Kabsch, A solution for the best rotation to relate two sets of vectors, 1976.
    """
    xp = arrays.namespace(covariance)
    left, singular, right = xp.linalg.svd(covariance)
    # A reflection may fit better than any rotation; flip the weakest axis.
    sign = xp.sign(xp.linalg.det(left) * xp.linalg.det(right))
    flip = xp.stack([xp.ones_like(sign), xp.ones_like(sign), sign], axis=-1)
    return (left * flip[..., np.newaxis, :]) @ right, xp.sum(singular * flip, axis=-1)


def align_scale(pose: arrays.Array, target: arrays.Array) -> arrays.Array:
    """Scales a root-relative pose `[..., J, 3]` to lie as near to another as it can."""
    xp, pose, target = arrays.convert(pose, target)
    overlap = xp.sum(pose * target, axis=(-2, -1), keepdims=True)
    return arrays.divide(overlap, xp.sum(xp.square(pose), axis=(-2, -1), keepdims=True)) * pose
