"""Reprojection losses: eqs. (2), (5) and (6), their distances, weights and units."""

from collections.abc import Callable

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation

# Lengths of vectors with finite gradients everywhere.


def norm(vectors: tf.Tensor) -> tf.Tensor:
    """Returns the Euclidean norm `[...]` of `[..., D]`; its gradient at zero is zero, not NaN."""
    squared = tf.reduce_sum(tf.square(vectors), axis=-1)
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
    return tf.reduce_sum(weight * distance(residual(pose_camera, view, least_depth)), axis=-1)


def residual(
    pose_camera: tf.Tensor, view: views.View, least_depth: float = cameras.MIN_DEPTH
) -> tf.Tensor:
    """Computes the way from a pose's image to the keypoints of a view, `[B, J, 2]`, pixels."""
    return view.keypoints_2d - cameras.project(pose_camera, view.camera.intrinsics, least_depth)


# Which confidence weights a joint's error in the other view.
#
# Eq. (5) as printed takes the confidence of the view that the pose was lifted from. Whatever the
# choice, a joint that the other view did not see has no error there.


def weight_by_source(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights by the confidence in the view lifted from, as printed; all `[..., J]`."""
    return tf.where(compared_with > 0, lifted_from, tf.zeros_like(lifted_from))


# Eq. (5): each lifted pose, moved into the other camera, against the other view.


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


# Eq. (6): the two lifted poses against each other.


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


def squared_norm(vectors: tf.Tensor) -> tf.Tensor:
    """Returns the squared Euclidean norm `[...]` of `[..., D]`."""
    return tf.reduce_sum(tf.square(vectors), axis=-1)


DISTANCES = {"norm": norm, "squared_norm": squared_norm}
"""The ‖·‖ of the losses by name; the paper's figures cannot tell which one it used."""


def weight_by_target(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights by the confidence in the view compared with."""
    del lifted_from
    return compared_with


def weight_by_both(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights by both."""
    return lifted_from * compared_with


def weight_seen_alike(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights every joint seen there by one."""
    del lifted_from
    return tf.cast(compared_with > 0, compared_with.dtype)


WEIGHTINGS = {
    "source": weight_by_source,
    "target": weight_by_target,
    "product": weight_by_both,
    "none": weight_seen_alike,
}

# Where reprojection errors are measured: in each view's own pixels, or in rays.
#
# A pixel of a long lens is a smaller angle than one of a short lens. In rays, an angle counts the
# same in all views. They are scaled to the pixels of one camera of the mean focal length, so that a
# loss keeps its size, and with it λ, the clipping of gradients and every other weight their
# meaning.

Views = tuple[views.View, ...]


def in_pixels(*seen: views.View) -> Views:
    """Leaves views as they are."""
    return seen


def in_rays(*seen: views.View) -> Views:
    """Returns the views that cameras of one focal length, looking through the middle, would have.

    Args:
        seen: Views, fields `[..., ...]`. The focal length is the mean over all of them that show
            anything, and both axes.

    Returns:
        The same, with other keypoints and intrinsics.
    """
    focal = _mean_focal_length(seen)
    intrinsics = tf.linalg.diag(tf.stack([focal, focal, tf.ones_like(focal)]))
    return tuple(_with_intrinsics(view, focal, intrinsics) for view in seen)


IMAGE_SPACES: dict[str, Callable[..., Views]] = {"pixels": in_pixels, "rays": in_rays}
"""By name."""


def _with_intrinsics(view: views.View, focal: tf.Tensor, intrinsics: tf.Tensor) -> views.View:
    camera = view.camera
    return views.View(
        focal * view.rays,
        view.confidence,
        cameras.Camera(
            tf.broadcast_to(intrinsics, tf.shape(camera.intrinsics)),
            camera.rotation,
            camera.center,
        ),
    )


def _mean_focal_length(seen: Views) -> tf.Tensor:
    total, count = 0.0, 0.0
    for view in seen:
        lengths = tf.linalg.diag_part(view.camera.intrinsics)[..., :2]
        shows = tf.reduce_any(view.confidence > 0, axis=-1, keepdims=True)
        weight = tf.cast(shows, lengths.dtype) + tf.zeros_like(lengths)
        total += tf.reduce_sum(weight * lengths)
        count += tf.reduce_sum(weight)
    return tf.math.divide_no_nan(total, count)


# Weights that fall with the reprojection error.


# AutoGraph has nothing to do here, and warns of the kernels, which it cannot tell apart.
@tf.autograph.experimental.do_not_convert
def robust_weights(
    errors: tf.Tensor, confidence: tf.Tensor, kernel: str = "cauchy", scale_px: float = 0.0
) -> tf.Tensor:
    """Weighs the joints of an instant by their errors, as iteratively re-weighted least squares do.

    Args:
        errors: `[..., V, J]`, pixels.
        confidence: `[..., V, J]`; 0 for an error that tells nothing of the scale.
        kernel: A name of `triangulation.KERNELS`.
        scale_px: Errors much larger than this count for little; 0 for the kernel's width times the
            standard deviation that an instant's median error means, one for all its joints.

    Returns:
        `[..., V, J]`, in (0, 1], the factor on squared errors. No gradient goes through it.
    """
    chosen = triangulation.KERNELS[kernel]
    errors = tf.stop_gradient(tf.convert_to_tensor(errors))
    scale = tf.cast(scale_px, errors.dtype)
    if not scale_px:
        deviation = triangulation.median(errors, confidence > 0) / triangulation.MEDIAN_LENGTH
        scale = chosen.width * tf.maximum(deviation, triangulation.MIN_DEVIATION_PX)
    return chosen.weight(tf.square(errors / scale))
