"""Which confidence weights a joint's error in the other view.

Eq. (5) as printed takes the confidence of the view that the pose was lifted from. Whatever the
choice, a joint that the other view did not see has no error there.
"""

import tensorflow as tf


def source(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights by the confidence in the view lifted from, as printed; all `[..., J]`."""
    return tf.where(compared_with > 0, lifted_from, tf.zeros_like(lifted_from))


def target(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights by the confidence in the view compared with."""
    del lifted_from
    return compared_with


def product(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights by both."""
    return lifted_from * compared_with


def none(lifted_from: tf.Tensor, compared_with: tf.Tensor) -> tf.Tensor:
    """Weights every joint seen there by one."""
    del lifted_from
    return tf.cast(compared_with > 0, compared_with.dtype)


WEIGHTINGS = {"source": source, "target": target, "product": product, "none": none}
