"""A lifted pose against points that were triangulated from all views of its instant."""

from typing import NamedTuple

import tensorflow as tf

from keras_mvlift import mirror_images, skeletons
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import distances, priors


class Target(NamedTuple):
    """What triangulation says of a pose. No gradient goes there.

    Attributes:
        pose_camera: `[..., J, 3]`, meters, camera frame; 0 where not known.
        is_known: `[..., J]`, whether the joint's place is.
    """

    pose_camera: tf.Tensor
    is_known: tf.Tensor


def target(points: tf.Tensor, is_known: tf.Tensor, camera: cameras.Camera) -> Target:
    """Moves triangulated points into the frame of a camera.

    Args:
        points: `[..., J, 3]`, meters, world frame.
        is_known: `[..., J]`.
        camera: Fields `[..., ...]`.
    """
    pose = tf.stop_gradient(cameras.camera_from_world(points, camera))
    return Target(tf.where(is_known[..., tf.newaxis], pose, tf.zeros_like(pose)), is_known)


def pose_loss(root_relative_pose: tf.Tensor, expected: Target) -> tf.Tensor:
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
    return tf.reduce_sum(distances.norm(error - weight * root_position), axis=-1)


def bone_loss(
    root_relative_pose: tf.Tensor,
    expected: Target,
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
    difference = tf.abs(priors.bone_lengths(root_relative_pose, skeleton) - length)
    return tf.reduce_sum(tf.where(is_known, difference, tf.zeros_like(difference)), axis=-1)


def _expected_lengths(
    expected: Target, skeleton: skeletons.Skeleton
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives each bone's length and whether it is known, `[..., K]`."""
    parents, children = zip(*skeleton.bones, strict=True)
    lengths = priors.bone_lengths(expected.pose_camera, skeleton)
    is_known = tf.gather(expected.is_known, children, axis=-1)
    is_known &= tf.gather(expected.is_known, parents, axis=-1)
    images = mirror_images.of(skeleton.joints)
    # A bone is told by the joint it leads to.
    order = [children.index(images[child]) for child in children]
    weight = tf.cast(is_known, lengths.dtype)
    total = weight * lengths + tf.gather(weight * lengths, order, axis=-1)
    count = weight + tf.gather(weight, order, axis=-1)
    return tf.math.divide_no_nan(total, count), count > 0
