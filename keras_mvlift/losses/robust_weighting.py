"""Weights that fall with the reprojection error."""

import tensorflow as tf

from keras_mvlift.geometry import medians, robust_triangulation


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
        deviation = medians.median(errors, confidence > 0) / medians.MEDIAN_LENGTH
        scale = chosen.width * tf.maximum(deviation, robust_triangulation.MIN_DEVIATION_PX)
    return chosen.weight(tf.square(errors / scale))
