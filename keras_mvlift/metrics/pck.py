"""Shares of joints found within a distance: PCK, and the area under its curve.

The functions give shares in [0, 1]; the Keras metrics report them times 100, as papers print
them. A joint counts as found if it lies strictly nearer than the threshold once the roots coincide;
one that the true pose lacks, NaN in it, does not count at all.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.metrics import pose_error

PCK_THRESHOLD_MM = 150.0
"""Half a head, roughly; the choice of MPI-INF-3DHP's authors."""

AUC_THRESHOLDS_MM = tuple(np.linspace(0.0, 150.0, 31).tolist())
"""0, 5, ..., 150: the curve whose mean MPI-INF-3DHP's test code reports as the AUC."""

OFFICIAL_JOINTS = tuple(
    index
    for index, joint in enumerate(skeletons.H36M_17.joints)
    if joint not in ("pelvis", "spine", "nose")
)
"""The 14 joints of `H36M_17` that MPI-INF-3DHP's test code counts; many ports count all 17."""

PERCENT = 100.0


def pck(
    pose_true: tf.Tensor,
    pose_pred: tf.Tensor,
    threshold_mm: float = PCK_THRESHOLD_MM,
    joints: Sequence[int] | None = None,
) -> tf.Tensor:
    """Computes the share of joints that lie strictly nearer than a threshold, roots aligned.

    Args:
        pose_true: `[..., J, 3]`, meters.
        pose_pred: `[..., J, 3]`, meters.
        threshold_mm: The distance, millimeters.
        joints: Indices of the joints that count, such as `OFFICIAL_JOINTS`; None for all that
            are given, of which the root is always found.

    Returns:
        `[...]`, in [0, 1].

    Raises:
        ValueError: If the shapes are not the ones stated above, or a joint is not there.

    References:
        Mehta et al., Monocular 3D human pose estimation in the wild using improved CNN
        supervision, 3DV 2017, section 6.
    """
    found = tf.cast(_errors_mm(pose_true, pose_pred) < threshold_mm, tf.float32)
    return _mean(found, pose_true, joints)


def pck_auc(
    pose_true: tf.Tensor, pose_pred: tf.Tensor, joints: Sequence[int] | None = None
) -> tf.Tensor:
    """Computes the mean of the PCK over the thresholds 0, 5, ..., 150 mm.

    No joint is strictly nearer than 0 mm, so that a perfect pose reaches 30 / 31.

    Args:
        pose_true: `[..., J, 3]`, meters.
        pose_pred: `[..., J, 3]`, meters.
        joints: As in `pck`.

    Returns:
        `[...]`, in [0, 30 / 31].

    Raises:
        ValueError: If the shapes are not the ones stated above, or a joint is not there.

    References:
        Mehta et al., 3DV 2017, section 6.
    """
    errors = _errors_mm(pose_true, pose_pred)
    found = errors[..., tf.newaxis] < tf.constant(AUC_THRESHOLDS_MM, errors.dtype)
    return _mean(tf.reduce_mean(tf.cast(found, tf.float32), axis=-1), pose_true, joints)


@keras.saving.register_keras_serializable(package="keras_mvlift")
class PCK(keras.metrics.MeanMetricWrapper):
    """The mean of `pck` over poses, times 100.

    Args:
        threshold_mm: The distance, millimeters.
        joints: Indices of the joints that count; None for all.
        name: The name it is reported by; by default the threshold's, as in `pck_150`.
        dtype: The type it is computed in.

    Call arguments:
        y_true: `[..., J, 3]`, meters.
        y_pred: `[..., J, 3]`, meters.

    Example:
        >>> model.compile(loss="mse", metrics=[PCK(joints=OFFICIAL_JOINTS)])
    """

    def __init__(
        self,
        threshold_mm: float = PCK_THRESHOLD_MM,
        joints: Sequence[int] | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ):
        name = name or f"pck_{threshold_mm:g}"
        super().__init__(_pck_100, name, dtype, threshold_mm=threshold_mm, joints=_plain(joints))


@keras.saving.register_keras_serializable(package="keras_mvlift")
class AUC3D(keras.metrics.MeanMetricWrapper):
    """The mean of `pck_auc` over poses, times 100; otherwise as `PCK`."""

    def __init__(
        self,
        joints: Sequence[int] | None = None,
        name: str = "auc",
        dtype: str | None = None,
    ):
        super().__init__(_auc_100, name, dtype, joints=_plain(joints))


def _pck_100(
    y_true: tf.Tensor, y_pred: tf.Tensor, threshold_mm: float, joints: Sequence[int] | None
) -> tf.Tensor:
    return PERCENT * pck(y_true, y_pred, threshold_mm, joints)


def _auc_100(y_true: tf.Tensor, y_pred: tf.Tensor, joints: Sequence[int] | None) -> tf.Tensor:
    return PERCENT * pck_auc(y_true, y_pred, joints)


def _plain(joints: Sequence[int] | None) -> list[int] | None:
    return None if joints is None else [int(joint) for joint in joints]


def _errors_mm(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    return pose_error.MILLIMETERS_PER_METER * pose_error.joint_errors(pose_true, pose_pred)


def _mean(share: tf.Tensor, pose_true: tf.Tensor, joints: Sequence[int] | None) -> tf.Tensor:
    """Averages `[..., J]` over the joints that count."""
    if joints is None:
        return pose_error.mean_over_joints(share, pose_true)
    num_joints = share.shape[-1]
    if not joints or (num_joints and not all(0 <= joint < num_joints for joint in joints)):
        raise ValueError(
            f"`joints` must be one or more indices below {num_joints}. Received: {joints}."
        )
    is_known = tf.gather(pose_error.known_joints(pose_true), joints, axis=-1)
    share = tf.where(is_known, tf.gather(share, joints, axis=-1), 0.0)
    return tf.reduce_sum(share, axis=-1) / tf.reduce_sum(tf.cast(is_known, share.dtype), axis=-1)
