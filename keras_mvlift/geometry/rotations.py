"""Rotations of points by matrices of any batch shape."""

import tensorflow as tf

from keras_mvlift.geometry import graphics

_SMALL_SQUARED_ANGLE = 1e-6


def rotate(points: tf.Tensor, rotation: tf.Tensor) -> tf.Tensor:
    """Rotates sets of points, one matrix per set.

    Args:
        points: `[..., J, 3]`, any unit.
        rotation: `[..., 3, 3]`, broadcastable to the leading axes of `points`.

    Returns:
        `[..., J, 3]`, `rotation @ point` for each point.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.
    """
    points = tf.convert_to_tensor(points)
    rotation = tf.convert_to_tensor(rotation, dtype=points.dtype)
    _check_trailing(points, rotation)
    # Without an axis for the joints, a batch of J matrices would silently broadcast over them.
    rotation = rotation[..., tf.newaxis, :, :]
    if points.shape.is_fully_defined() and rotation.shape.is_fully_defined():
        return graphics.rotation_matrix_3d.rotate(points, rotation)
    # tensorflow_graphics compares batch shapes statically and refuses unknown ones.
    return tf.linalg.matvec(rotation, points)


def from_axis_angle(axis: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Makes rotation matrices from axes and angles.

    Args:
        axis: `[..., 3]`, unit vectors.
        angle: `[...]`, radians, counter-clockwise seen against the axis.

    Returns:
        `[..., 3, 3]`.
    """
    axis = tf.convert_to_tensor(axis)
    angle = tf.convert_to_tensor(angle, dtype=axis.dtype)
    return graphics.rotation_matrix_3d.from_axis_angle(axis, angle[..., tf.newaxis])


def from_rotation_vector(vector: tf.Tensor) -> tf.Tensor:
    """Makes rotation matrices from axes times angles, with finite gradients at no rotation too.

    Args:
        vector: `[..., 3]`, radians.

    Returns:
        `[..., 3, 3]`.
    """
    vector = tf.convert_to_tensor(vector)
    squared = tf.reduce_sum(tf.square(vector), axis=-1)[..., tf.newaxis, tf.newaxis]
    is_small = squared < _SMALL_SQUARED_ANGLE
    # The root's gradient at zero is infinite; there the first terms of the series are exact.
    angle = tf.sqrt(tf.where(is_small, tf.ones_like(squared), squared))
    first = tf.where(is_small, 1 - squared / 6, tf.sin(angle) / angle)
    second = tf.where(is_small, 0.5 - squared / 24, (1 - tf.cos(angle)) / tf.square(angle))
    x, y, z = tf.unstack(vector, axis=-1)
    zero = tf.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    cross = tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)
    return tf.eye(3, dtype=vector.dtype) + first * cross + second * tf.linalg.matmul(cross, cross)


def inverse(rotation: tf.Tensor) -> tf.Tensor:
    """Inverts rotation matrices `[..., 3, 3]`, which transposes them."""
    return tf.linalg.matrix_transpose(rotation)


def _check_trailing(points: tf.Tensor, rotation: tf.Tensor) -> None:
    if points.shape.rank is not None and (points.shape.rank < 2 or points.shape[-1] != 3):
        raise ValueError(f"`points` must have shape [..., J, 3]. Received: {points.shape}.")
    if rotation.shape.rank is not None and rotation.shape[-2:] != (3, 3):
        raise ValueError(f"`rotation` must have shape [..., 3, 3]. Received: {rotation.shape}.")
