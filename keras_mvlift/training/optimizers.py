"""The optimizer of a stage, and the guard that stops where the loss is not finite."""

import contextlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
from tensorflow import keras

from keras_mvlift import configs


def build(config: configs.StageConfig, steps_per_epoch: int) -> keras.optimizers.legacy.Optimizer:
    """Builds Adam with the paper's staircase, clipped and averaged as the config says.

    The moving average of the weights is tensorflow-addons': it keeps its averages in optimizer
    slots, which go into the checkpoint, and works only around Keras' legacy optimizers.

    Args:
        config: The stage's settings.
        steps_per_epoch: Steps per epoch.

    Raises:
        ValueError: If weights are to be averaged without tensorflow-addons, as from Python 3.12 on.
        ModuleNotFoundError: If Keras 3 is installed without tf_keras.
    """
    if importlib.metadata.version("keras") >= "3" and not importlib.util.find_spec("tf_keras"):
        raise ModuleNotFoundError("`tf_keras` must be installed beside Keras 3", name="tf_keras")
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = config.learning_rate
    if config.decay_every:
        learning_rate = keras.optimizers.schedules.ExponentialDecay(
            config.learning_rate,
            decay_steps=config.decay_every * steps_per_epoch,
            decay_rate=config.decay_rate,
            staircase=True,
        )
    clip_norm = config.clip_norm or None
    adam = keras.optimizers.legacy.Adam(learning_rate, global_clipnorm=clip_norm)
    if not config.weight_averaging:
        return adam
    if not importlib.util.find_spec("tensorflow_addons"):
        rule = "be 0 without tensorflow-addons, which ended with Python 3.11"
        raise ValueError(f"`weight_averaging` must {rule}. Received: {config.weight_averaging}.")
    import tensorflow_addons as tfa

    # The wrapper hands Adam gradients that Adam no longer clips, so it clips them itself.
    return tfa.optimizers.MovingAverage(
        adam, config.weight_averaging, dynamic_decay=True, global_clipnorm=clip_norm
    )


def prepare(model: keras.Model) -> None:
    """Makes what an optimizer remembers of each weight, before the first step would.

    A step in which variables are made is traced twice, and a stage that was killed behind its last
    epoch takes none, so that a strategy would not restore them.
    """
    model.optimizer._create_all_weights(model.trainable_variables)


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Lends a model in training the average of its weights, if its optimizer keeps one."""
    if not hasattr(model.optimizer, "assign_average_vars"):
        yield
        return
    own = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.assign_average_vars(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)


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
