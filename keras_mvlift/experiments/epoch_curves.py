"""The loss and the error on the test people after each epoch, for curves. Nothing learns of it."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.metrics import baselines, pose_error

# Test views, spread evenly, that are measured after each epoch.
NUM_VIEWS = 512


def indices(test: baselines.TestViews) -> np.ndarray:
    """Chooses the views that are measured after each epoch, at most `NUM_VIEWS`."""
    total = len(test.reference_pose)
    return np.unique(np.linspace(0, total - 1, min(total, NUM_VIEWS)).astype(int))


class EpochCurve(keras.callbacks.Callback):
    """Appends `stage`, `epoch`, `loss` and `mpjpe_mm` to a list after each epoch.

    Args:
        lifter: What is measured; it may be a part of the model that is trained.
        test: The test views, of which `NUM_VIEWS` are measured.
        stage: Named in each entry.
        curve: The list.
    """

    def __init__(
        self,
        lifter: keras.Model,
        test: baselines.TestViews,
        stage: str,
        curve: list[dict[str, Any]],
    ):
        super().__init__()
        index = indices(test)
        self.view = tf.nest.map_structure(lambda field: tf.constant(field[index]), test.view)
        self.pose_true = tf.constant(test.reference_pose[index])
        self.stage, self.curve = stage, curve
        self.lifter = lifter

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures."""
        pose = self.lifter(self.view, training=False).root_relative_pose
        error = tf.reduce_mean(pose_error.mpjpe(self.pose_true, pose))
        entry = {
            "stage": self.stage,
            "epoch": epoch + 1,
            "loss": float((logs or {})["loss"]),
            "mpjpe_mm": pose_error.MILLIMETERS_PER_METER * float(error),
        }
        self.curve.append(entry)
