"""The losses: eqs. (2), (5) and (6), and that on triangulated poses; their norms and weights."""

from collections.abc import Callable

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras


def norm(vectors: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """Returns the Euclidean norm `[...]` of `[..., D]`; its gradient at zero is zero, not NaN."""
    squared = tf.reduce_sum(tf.square(vectors), axis=axis)
    # Zeros are masked, not what is no positive number: NaN must stay NaN, so that it is noticed.
    is_zero = tf.equal(squared, 0)
    length = tf.sqrt(tf.where(is_zero, tf.ones_like(squared), squared))
    return tf.where(is_zero, tf.zeros_like(squared), length)


def loss(
    poses: tuple[tf.Tensor, tf.Tensor],
    pair: views.ViewPair,
    distance: Callable[[tf.Tensor], tf.Tensor] = norm,
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
    distance: Callable[[tf.Tensor], tf.Tensor] = norm,
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
    off = view.keypoints_2d - cameras.project(pose_camera, view.camera.intrinsics, least_depth)
    return tf.reduce_sum(weight * distance(off), axis=-1)


def weight_by_source(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights by the confidence in the view lifted from, as printed; all `[..., J]`."""
    return tf.where(compared_with > 0, lifted_from, tf.zeros_like(lifted_from))


def transform_loss(
    poses: tuple[tf.Tensor, tf.Tensor],
    pair: views.ViewPair,
    distance: Callable[[tf.Tensor], tf.Tensor] = norm,
    weight: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = weight_by_source,
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
        total += error(moved, target, weights, distance, least_depth)
    return total


def all_views_error(
    pose_camera: tf.Tensor,
    camera: cameras.Camera,
    seen: views.View,
    weight: tf.Tensor,
    distance: Callable[..., tf.Tensor] = norm,
    least_depth: float = cameras.MIN_DEPTH,
) -> tf.Tensor:
    """Sums a pose's weighted distances to the keypoints of each view of its instant.

    It is `error` of the pose that `cameras.target_from_source` moves into each view. Here all views
    take one product of matrices, and coordinates lie side by side, which takes a third of the time.

    Args:
        pose_camera: `[B, J, 3]`, meters, frame of `camera`.
        camera: Fields `[B, ...]`.
        seen: Fields `[B, V, ...]`.
        weight: `[B, V, J]`.
        distance: The ‖·‖, and so on as of `error`.
        least_depth: Meters.

    Returns:
        `[B, V]`, pixels times the unit of the weight.
    """
    rotation, center = cameras.relative_extrinsics(cameras.expand(camera, -1), seen.camera)
    num_views, num_joints = weight.shape[-2:]
    moved = tf.linalg.matmul(
        tf.reshape(rotation, [-1, 3 * num_views, 3]), pose_camera, transpose_b=True
    )
    moved = tf.reshape(moved, [-1, num_views, 3, num_joints])
    moved -= tf.linalg.matvec(rotation, center)[..., tf.newaxis]
    x, y, z = tf.unstack(moved, axis=-2)
    depth = tf.maximum(z, least_depth)
    inverse_depth = (1.0 + (depth - z) / least_depth) / depth
    keypoints_2d = tf.unstack(seen.keypoints_2d, axis=-1)
    errors = [
        keypoints_2d[row]
        - seen.camera.intrinsics[..., row, row, tf.newaxis] * (place * inverse_depth)
        - seen.camera.intrinsics[..., row, 2, tf.newaxis]
        for row, place in enumerate((x, y))
    ]
    return tf.reduce_sum(weight * distance(tf.stack(errors), axis=0), axis=-1)


def pretraining_loss(poses: tuple[tf.Tensor, tf.Tensor], pair: views.ViewPair) -> tf.Tensor:
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
    return 2.0 * tf.reduce_sum(norm(difference), axis=-1)


def squared_norm(vectors: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """Returns the squared Euclidean norm `[...]` of `[..., D]`."""
    return tf.reduce_sum(tf.square(vectors), axis=axis)


DISTANCES = {"norm": norm, "squared_norm": squared_norm}
"""The ‖·‖ of the losses by name; the paper's figures cannot tell which one it used."""


WEIGHTINGS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "source": weight_by_source,
    "target": lambda lifted_from, compared_with: compared_with,
    "product": lambda lifted_from, compared_with: lifted_from * compared_with,
    "none": lambda lifted_from, compared_with: tf.cast(compared_with > 0, compared_with.dtype),
}
"""Weights of joints by name, of the confidences in the views lifted from and compared with."""


def triangulated_pose_loss(
    root_relative_pose: tf.Tensor, target: tf.Tensor, is_known: tf.Tensor
) -> tf.Tensor:
    """Sums the distances to triangulated joints, the pose being where it fits them best.

    The root's position is solved for in closed form: where the known joints of both have the same
    mean. A pose that is put at the triangulated root instead would learn the error of that one
    point in all joints.

    Args:
        root_relative_pose: `[..., J, 3]`, meters, camera axes.
        target: `[..., J, 3]`, meters, camera frame.
        is_known: `[..., J]`, which joints of the target count.

    Returns:
        `[...]`, meters.
    """
    weight = tf.cast(is_known, root_relative_pose.dtype)[..., tf.newaxis]
    error = weight * (target - root_relative_pose)
    count = tf.reduce_sum(weight, axis=-2, keepdims=True)
    root_position = tf.math.divide_no_nan(tf.reduce_sum(error, axis=-2, keepdims=True), count)
    return tf.reduce_sum(norm(error - weight * root_position), axis=-1)
