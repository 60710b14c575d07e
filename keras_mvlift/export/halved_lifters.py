"""Networks stored in half the space: weights in half precision, arithmetic in single."""

import json
import pathlib
from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift.networks import folded_residual
from keras_mvlift.training import lifters, multi_view_lifter


class HalfPrecisionNetwork(tf.Module):
    """A residual network outside of training, with rounded weights.

    Args:
        model: What `residual.residual` built.

    Attributes:
        layers_per_block: Dense layers of a residual block.
        weights: As of `folded_residual.FoldedResidual`, 16 bits each.

    Call arguments:
        joints: `[B, J, 2]`, such as rays.
        training: Must be False.

    Returns:
        `[B, num_outputs]`, what `model` gives, up to the rounding of its weights.
    """

    def __init__(self, model: keras.Model):
        super().__init__()
        folded = folded_residual.FoldedResidual(model)
        self.layers_per_block = folded.layers_per_block
        self.weights = [
            tf.Variable(tf.cast(weight, tf.float16), trainable=False) for weight in folded.weights
        ]

    def __call__(self, joints: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Gives what the network gives."""
        if training:
            raise ValueError("`training` must be False: nothing is learned here. Received: True.")
        weights = [tf.cast(weight, tf.float32) for weight in self.weights]
        first, *inner, last = zip(weights[::2], weights[1::2], strict=True)
        x = tf.nn.relu(_dense(tf.reshape(joints, [-1, first[0].shape[0]]), *first))
        for start in range(0, len(inner), self.layers_per_block):
            shortcut = x
            for kernel, bias in inner[start : start + self.layers_per_block]:
                x = tf.nn.relu(_dense(x, kernel, bias))
            x += shortcut
        return _dense(x, *last)


def halved(lifter: multi_view_lifter.MultiViewLifter) -> multi_view_lifter.MultiViewLifter:
    """Gives a model that lifts alike from weights of half the size; it cannot be trained.

    Args:
        lifter: The trained model.

    Raises:
        ValueError: If it sees windows of frames, or predicts uncertainties.
    """
    is_temporal = len(lifter.lifting_network.input_shape) > 3
    if is_temporal or lifter.uncertainty is not None:
        what = "sees windows of frames" if is_temporal else "predicts uncertainties"
        rule = "`half_precision` must be False for a model that"
        raise ValueError(f"{rule} {what}. Received: True.")
    # Of its own class, which may look at views in its own way.
    return type(lifter)(
        HalfPrecisionNetwork(lifter.lifting_network),
        HalfPrecisionNetwork(lifter.root_network),
        lifter.root_head,
        lifter.recipe,
        lifter.objective,
        lifter.network_input,
    )


def is_halved(lifter: multi_view_lifter.MultiViewLifter) -> bool:
    """Tells whether `halved` gave a model."""
    return isinstance(lifter.lifting_network, HalfPrecisionNetwork)


def save_description(description: dict[str, Any], folder: pathlib.Path) -> None:
    """Writes what `load_model` reads beside a SavedModel, and no weights to train on with.

    Args:
        description: As of `lifters.save`.
        folder: That of the description, made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / lifters.DESCRIPTION).write_text(
        json.dumps(description, indent=2, sort_keys=True) + "\n"
    )


def _dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(x, kernel), bias)
