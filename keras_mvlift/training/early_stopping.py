"""Ends a stage when held-out views are no longer explained better, and keeps its best epoch."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.training import held_out_callback, lifters, multi_view_lifter, optimizers

MONITOR = "val_held_out_mean_mm"
"""The mean ranks models more as their true errors do than the median; docs tell by how much."""


class BestEpoch(held_out_callback.HeldOutViews):
    """Scores each epoch without labels, stops when the score is stuck, and keeps the best weights.

    Unlike Keras' own early stopping, what it knows are variables, to go into the checkpoints of a
    stage: one that was killed ends in the epoch, and with the weights, of an unbroken one. Where
    weights are averaged, the averages are what is scored and kept.

    Args:
        seen: All views of some held-out instants, fields `[T, V, ...]`, in memory.
        lifter: The model that is trained.
        patience: Epochs without a better score after which training ends.

    Attributes:
        state: Variables by name: the best `score`, its `epoch` (-1 before any) and its `weights`.
    """

    def __init__(self, seen: views.View, lifter: multi_view_lifter.MultiViewLifter, patience: int):
        super().__init__(seen, lifter)
        self.trained = lifter
        self.patience = patience
        self.state = {
            "score": tf.Variable(np.inf, trainable=False, dtype=tf.float64),
            "epoch": tf.Variable(-1, trainable=False, dtype=tf.int64),
            "weights": [tf.Variable(x, trainable=False) for x in lifters.weights_of(lifter)],
        }

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures, and stops if it is time."""
        logs = {} if logs is None else logs
        with optimizers.averaged(self.trained):
            super().on_epoch_end(epoch, logs)
            if logs[MONITOR] < self.state["score"].numpy():
                self.state["score"].assign(logs[MONITOR])
                self.state["epoch"].assign(epoch)
                self._assign(self.state["weights"], lifters.weights_of(self.trained))
        self.model.stop_training = self.is_done(epoch + 1)

    def is_done(self, epochs_done: int) -> bool:
        """Tells whether a stage has trained long enough."""
        best = int(self.state["epoch"].numpy())
        return best >= 0 and epochs_done - 1 - best >= self.patience

    def restore(self) -> None:
        """Gives the model the weights of the best epoch, if there was any."""
        if int(self.state["epoch"].numpy()) >= 0:
            self._assign(lifters.weights_of(self.trained), self.state["weights"])

    @staticmethod
    def _assign(variables: list[tf.Variable], values: list[tf.Variable]) -> None:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
