"""Batch norm that trains by TensorFlow's fused operation, which Keras keeps for images."""

from typing import Any

import tensorflow as tf
from tensorflow import keras

# PyTorch's defaults, in which the paper was written; its momentum of 0.1 is 0.9 in Keras' words.
# Keras' own 0.99 lags behind runs of a few hundred steps: the statistics that a model is tested
# with are then not those of the weights that it has.
MOMENTUM, EPSILON = 0.9, 1e-5


@keras.saving.register_keras_serializable("keras_mvlift")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch norm over all axes but the last, in about half its time in training.

    Outside of training, and where statistics are taken over several replicas, it is Keras' own.

    Args:
        momentum: What stays of the moving statistics in a step.
        epsilon: Added to variances.
        options: Those of Keras' layer.

    Call arguments:
        inputs: `[..., C]`, of rank 2 or more.
        training: Whether to norm by the batch's statistics, and to learn from them.
    """

    def __init__(self, *, momentum: float = MOMENTUM, epsilon: float = EPSILON, **options: Any):
        super().__init__(momentum=momentum, epsilon=epsilon, **options)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the weights, and notes the shape, which Keras' own layer leaves out."""
        super().build(input_shape)
        keras.layers.Layer.build(self, input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Norms by the statistics of the batch or by those of the past."""
        if not training or self.synchronized:
            return super().call(inputs, training=training)
        # An image of one pixel for each example.
        num_channels = inputs.shape[-1]
        pixels = tf.reshape(inputs, [-1, 1, 1, num_channels])
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            pixels, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        # The operation corrects for the degree of freedom that the mean took, Keras does not.
        count = tf.cast(tf.shape(pixels)[0], variance.dtype)
        self._learn(self.moving_mean, mean)
        self._learn(self.moving_variance, variance * (count - 1.0) / count)
        return tf.reshape(outputs, tf.shape(inputs))

    def _learn(self, moving: tf.Variable, now: tf.Tensor) -> None:
        moving.assign_sub((moving - now) * (1.0 - self.momentum))
