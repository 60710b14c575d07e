"""A score without labels: poses lifted from one view, against the views that they never saw.

A pose that is right in three dimensions falls on the keypoints of every other camera; one that is
right only in the image that it was lifted from does not. To be compared with a view, a pose needs a
root position, and each way to find one tells something else:

- anchored: where the other views triangulate the root joint. As in MPJPE, a joint is wrong by its
  place relative to the root: a body that stands off its own root is wrong throughout.
- solved: by the least squares of recipe `solved_root`. The whole body says where it is, and what is
  left is the error of its shape; of a body that stands off its root, the root alone is wrong.

Both use all views but the one compared with, which is held out of all that is compared
with it.

What is left for a perfect pose is the detector's own error in the view compared with, so the score
ranks models on the same views; it does not compare data sets.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences, views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.metrics import baselines, pose_error


class Errors(NamedTuple):
    """How far poses are from the views that they were not lifted from, `[..., A, B, J]` each."""

    px: tf.Tensor  # Pixels, of a pose lifted from view A in view B.
    mm: tf.Tensor  # The same in millimeters across at the subject's distance from B.
    # The same as a share of the diagonal of the box around all joints that B shows: of how large
    # the person is there.
    share: tf.Tensor
    # Confidence of the keypoint; 0 where A is B, where A is not lifted from, where the keypoint is
    # not seen and where the subject's distance is not known.
    weight: tf.Tensor


def errors(pose_world: tf.Tensor, seen: views.View, min_joints: int = 8) -> Errors:
    """Compares poses with the views that they were not lifted from.

    Args:
        pose_world: `[..., A, B, J, 3]`, meters, world frame: the pose lifted from view A, placed to
            be compared with view B, as by `solved` or `predicted`.
        seen: All views of each instant, fields `[..., V, ...]`, with A = B = V; confidence 0
            throughout for a view that an instant lacks.
        min_joints: Joints that a view must show to be lifted from.

    Raises:
        ValueError: If the shapes are not the ones stated above.
    """
    tf.debugging.assert_shapes(
        [(pose_world, (..., "V", "V", "J", 3)), (seen.confidence, (..., "V", "J"))],
        message="held_out_views.errors",
    )
    other = _of_any_lifted(seen)
    projected = cameras.project_from_world(pose_world, other.camera)
    px = tf.norm(projected - other.keypoints_2d, axis=-1)
    depth, is_known = subject_depth(seen)
    pixels_per_unit = tf.sqrt(tf.linalg.det(seen.camera.intrinsics))
    mm_per_px = pose_error.MILLIMETERS_PER_METER * depth / pixels_per_unit
    is_lifted = _is_shown(seen, min_joints)
    is_compared = is_lifted[..., :, tf.newaxis] & is_known[..., tf.newaxis, :]
    is_compared &= ~tf.eye(seen.confidence.shape[-2], dtype=tf.bool)
    weight = tf.where(is_compared[..., tf.newaxis], other.confidence, tf.zeros_like(px))
    size_px = sequences.box_diagonals(seen.keypoints_2d, seen.confidence > 0)
    mm, size = (x[..., tf.newaxis, :, tf.newaxis] for x in (mm_per_px, size_px))
    return Errors(px, px * mm, tf.math.divide_no_nan(px, size), weight)


def subject_depth(seen: views.View) -> tuple[tf.Tensor, tf.Tensor]:
    """Measures how far the subject is from each camera, by triangulation: no model has a say in it.

    Returns:
        `[..., V]`, meters along the optical axis, of the mean joint; and whether it is known.
    """
    points, is_seen = triangulation.triangulate(seen.keypoints_2d, seen.confidence, seen.camera)
    weight = tf.cast(is_seen, points.dtype)[..., tf.newaxis]
    total = tf.reduce_sum(weight, axis=-2)
    middle = tf.math.divide_no_nan(tf.reduce_sum(weight * points, axis=-2), total)
    in_views = cameras.camera_from_world(middle[..., tf.newaxis, tf.newaxis, :], seen.camera)
    depth = in_views[..., 0, 2]
    return depth, (total > 0) & (depth > cameras.MIN_DEPTH)


def anchored(root_relative_pose: tf.Tensor, seen: views.View, min_joints: int = 8) -> tf.Tensor:
    """Places poses by the root joint, triangulated from all views but the one compared with.

    Where an instant has two views only, both say where the root is. Where fewer than two views show
    the root joint, the pose is placed as by `solved`.

    Args:
        root_relative_pose: `[..., V, J, 3]`, meters, root at 0, axes of the view lifted from.
        seen: All views of each instant, fields `[..., V, ...]`.
        min_joints: Joints that a view must show to count as one.

    Returns:
        `[..., A, B, J, 3]`, meters, world frame.
    """
    root = slice(skeletons.ROOT, skeletons.ROOT + 1)
    # B, then the views that say where the root is.
    each = _of_any_lifted(seen)
    is_other = tf.linalg.matrix_transpose(_is_other(seen, min_joints))[..., tf.newaxis]
    weights = is_other * each.confidence[..., root]
    keypoints_2d = tf.repeat(each.keypoints_2d[..., root, :], weights.shape[-2], axis=-4)
    root_world, is_known = triangulation.triangulate(keypoints_2d, weights, each.camera)
    turned = tf.linalg.matmul(root_relative_pose, seen.camera.rotation)
    placed = turned[..., tf.newaxis, :, :] + root_world[..., tf.newaxis, :, :, :]
    fallback = solved(root_relative_pose, seen, min_joints)
    return tf.where(is_known[..., tf.newaxis, :, :, tf.newaxis], placed, fallback)


def solved(root_relative_pose: tf.Tensor, seen: views.View, min_joints: int = 8) -> tf.Tensor:
    """Places poses by the root that explains them best in all views but the one compared with.

    Where an instant has two views only, both say where the root is: from the view lifted from alone
    its distance is too uncertain, and the root takes three numbers of the other view's many.
    Arguments and result are as of `anchored`.
    """
    # World axes, root at the world's origin.
    turned = tf.linalg.matmul(root_relative_pose, seen.camera.rotation)
    each = _of_any_lifted(seen)
    in_views = cameras.camera_from_world(turned[..., tf.newaxis, :, :], each.camera)
    left, right = triangulation.normal_equations(
        each.rays, each.confidence, each.camera.rotation, in_views
    )
    is_other = _is_other(seen, min_joints)
    left = tf.einsum("...acjxy,...cb->...abxy", left, is_other)
    left = tf.repeat(left, is_other.shape[-1], axis=-4)
    right = tf.einsum("...acjx,...cb->...abx", right, is_other)
    root_world = triangulation.solve(left, right)
    return turned[..., tf.newaxis, :, :] + root_world[..., tf.newaxis, :]


def _is_other(seen: views.View, min_joints: int) -> tf.Tensor:
    """Returns 1 for the views C that say where the root is to be compared with B, `[..., C, B]`."""
    is_few = tf.math.count_nonzero(_is_shown(seen, min_joints), axis=-1) <= 2
    num_views = seen.confidence.shape[-2]
    others = 1.0 - tf.eye(num_views, dtype=seen.confidence.dtype)
    return tf.where(is_few[..., tf.newaxis, tf.newaxis], tf.ones_like(others), others)


def _is_shown(seen: views.View, min_joints: int) -> tf.Tensor:
    return tf.math.count_nonzero(seen.confidence > 0, axis=-1) >= min_joints


def _of_any_lifted(seen: views.View) -> views.View:
    """Adds an axis for the view lifted from: fields `[..., 1, V, ...]`."""
    return views.View(
        tf.expand_dims(seen.keypoints_2d, -4),
        tf.expand_dims(seen.confidence, -3),
        cameras.expand(seen.camera, -2),
    )


# The errors in held-out views as a score of a set of poses: a threshold without 3D references.

SCORE_NAMES = ("mean_px", "median_px", "mean_mm", "median_mm", "mean_share", "median_share")
"""What every score consists of, the lower the better. Millimeters are pixels at the subject's
distance, shares are of the size at which the person is seen."""

Place = Callable[[tf.Tensor, views.View, int], tf.Tensor]
"""A way to place poses, such as `anchored`."""

# Instants measured at once: each is lifted from every view and compared with every other.
_BATCH_SIZE = 512


def summarize(found: list[Errors]) -> dict[str, float]:
    """Averages errors, weighted by confidence, to mean and median, `SCORE_NAMES`.

    Raises:
        ValueError: If nothing could be compared.
    """
    *measured, weight = (
        np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
        for parts in zip(*found, strict=True)
    )
    if not weight.sum() > 0:
        raise ValueError("No instant was seen by two cameras with enough joints: no held-out view.")
    summary = {}
    for unit, values in zip(("px", "mm", "share"), measured, strict=True):
        summary[f"mean_{unit}"] = float(np.average(values, weights=weight))
        (summary[f"median_{unit}"],) = weighted_quantiles(values, weight, [0.5])
    return summary


def score(
    seen: views.View,
    root_relative_pose: np.ndarray,
    *,
    min_joints: int = 8,
    place: Place = anchored,
) -> dict[str, float]:
    """Scores poses that were lifted from every view of some instants.

    Args:
        seen: All views of each instant, fields `[T, V, ...]`, as of `errors`.
        root_relative_pose: `[T, V, J, 3]`, meters, root at 0, camera axes.
        min_joints: Joints that a view must show to be lifted from.
        place: What gives a pose the root position with which it is compared.

    Returns:
        Mean and median, and errors, as of `summarize`.
    """
    parts = [
        errors(place(pose, some, min_joints), some, min_joints)
        for some, pose in pieces((seen, root_relative_pose), _BATCH_SIZE)
    ]
    return summarize(parts)


def pieces(arrays: Any, size: int) -> Iterator[Any]:
    """Cuts a structure of arrays `[N, ...]` into tensors of at most so many rows, in order."""
    for start in range(0, len(tf.nest.flatten(arrays)[0]), size):
        rows = slice(start, start + size)
        yield tf.nest.map_structure(
            lambda field, rows=rows: tf.cast(field[rows], tf.float32), arrays
        )


def score_test_views(
    test: baselines.TestViews, root_relative_pose: np.ndarray, **options: Any
) -> dict[str, float]:
    """Scores poses that were lifted from single views; of their references it makes no use.

    Poses are `[N, J, 3]`, meters, root at 0, camera axes. Options are those of `score`, as are what
    it returns and raises.
    """
    seen, column = baselines.by_instant(test)
    shape = (*seen.confidence.shape[:2], *root_relative_pose.shape[1:])
    laid_out = np.zeros(shape, np.float32)
    laid_out[test.instant, column] = root_relative_pose
    return score(seen, laid_out, **options)


def views_of_pairs(pair: views.ViewPair) -> views.View:
    """Returns pairs as instants of two views, fields `[B, 2, ...]`."""
    return tf.nest.map_structure(lambda *sides: tf.stack(sides, axis=1), *pair)


def weighted_quantiles(
    values: np.ndarray, weight: np.ndarray, shares: Sequence[float]
) -> list[float]:
    """Returns the values `[N]` up to which shares of the weight `[N]` lie."""
    order = np.argsort(values)
    cumulated = np.cumsum(weight[order])
    index = np.searchsorted(cumulated, np.array(shares) * cumulated[-1])
    return [float(value) for value in values[order][np.minimum(index, len(values) - 1)]]
