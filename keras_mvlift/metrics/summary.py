"""The five numbers that a pose estimator is reported by, in the units of the papers."""

import numpy as np
import tensorflow as tf

from keras_mvlift.metrics import pck, pose_error

ERRORS = ("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm")
"""Millimeters, the lower the better."""

SHARES = ("pck_150", "auc")
"""Shares of joints times 100, the higher the better."""

NAMES = ERRORS + SHARES

# Poses measured at once: the AUC compares each joint with 31 thresholds, which for a whole test
# set at once would be gigabytes.
_BATCH_SIZE = 8192


def per_pose(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> dict[str, tf.Tensor]:
    """Measures each pose.

    Args:
        pose_true: `[..., J, 3]`, meters, any frame.
        pose_pred: `[..., J, 3]`, meters, same frame but for the root's position.

    Returns:
        `[...]` for each of `NAMES`: errors in millimeters, shares of all `J` joints times 100.

    Raises:
        ValueError: If the shapes are not the ones stated above.
    """
    errors = (pose_error.mpjpe, pose_error.n_mpjpe, pose_error.p_mpjpe)
    shares = (pck.pck, pck.pck_auc)
    values = [pose_error.MILLIMETERS_PER_METER * error(pose_true, pose_pred) for error in errors]
    values += [pck.PERCENT * share(pose_true, pose_pred) for share in shares]
    return dict(zip(NAMES, values, strict=True))


def summary(pose_true: np.ndarray, pose_pred: np.ndarray) -> dict[str, float]:
    """Measures many poses by the mean over them.

    Args:
        pose_true: `[N, J, 3]`, meters, any frame.
        pose_pred: `[N, J, 3]`, meters, same frame but for the root's position.

    Returns:
        The mean over the poses for each of `NAMES`, in its unit.

    Raises:
        ValueError: If the shapes are not the ones stated above, or there is no pose.
    """
    if len(pose_true) == 0 or len(pose_true) != len(pose_pred):
        raise ValueError(
            "`pose_true` and `pose_pred` must hold equally many poses, and at least one. "
            f"Received: {np.shape(pose_true)} and {np.shape(pose_pred)}."
        )
    batches = [
        per_pose(pose_true[start : start + _BATCH_SIZE], pose_pred[start : start + _BATCH_SIZE])
        for start in range(0, len(pose_true), _BATCH_SIZE)
    ]
    return {
        name: float(np.concatenate([batch[name] for batch in batches]).mean(dtype=np.float64))
        for name in NAMES
    }
