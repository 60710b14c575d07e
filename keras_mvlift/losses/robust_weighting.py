"""Weights that fall with the reprojection error."""

import tensorflow as tf

from keras_mvlift.geometry import robust_triangulation

# The median length of a vector of two standard normal numbers.
_MEDIAN_LENGTH = 1.1774


# AutoGraph has nothing to do here, and warns of the kernels, which it cannot tell apart.
@tf.autograph.experimental.do_not_convert
def weights(
    errors: tf.Tensor, confidence: tf.Tensor, kernel: str = "cauchy", scale_px: float = 0.0
) -> tf.Tensor:
    """Weighs the joints of an instant by their errors, as iteratively re-weighted least squares do.

    Args:
        errors: `[..., V, J]`, pixels.
        confidence: `[..., V, J]`; 0 for an error that tells nothing of the scale.
        kernel: A name of `robust_triangulation.KERNELS`.
        scale_px: Errors much larger than this count for little; 0 for the kernel's width times the
            standard deviation that an instant's median error means, one for all its joints.

    Returns:
        `[..., V, J]`, in (0, 1], the factor on squared errors. No gradient goes through it.
    """
    chosen = robust_triangulation.KERNELS[kernel]
    errors = tf.stop_gradient(tf.convert_to_tensor(errors))
    scale = tf.cast(scale_px, errors.dtype)
    if not scale_px:
        deviation = _median(errors, confidence > 0) / _MEDIAN_LENGTH
        scale = chosen.width * tf.maximum(deviation, robust_triangulation.MIN_DEVIATION_PX)
    return chosen.weight(tf.square(errors / scale))


def _median(errors: tf.Tensor, is_used: tf.Tensor) -> tf.Tensor:
    """Gives the lower median over views and joints, `[..., 1, 1]`; 0 of no errors."""
    count = tf.math.count_nonzero(is_used, axis=[-2, -1])
    # Those that are not used come last.
    flat = tf.where(is_used, errors, tf.fill(tf.shape(errors), errors.dtype.max))
    flat = tf.reshape(flat, tf.concat([tf.shape(count), [-1]], axis=0))
    middle = tf.maximum(count - 1, 0)[..., tf.newaxis] // 2
    median = tf.gather(tf.sort(flat, axis=-1), middle, axis=-1, batch_dims=-1)
    median = tf.where(count[..., tf.newaxis] > 0, median, tf.zeros_like(median))
    return median[..., tf.newaxis]
