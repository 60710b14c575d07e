"""The residual backbone of the paper and of Martinez et al."""

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons
from keras_mvlift.networks import batch_norm
from keras_mvlift.networks import dropout as dropouts

# BatchNorm networks with Keras' usual output initialization start meters away from any pose.
OUTPUT_STDDEV = 0.002


def residual(
    num_outputs: int,
    *,
    name: str,
    seed: int,
    width: int = 1024,
    num_blocks: int = 4,
    layers_per_block: int = 2,
    dropout: float = 0.25,
    initializer: str = "he_normal",
    output_stddev: float = OUTPUT_STDDEV,
    num_joints: int = skeletons.H36M_17.num_joints,
) -> keras.Model:
    """Builds the network: a dense layer, residual blocks, a linear layer.

    Args:
        num_outputs: Numbers it gives per view.
        name: Of the model.
        seed: Of the initial weights and of the dropout masks.
        width: Units of each dense layer.
        num_blocks: Residual blocks; the paper has 4, ResLinear 2.
        layers_per_block: Dense layers per block, each with batch norm, ReLU and dropout.
        dropout: Share of units dropped in training.
        initializer: Keras' name of the dense layers' initialization.
        output_stddev: Standard deviation of the output layer's weights at the start.
        num_joints: Joints of the input.

    Returns:
        A model from joints `[B, J, 2]`, such as rays, to `[B, num_outputs]`.

    References:
        Li et al., section "Network"; Martinez et al., A simple yet effective baseline for 3d
        human pose estimation, ICCV 2017.
    """
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def dense_layer(x: tf.Tensor, dtype: str | None = None) -> tf.Tensor:
        start = initial(initializer, next(seeds))
        x = keras.layers.Dense(width, kernel_initializer=start, dtype=dtype)(x)
        x = batch_norm.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
        return dropouts.Dropout(dropout, seed=next(seeds))(x)

    joints = keras.Input((num_joints, 2), name="joints")
    # In half precision a joint would be seen a pixel off.
    x = dense_layer(keras.layers.Flatten(dtype="float32")(joints), dtype="float32")
    for _ in range(num_blocks):
        shortcut = x
        for _ in range(layers_per_block):
            x = dense_layer(x)
        x = keras.layers.Add()([x, shortcut])
    near_zero = keras.initializers.RandomNormal(stddev=output_stddev, seed=next(seeds))
    outputs = keras.layers.Dense(num_outputs, kernel_initializer=near_zero, dtype="float32")(x)
    return keras.Model(joints, outputs, name=name)


def initial(name: str, seed: int) -> keras.initializers.Initializer:
    """Makes what draws the first weights of a dense layer.

    Args:
        name: Keras' name of an initializer, or `"fan_in_uniform"`, PyTorch's default: uniform
            within the inverse square root of the number of inputs.
        seed: Of the draw.
    """
    if name == "fan_in_uniform":
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed)
    return keras.initializers.get({"class_name": name, "config": {"seed": seed}})


NUM_BLOCKS = {"paper": 4, "res_linear": 2}
"""The residual backbones by name."""
