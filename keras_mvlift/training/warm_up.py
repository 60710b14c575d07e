"""What counts in the first epochs alone."""

from typing import Any

import tensorflow as tf
from tensorflow import keras


class WarmUp(keras.callbacks.Callback):
    """Sets a variable to 1 for the first epochs and to 0 for the others, resumed ones too.

    Args:
        share: The variable.
        num_epochs: How many are the first.
    """

    def __init__(self, share: tf.Variable, num_epochs: int):
        super().__init__()
        self.share, self.num_epochs = share, num_epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets it."""
        del logs
        self.share.assign(float(epoch < self.num_epochs))
