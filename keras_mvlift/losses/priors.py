"""What is true of any body: both sides are alike, and bones keep their lengths. No 3D data.

Each prior alone is content with a body of no size; they only make sense beside a loss that knows
the scale, such as the reprojection into a second view.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import reprojection


def bone_lengths(pose: tf.Tensor, skeleton: skeletons.Skeleton = skeletons.H36M_17) -> tf.Tensor:
    """Measures the bones.

    Args:
        pose: `[..., J, 3]`, meters, any frame.
        skeleton: The joints, with their bones.

    Returns:
        `[..., K]`, meters, in the order of `skeleton.bones`; the gradient of a bone without
        length is zero.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.
    """
    tf.debugging.assert_shapes(
        [(pose, (..., skeleton.num_joints, 3))], message="priors.bone_lengths"
    )
    parents, children = zip(*skeleton.bones, strict=True)
    return reprojection.norm(tf.gather(pose, children, axis=-2) - tf.gather(pose, parents, axis=-2))


def symmetry(pose: tf.Tensor, skeleton: skeletons.Skeleton = skeletons.H36M_17) -> tf.Tensor:
    """Sums how much each bone of the left side differs in length from its mirror image.

    Args:
        pose: `[..., J, 3]`, meters, any frame.
        skeleton: The joints, with their bones and sides.

    Returns:
        `[...]`, meters.
    """
    children = [child for _, child in skeleton.bones]
    sides = zip(skeleton.left, skeleton.right, strict=True)
    mirrored = [pair for pair in sides if set(pair) <= set(children)]
    left, right = zip(*(map(children.index, pair) for pair in mirrored), strict=True)
    lengths = bone_lengths(pose, skeleton)
    differences = tf.gather(lengths, left, axis=-1) - tf.gather(lengths, right, axis=-1)
    return tf.reduce_sum(tf.abs(differences), axis=-1)


def variation(
    pose: tf.Tensor, subject: tf.Tensor, skeleton: skeletons.Skeleton = skeletons.H36M_17
) -> tf.Tensor:
    """Sums the squared differences of each bone from its subject's mean within the batch.

    The mean over a batch with one subject is the sum of its bones' variances.

    Args:
        pose: `[B, J, 3]`, meters, any frame.
        subject: `[B]`, integers or strings that tell the subjects apart.
        skeleton: The joints, with their bones.

    Returns:
        `[B]`, square meters; zero for a subject who is seen once.
    """
    lengths = bone_lengths(pose, skeleton)
    names, index = tf.unique(subject)
    means = tf.math.unsorted_segment_mean(lengths, index, tf.size(names))
    return reprojection.squared_norm(lengths - tf.gather(means, index))


def deviation(
    pose: tf.Tensor, expected_lengths: tf.Tensor, skeleton: skeletons.Skeleton = skeletons.H36M_17
) -> tf.Tensor:
    """Sums the squared differences of each bone from the length that is expected of it.

    Args:
        pose: `[..., J, 3]`, meters, any frame.
        expected_lengths: `[..., K]`, meters; 0 where not known, which costs nothing. No gradient
            goes there.
        skeleton: The joints, with their bones.

    Returns:
        `[...]`, square meters.
    """
    lengths = bone_lengths(pose, skeleton)
    expected = tf.stop_gradient(tf.convert_to_tensor(expected_lengths, lengths.dtype))
    difference = lengths - expected
    return reprojection.squared_norm(tf.where(expected > 0, difference, tf.zeros_like(difference)))


def running_means(
    mean_lengths: tf.Tensor, lengths: tf.Tensor, subject: tf.Tensor, momentum: float
) -> tf.Tensor:
    """Moves the mean lengths of the subjects of a batch towards what the batch says.

    Args:
        mean_lengths: `[S, K]`, meters, per subject so far; 0 where nothing is known yet.
        lengths: `[B, K]`, meters, of the batch.
        subject: `[B]`, integers in [0, S).
        momentum: What stays of the mean so far, in [0, 1).

    Returns:
        `[S, K]`: unchanged for subjects not in the batch, the batch's own mean for those seen for
        the first time.

    Raises:
        ValueError: If `momentum` is not in [0, 1).
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"`momentum` must lie in [0, 1). Received: momentum={momentum}.")
    lengths = tf.convert_to_tensor(lengths)
    mean_lengths = tf.convert_to_tensor(mean_lengths, lengths.dtype)
    num_subjects = tf.shape(mean_lengths)[0]
    means = tf.math.unsorted_segment_mean(lengths, subject, num_subjects)
    ones = tf.ones_like(lengths[:, :1])
    is_seen = tf.math.unsorted_segment_sum(ones, subject, num_subjects) > 0
    moved = tf.where(mean_lengths > 0, momentum * mean_lengths + (1 - momentum) * means, means)
    return tf.where(is_seen, moved, mean_lengths)


# A lifted pose against points that were triangulated from all views of its instant.


class TriangulatedTarget(NamedTuple):
    """What triangulation says of a pose. No gradient goes there.

    Attributes:
        pose_camera: `[..., J, 3]`, meters, camera frame; 0 where not known.
        is_known: `[..., J]`, whether the joint's place is.
    """

    pose_camera: tf.Tensor
    is_known: tf.Tensor


def triangulated_target(
    points: tf.Tensor, is_known: tf.Tensor, camera: cameras.Camera
) -> TriangulatedTarget:
    """Moves triangulated points into the frame of a camera.

    Args:
        points: `[..., J, 3]`, meters, world frame.
        is_known: `[..., J]`.
        camera: Fields `[..., ...]`.
    """
    pose = tf.stop_gradient(cameras.camera_from_world(points, camera))
    return TriangulatedTarget(
        tf.where(is_known[..., tf.newaxis], pose, tf.zeros_like(pose)), is_known
    )


def triangulated_pose_loss(
    root_relative_pose: tf.Tensor, expected: TriangulatedTarget
) -> tf.Tensor:
    """Sums the distances to the joints that are known, the pose being where it fits them best.

    The root's position is solved for in closed form: where the known joints of both have the same
    mean. A pose that is put at the triangulated root instead would learn the error of that one
    point in all joints.

    Args:
        root_relative_pose: `[..., J, 3]`, meters, camera axes.
        expected: The triangulated pose.

    Returns:
        `[...]`, meters.
    """
    weight = tf.cast(expected.is_known, root_relative_pose.dtype)[..., tf.newaxis]
    error = weight * (expected.pose_camera - root_relative_pose)
    count = tf.reduce_sum(weight, axis=-2, keepdims=True)
    root_position = tf.math.divide_no_nan(tf.reduce_sum(error, axis=-2, keepdims=True), count)
    return tf.reduce_sum(reprojection.norm(error - weight * root_position), axis=-1)


def triangulated_bone_loss(
    root_relative_pose: tf.Tensor,
    expected: TriangulatedTarget,
    skeleton: skeletons.Skeleton = skeletons.H36M_17,
) -> tf.Tensor:
    """Sums the differences from the triangulated bones' lengths, whatever their directions.

    A bone is as long as its mirror image, so that the mean of both is expected of either.

    Args:
        root_relative_pose: `[..., J, 3]`, meters.
        expected: The triangulated pose.
        skeleton: The joints, with their bones and sides.

    Returns:
        `[...]`, meters.
    """
    length, is_known = _expected_lengths(expected, skeleton)
    difference = tf.abs(bone_lengths(root_relative_pose, skeleton) - length)
    return tf.reduce_sum(tf.where(is_known, difference, tf.zeros_like(difference)), axis=-1)


def _expected_lengths(
    expected: TriangulatedTarget, skeleton: skeletons.Skeleton
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each bone's length and whether it is known, `[..., K]`."""
    parents, children = zip(*skeleton.bones, strict=True)
    lengths = bone_lengths(expected.pose_camera, skeleton)
    is_known = tf.gather(expected.is_known, children, axis=-1)
    is_known &= tf.gather(expected.is_known, parents, axis=-1)
    images = skeletons.mirror_images(skeleton.joints)
    # A bone is told by the joint it leads to.
    order = [children.index(images[child]) for child in children]
    weight = tf.cast(is_known, lengths.dtype)
    total = weight * lengths + tf.gather(weight * lengths, order, axis=-1)
    count = weight + tf.gather(weight, order, axis=-1)
    return tf.math.divide_no_nan(total, count), count > 0
