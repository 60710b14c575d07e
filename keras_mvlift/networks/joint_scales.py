"""The network that says how far off each joint is likely to be."""

import math

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons
from keras_mvlift.networks import residual

# Meters: what every joint starts with, and between which any answer lies.
_FIRST_SCALE, _MIN_SCALE, _MAX_SCALE = 0.1, 1e-3, 3.0


def joint_scales(
    *,
    name: str,
    seed: int,
    width: int = 256,
    num_layers: int = 2,
    num_joints: int = skeletons.H36M_17.num_joints,
) -> keras.Model:
    """Builds the network: dense layers with batch norm, and a number per joint.

    Args:
        name: Of the model.
        seed: Of the initial weights.
        width: Units of each dense layer.
        num_layers: Dense layers.
        num_joints: Joints of the input.

    Returns:
        A model from rays and confidences `[B, J, 3]` to scales `[B, J]`, meters.
    """
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))
    seen = keras.Input((num_joints, 3), name="rays_and_confidence")
    x = keras.layers.Flatten()(seen)
    for _ in range(num_layers):
        start = keras.initializers.HeNormal(seed=next(seeds))
        x = keras.layers.Dense(width, kernel_initializer=start)(x)
        x = residual.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    log_scale = keras.layers.Dense(
        num_joints,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.002, seed=next(seeds)),
        bias_initializer=keras.initializers.Constant(math.log(_FIRST_SCALE)),
        dtype="float32",
        name="log_scale",
    )(x)
    return keras.Model(
        seen, keras.layers.Activation(_bounded_exp, dtype="float32")(log_scale), name=name
    )


def enlarge(network: keras.Model, factor: float) -> None:
    """Multiplies all answers of what `joint_scales` built."""
    network.get_layer("log_scale").bias.assign_add(
        tf.fill(network.output_shape[1:], math.log(factor))
    )


def _bounded_exp(log_scale: tf.Tensor) -> tf.Tensor:
    return tf.exp(tf.clip_by_value(log_scale, math.log(_MIN_SCALE), math.log(_MAX_SCALE)))
