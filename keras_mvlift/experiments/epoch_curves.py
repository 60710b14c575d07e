"""The loss and the error on the test people after each epoch, for curves. Nothing learns of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.metrics import baselines, pose_error

# Test views, spread evenly, that are measured after each epoch.
NUM_VIEWS = 512
ERROR = "test_mpjpe_mm"
"""The name of the error in the logs."""


def indices(test: baselines.TestViews) -> np.ndarray:
    """Chooses the views that are measured after each epoch, at most `NUM_VIEWS`."""
    total = len(test.reference_pose)
    return np.unique(np.linspace(0, total - 1, min(total, NUM_VIEWS)).astype(int))


class EpochCurve(keras.callbacks.Callback):
    """Adds the error of a lifter, as `ERROR`, to the logs of each epoch.

    Args:
        lifter: What is measured; it may be a part of the model that is trained.
        test: The test views, of which `NUM_VIEWS` are measured.
    """

    def __init__(self, lifter: keras.Model, test: baselines.TestViews):
        super().__init__()
        index = indices(test)
        self.view = tf.nest.map_structure(lambda field: tf.constant(field[index]), test.view)
        self.pose_true = tf.constant(test.reference_pose[index])
        self.lifter = lifter

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures."""
        del epoch
        pose = self.lifter(self.view, training=False).root_relative_pose
        error = tf.reduce_mean(pose_error.mpjpe(self.pose_true, pose))
        if logs is not None:
            logs[ERROR] = pose_error.MILLIMETERS_PER_METER * float(error)


def entries(stage: str, history: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Turns the history of a stage into entries of a curve.

    Args:
        stage: Named in each entry.
        history: What `stages.history` gives of a stage that `EpochCurve` watched.

    Returns:
        For each epoch `stage`, `epoch` from 1, `loss` and `mpjpe_mm`.
    """
    return [
        {
            "stage": stage,
            "epoch": int(row["epoch"]) + 1,
            "loss": row["loss"],
            "mpjpe_mm": row[ERROR],
        }
        for row in history
    ]
