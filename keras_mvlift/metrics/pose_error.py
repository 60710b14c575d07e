"""Mean distances between true and predicted joints: MPJPE, N-MPJPE and P-MPJPE.

The functions take and give meters; the Keras metrics, whose names end in `_mm`, report
millimeters. Every joint counts, the root too, as in Human3.6M's protocols 1 and 2; a joint that the
true pose lacks, NaN in it, does not. What is NaN in a prediction makes the error NaN.
"""

import keras
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.geometry import procrustes

MILLIMETERS_PER_METER = 1000.0


def joint_errors(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    """Measures how far each joint is off once the roots coincide.

    Args:
        pose_true: `[..., J, 3]`, meters, any frame, `skeletons.ROOT` being the root joint.
        pose_pred: `[..., J, 3]`, meters, same frame but for the root's position.

    Returns:
        `[..., J]`, meters, 0 for the root; its gradient at 0 is 0. NaN for joints that the true
        pose lacks.

    Raises:
        ValueError: If the shapes are not the ones stated above.
    """
    pose_true, pose_pred = _checked(pose_true, pose_pred)
    return _distance(_relative_to_root(pose_true), _relative_to_root(pose_pred))


def known_joints(pose_true: tf.Tensor) -> tf.Tensor:
    """Tells which joints `[..., J]` of poses `[..., J, 3]` are there: those that are not NaN.

    Relative to the root, which is to say none where the root is not.
    """
    relative = _relative_to_root(tf.convert_to_tensor(pose_true))
    return tf.reduce_all(tf.math.is_finite(relative), axis=-1)


def mean_over_joints(values: tf.Tensor, pose_true: tf.Tensor) -> tf.Tensor:
    """Averages values of joints, `[..., J]`, over those that a true pose `[..., J, 3]` has.

    Returns:
        `[...]`; NaN for a pose without joints.
    """
    is_known = known_joints(pose_true)
    total = tf.reduce_sum(tf.where(is_known, values, tf.zeros_like(values)), axis=-1)
    return total / tf.reduce_sum(tf.cast(is_known, values.dtype), axis=-1)


def mpjpe(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    """Computes the mean per-joint position error, roots aligned: protocol 1.

    Args:
        pose_true: `[..., J, 3]`, meters.
        pose_pred: `[..., J, 3]`, meters.

    Returns:
        `[...]`, meters.

    Raises:
        ValueError: If the shapes are not the ones stated above.

    References:
        Ionescu et al., Human3.6M, PAMI 2014, eq. (8).
    """
    return mean_over_joints(joint_errors(pose_true, pose_pred), pose_true)


def n_mpjpe(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    """Computes the MPJPE after the best scale about the root, and no rotation.

    The scale is the least-squares one. For a single pose the mean distance after it can exceed
    the one before it, since squares are what it minimizes.

    Args:
        pose_true: `[..., J, 3]`, meters.
        pose_pred: `[..., J, 3]`, in any unit.

    Returns:
        `[...]`, meters.

    Raises:
        ValueError: If the shapes are not the ones stated above.

    References:
        Rhodin et al., Unsupervised geometry-aware representation for 3D human pose estimation,
        ECCV 2018.
    """
    pose_true, pose_pred = _checked(pose_true, pose_pred)
    pose_true, pose_pred = _relative_to_root(pose_true), _relative_to_root(pose_pred)
    is_known = known_joints(pose_true)[..., tf.newaxis]
    true, pred = (tf.where(is_known, x, tf.zeros_like(x)) for x in (pose_true, pose_pred))
    return mean_over_joints(_distance(true, procrustes.align_scale(pred, true)), pose_true)


def p_mpjpe(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    """Computes the MPJPE after the best rotation, translation and scale: protocol 2.

    Args:
        pose_true: `[..., J, 3]`, meters.
        pose_pred: `[..., J, 3]`, in any unit and frame.

    Returns:
        `[...]`, meters.

    Raises:
        ValueError: If the shapes are not the ones stated above.

    References:
        Martinez et al., A simple yet effective baseline for 3D human pose estimation, ICCV 2017.
    """
    pose_true, pose_pred = _checked(pose_true, pose_pred)
    is_known = known_joints(pose_true)
    true, pred = (
        tf.where(is_known[..., tf.newaxis], x, tf.zeros_like(x)) for x in (pose_true, pose_pred)
    )
    aligned = procrustes.align(pred, true, tf.cast(is_known, pred.dtype))
    return mean_over_joints(_distance(true, aligned), pose_true)


@keras.saving.register_keras_serializable(package="keras_mvlift")
class MPJPE(keras.metrics.MeanMetricWrapper):
    """The mean of `mpjpe` over poses, in millimeters.

    Args:
        name: The name it is reported by.
        dtype: The type it is computed in.

    Call arguments:
        y_true: `[..., J, 3]`, meters.
        y_pred: `[..., J, 3]`, meters.

    Example:
        >>> model.compile(loss="mse", metrics=[MPJPE()])
    """

    def __init__(self, name: str = "mpjpe_mm", dtype: str | None = None):
        super().__init__(_mpjpe_mm, name=name, dtype=dtype)


@keras.saving.register_keras_serializable(package="keras_mvlift")
class NMPJPE(keras.metrics.MeanMetricWrapper):
    """The mean of `n_mpjpe` over poses, in millimeters; otherwise as `MPJPE`."""

    def __init__(self, name: str = "n_mpjpe_mm", dtype: str | None = None):
        super().__init__(_n_mpjpe_mm, name=name, dtype=dtype)


@keras.saving.register_keras_serializable(package="keras_mvlift")
class PMPJPE(keras.metrics.MeanMetricWrapper):
    """The mean of `p_mpjpe` over poses, in millimeters; otherwise as `MPJPE`."""

    def __init__(self, name: str = "p_mpjpe_mm", dtype: str | None = None):
        super().__init__(_p_mpjpe_mm, name=name, dtype=dtype)


def _mpjpe_mm(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return MILLIMETERS_PER_METER * mpjpe(y_true, y_pred)


def _n_mpjpe_mm(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return MILLIMETERS_PER_METER * n_mpjpe(y_true, y_pred)


def _p_mpjpe_mm(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return MILLIMETERS_PER_METER * p_mpjpe(y_true, y_pred)


def _checked(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    pose_pred = tf.convert_to_tensor(pose_pred)
    pose_true = tf.cast(pose_true, pose_pred.dtype)
    rule = (
        "`pose_true` and `pose_pred` must have the same shape [..., J, 3]. "
        f"Received: {pose_true.shape} and {pose_pred.shape}."
    )
    # Leading axes that broadcast would silently compare every pose with every other.
    if not pose_true.shape.is_compatible_with(pose_pred.shape):
        raise ValueError(rule)
    tf.debugging.assert_shapes(
        [(pose_true, (..., "J", 3)), (pose_pred, (..., "J", 3))], message=rule
    )
    return pose_true, pose_pred


def _relative_to_root(pose: tf.Tensor) -> tf.Tensor:
    return pose - pose[..., skeletons.ROOT : skeletons.ROOT + 1, :]


def _distance(points: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    squared = tf.reduce_sum(tf.square(points - others), axis=-1)
    # The square root has no finite gradient at zero, and the root joint is always there. The mask
    # picks out the zeros, not the positive numbers, so that NaN stays NaN.
    is_zero = tf.equal(squared, 0)
    length = tf.sqrt(tf.where(is_zero, tf.ones_like(squared), squared))
    return tf.where(is_zero, tf.zeros_like(squared), length)
