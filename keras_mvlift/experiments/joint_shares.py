"""PCK and AUC as MPI-INF-3DHP's test code counts them, over 14 of the 17 joints."""

import numpy as np

from keras_mvlift.metrics import pose_error

NAMES = ("pck_150_14", "auc_14")
"""Shares of the joints `pck.OFFICIAL_JOINTS` times 100, the higher the better."""

# The AUC compares each joint with 31 thresholds: as many poses at once take some 14 MB.
_BATCH_SIZE = 8192


def measure(pose_true: np.ndarray, pose_pred: np.ndarray) -> dict[str, float]:
    """Gives the means over poses.

    Args:
        pose_true: `[N, 17, 3]`, meters, any frame.
        pose_pred: `[N, 17, 3]`, meters, same frame but for the root's position.

    Returns:
        A figure for each of `NAMES`.
    """
    shares = [
        [
            share(pose_true[start:end], pose_pred[start:end], joints=pose_error.OFFICIAL_JOINTS)
            for share in (pose_error.pck, pose_error.pck_auc)
        ]
        for start, end in (
            (start, start + _BATCH_SIZE) for start in range(0, len(pose_true), _BATCH_SIZE)
        )
    ]
    columns = (np.concatenate(column) for column in zip(*shares, strict=True))
    return {
        name: pose_error.PERCENT * float(column.mean(dtype=np.float64))
        for name, column in zip(NAMES, columns, strict=True)
    }
