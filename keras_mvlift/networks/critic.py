"""A critic of 3D skeletons: the higher the score, the more a skeleton looks like a real one."""

from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons

_LEAK = 0.2


@keras.saving.register_keras_serializable("keras_mvlift")
class KinematicChains(keras.layers.Layer):
    """Inner products of all bones with each other: their lengths and the angles between them.

    Args:
        bones: Pairs (parent, child) of joint indices.

    Call arguments:
        inputs: Skeletons `[B, J, 3]`, meters.

    Returns:
        `[B, K (K + 1) / 2]` for `K` bones, square meters; the same for a turned skeleton.

    References:
        Wandt and Rosenhahn, RepNet, CVPR 2019, section 3.2.
    """

    def __init__(self, bones: tuple[tuple[int, int], ...], **kwargs: Any):
        super().__init__(**kwargs)
        self.bones = tuple((parent, child) for parent, child in bones)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Gives the upper triangle of the bones' Gram matrix, row by row."""
        parents, children = zip(*self.bones, strict=True)
        bones = tf.gather(inputs, children, axis=1) - tf.gather(inputs, parents, axis=1)
        products = tf.matmul(bones, bones, transpose_b=True)
        size = len(self.bones)
        upper = [row * size + column for row in range(size) for column in range(row, size)]
        return tf.gather(tf.reshape(products, [-1, size * size]), upper, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        return super().get_config() | {"bones": self.bones}


def critic(
    *,
    seed: int,
    width: int = 128,
    num_blocks: int = 1,
    skeleton: skeletons.Skeleton = skeletons.H36M_17,
    name: str = "critic",
) -> keras.Model:
    """Builds the critic: two ways of dense residual layers, on coordinates and on bones.

    It has no batch norm, which would make a skeleton's score depend on the others of its batch
    and break the gradient penalty, and runs in float32 under any policy: the penalty
    differentiates twice.

    Args:
        seed: Of the initial weights.
        width: Units of each dense layer.
        num_blocks: Residual blocks of two dense layers in either way.
        skeleton: The joints, with their bones.
        name: Of the model.

    Returns:
        A model from root-relative skeletons `[B, J, 3]`, meters, upright axes, to scores `[B]`.
    """
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def dense(x: tf.Tensor, units: int = width) -> tf.Tensor:
        start = keras.initializers.HeNormal(seed=next(seeds))
        return keras.layers.Dense(units, kernel_initializer=start, dtype="float32")(x)

    def activated(x: tf.Tensor) -> tf.Tensor:
        return keras.layers.LeakyReLU(_LEAK, dtype="float32")(dense(x))

    def residual(x: tf.Tensor) -> tf.Tensor:
        x = activated(x)
        for _ in range(num_blocks):
            x = keras.layers.Add(dtype="float32")([x, activated(activated(x))])
        return x

    pose = keras.Input((skeleton.num_joints, 3), name="root_relative_pose", dtype="float32")
    coordinates = residual(keras.layers.Flatten(dtype="float32")(pose))
    chains = residual(KinematicChains(skeleton.bones, dtype="float32")(pose))
    both = keras.layers.Concatenate(dtype="float32")([coordinates, chains])
    scores = dense(activated(both), units=1)
    return keras.Model(pose, keras.layers.Reshape((), dtype="float32")(scores), name=name)
