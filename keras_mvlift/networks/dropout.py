"""Dropout whose random state is part of the checkpoint."""

from typing import Any

import tensorflow as tf
from tensorflow import keras


@keras.saving.register_keras_serializable("keras_mvlift")
class Dropout(keras.layers.Layer):
    """Drops inputs at random in training, as `keras.layers.Dropout`.

    Keras keeps the random state of its own layer out of checkpoints, so that a run that resumes
    draws other masks than one that never stopped. This one tracks its generator.

    Args:
        rate: Share of the inputs to drop, in [0, 1).
        seed: Of the masks.

    Call arguments:
        inputs: Any shape.
        training: Whether to drop.
    """

    def __init__(self, rate: float, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must lie in [0, 1). Received: rate={rate}.")
        self.rate, self.seed = rate, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the generator inside whatever distribution strategy is in scope."""
        self.generator = tf.random.Generator.from_seed(self.seed)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drops or passes on."""
        if not training or not self.rate:
            return inputs
        seed = self.generator.make_seeds(1)[:, 0]
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, seed=seed)

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        return super().get_config() | {"rate": self.rate, "seed": self.seed}
