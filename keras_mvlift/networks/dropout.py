"""Dropout whose random state is part of the checkpoint."""

from typing import Any

import tensorflow as tf
from tensorflow import keras

# Values of a byte.
_NUM_BYTES = 256


@keras.saving.register_keras_serializable("keras_mvlift")
class Dropout(keras.layers.Layer):
    """Drops inputs at random in training, as `keras.layers.Dropout`.

    Keras keeps the random state of its own layer out of checkpoints, so that a run that resumes
    draws other masks than one that never stopped. This one tracks its generator. It also draws
    a byte for each input, or two, where Keras draws four: random numbers are most of its time. So a
    rate is met to the 65,536th, and what is left is scaled by the rate that is.

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
        draws, num_values = self._draw(tf.shape(inputs), seed)
        num_dropped = min(max(round(self.rate * num_values), 1), num_values - 1)
        scale = tf.constant(num_values / (num_values - num_dropped), inputs.dtype)
        return inputs * (tf.cast(draws >= num_dropped, inputs.dtype) * scale)

    def _draw(self, shape: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, int]:
        """Draws whole numbers, all of so many values equally likely."""
        dtype = tf.uint8 if (self.rate * _NUM_BYTES).is_integer() else tf.uint16
        num_words = -(-shape[-1] * dtype.size // tf.uint32.size)
        words_shape = tf.concat([shape[:-1], [num_words]], axis=0)
        words = tf.random.stateless_uniform(
            words_shape, seed, minval=None, maxval=None, dtype=tf.uint32
        )
        # Each word becomes an axis of its parts.
        parts = tf.reshape(tf.bitcast(words, dtype), tf.concat([shape[:-1], [-1]], axis=0))
        return parts[..., : shape[-1]], dtype.max + 1

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        return super().get_config() | {"rate": self.rate, "seed": self.seed}
