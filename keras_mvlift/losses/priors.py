"""What is true of any body: both sides are alike, and bones keep their lengths. No 3D data.

Each prior alone is content with a body of no size; they only make sense beside a loss that knows
the scale, such as the reprojection into a second view.
"""

import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.losses import distances


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
    return distances.norm(tf.gather(pose, children, axis=-2) - tf.gather(pose, parents, axis=-2))


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
    return distances.squared_norm(lengths - tf.gather(means, index))


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
    return distances.squared_norm(tf.where(expected > 0, difference, tf.zeros_like(difference)))


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
