"""Lengths of vectors with finite gradients everywhere."""

import tensorflow as tf


def norm(vectors: tf.Tensor) -> tf.Tensor:
    """Gives the Euclidean norm `[...]` of `[..., D]`; its gradient at zero is zero, not NaN."""
    squared = tf.reduce_sum(tf.square(vectors), axis=-1)
    # Zeros are masked, not what is no positive number: NaN must stay NaN, so that it is noticed.
    is_zero = tf.equal(squared, 0)
    length = tf.sqrt(tf.where(is_zero, tf.ones_like(squared), squared))
    return tf.where(is_zero, tf.zeros_like(squared), length)


def squared_norm(vectors: tf.Tensor) -> tf.Tensor:
    """Gives the squared Euclidean norm `[...]` of `[..., D]`."""
    return tf.reduce_sum(tf.square(vectors), axis=-1)


DISTANCES = {"norm": norm, "squared_norm": squared_norm}
"""The ‖·‖ of the losses by name; the paper's figures cannot tell which one it used."""
