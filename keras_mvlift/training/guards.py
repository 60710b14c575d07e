"""Stops a stage whose loss is no longer a number."""

from typing import Any

import numpy as np
from tensorflow import keras


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises at the first step whose loss is not finite.

    Args:
        stage: Named in the error.
    """

    def __init__(self, stage: str):
        super().__init__()
        self.stage = stage

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the epoch for the error."""
        del logs
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """Checks.

        Raises:
            NonFiniteLossError: If the mean loss of the epoch so far is not finite.
        """
        if not np.isfinite(logs["loss"]):
            raise NonFiniteLossError(
                f"{self.stage}: the loss must be finite. Received: {logs['loss']} at step "
                f"{batch + 1} of epoch {self.epoch + 1}. A lower learning rate or clip_norm, or "
                "a recipe with a bounded root (ray_root, solved_root), may help."
            )
