"""Medians of those errors of an instant that say something, and what they say of the noise."""

import tensorflow as tf

MEDIAN_LENGTH = 1.1774
"""The median length of a vector of two standard normal numbers."""


def median(values: tf.Tensor, is_used: tf.Tensor) -> tf.Tensor:
    """Finds the lower median over views and joints.

    Args:
        values: `[..., V, J]`, any unit.
        is_used: `[..., V, J]`, which of them count.

    Returns:
        `[..., 1, 1]`; 0 where none counts.
    """
    count = tf.math.count_nonzero(is_used, axis=[-2, -1])
    # Those that are not used come last.
    flat = tf.where(is_used, values, tf.fill(tf.shape(values), values.dtype.max))
    flat = tf.reshape(flat, tf.concat([tf.shape(count), [-1]], axis=0))
    middle = tf.maximum(count - 1, 0)[..., tf.newaxis] // 2
    found = tf.gather(tf.sort(flat, axis=-1), middle, axis=-1, batch_dims=-1)
    found = tf.where(count[..., tf.newaxis] > 0, found, tf.zeros_like(found))
    return found[..., tf.newaxis]
