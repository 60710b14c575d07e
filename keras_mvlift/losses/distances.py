"""Lengths of vectors with finite gradients everywhere."""

import tensorflow as tf


def norm(vectors: tf.Tensor) -> tf.Tensor:
    """Gives the Euclidean norm `[...]` of `[..., D]`; its gradient at zero is zero, not NaN."""
    squared = tf.reduce_sum(tf.square(vectors), axis=-1)
    is_positive = squared > 0
    return tf.sqrt(tf.where(is_positive, squared, 1.0)) * tf.cast(is_positive, vectors.dtype)


def squared_norm(vectors: tf.Tensor) -> tf.Tensor:
    """Gives the squared Euclidean norm `[...]` of `[..., D]`."""
    return tf.reduce_sum(tf.square(vectors), axis=-1)


DISTANCES = {"norm": norm, "squared_norm": squared_norm}
"""The ‖·‖ of the losses by name; the paper's figures cannot tell which one it used."""
