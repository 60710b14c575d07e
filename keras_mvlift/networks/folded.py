"""Networks whose batch norms are folded into the layers before them."""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.networks import temporal


def fold(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns what streaming needs of a temporal network.

    Args:
        model: What `temporal.temporal` built.

    Returns:
        `filter_widths` `[K]` and `is_causal` `[]`; `kernel_<n>` `[w C, C]` and `bias_<n>` `[C]` of
        the `2 K - 1` layers before their ReLUs, the batch norms included as outside of training;
        `kernel_outputs` and `bias_outputs` of the last.
    """
    sizes = temporal.filter_widths(model)
    arrays = {
        "filter_widths": np.array(sizes),
        "is_causal": np.array(temporal.is_causal(model)),
    }
    for number in range(2 * len(sizes) - 1):
        (kernel,) = model.get_layer(f"dense_{number}").get_weights()
        norm = model.get_layer(f"norm_{number}")
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        arrays |= {f"kernel_{number}": kernel * scale, f"bias_{number}": beta - mean * scale}
    kernel, bias = model.get_layer("outputs").get_weights()
    return arrays | {"kernel_outputs": kernel, "bias_outputs": bias}


def save(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Writes what `fold` gives to an `.npz` file."""
    np.savez(path, **fold(model))


def save_layers(weights: Sequence[tf.Variable | np.ndarray], path: str | os.PathLike[str]) -> None:
    """Writes dense layers to an `.npz` file: `kernel_<n>` `[C, C']` and `bias_<n>` `[C']` of each.

    Args:
        weights: Kernels and biases by turns.
        path: The file; what is there is replaced.
    """
    names = [
        f"{part}_{number}" for number in range(len(weights) // 2) for part in ("kernel", "bias")
    ]
    np.savez(path, **dict(zip(names, map(np.asarray, weights), strict=True)))


# A trained residual network as dense layers alone, its batch norms folded into those before.


class FoldedResidual(tf.Module):
    """What a residual network says outside of training, in a fifth of its operations.

    Args:
        model: What `residual.residual` built.
        dtype: What weights are rounded to; they are reckoned with in single precision.

    Attributes:
        layers_per_block: Dense layers of a residual block.
        weights: Of each dense layer in turn its kernel `[C, C']` and its bias `[C']`, the batch
            norm behind it included.

    Call arguments:
        joints: `[B, J, 2]`, such as rays.
        training: Must be False.

    Returns:
        `[B, num_outputs]`, what `model` gives, up to the rounding of its weights.
    """

    def __init__(self, model: keras.Model, dtype: tf.DType = tf.float32):
        super().__init__()
        arrays = fold_layers(model)
        self.layers_per_block = layers_per_block(model)
        self.weights = [tf.Variable(tf.cast(array, dtype), trainable=False) for array in arrays]

    def __call__(self, joints: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the output of the network."""
        if training:
            raise ValueError("`training` must be False: nothing is learned here. Received: True.")
        weights = [tf.cast(weight, tf.float32) for weight in self.weights]
        first, *inner, last = zip(weights[::2], weights[1::2], strict=True)
        x = tf.reshape(joints, [-1, first[0].shape[0]])
        x = tf.nn.relu(_dense(x, *first))
        for start in range(0, len(inner), self.layers_per_block):
            shortcut = x
            for kernel, bias in inner[start : start + self.layers_per_block]:
                x = tf.nn.relu(_dense(x, kernel, bias))
            x += shortcut
        return _dense(x, *last)


def unfold(
    model: keras.Model, weights: Sequence[np.ndarray], joints: tf.Tensor | None = None
) -> None:
    """Sets a residual network to say what its folded form says, and be trainable again.

    Its batch norms change nothing outside of training. In training they norm by a batch, which
    changes little where that is like `joints`, and everything where none were given.

    Args:
        model: What `residual.residual` built.
        weights: Those of its `FoldedResidual`.
        joints: `[N, J, 2]`, what it will be trained on, to norm by.
    """
    remaining = iter(weights)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.set_weights([next(remaining), next(remaining)])
        if isinstance(layer, keras.layers.BatchNormalization):
            one, zero = np.ones(layer.gamma.shape), np.zeros(layer.gamma.shape)
            layer.set_weights([one, zero, zero, one - layer.epsilon])
    if joints is None:
        return
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    outputs = keras.Model(model.input, [norm.input for norm in norms])(joints)
    for norm, x in zip(norms, outputs, strict=True):
        mean, variance = (moment.numpy() for moment in tf.nn.moments(x, axes=[0]))
        norm.set_weights([np.sqrt(variance + norm.epsilon), mean, mean, variance])


def layers_per_block(model: keras.Model) -> int:
    """Returns the dense layers of a residual block of what `residual.residual` built."""
    num_layers, num_blocks = (
        sum(isinstance(layer, kind) for layer in model.layers)
        for kind in (keras.layers.Dense, keras.layers.Add)
    )
    # Beside those of the blocks there are the first and the last.
    return (num_layers - 2) // num_blocks


def _dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def fold_layers(model: keras.Model) -> list[np.ndarray]:
    """Returns kernels and biases by turns of dense layers, the batch norms behind them included."""
    arrays: list[np.ndarray] = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            arrays += layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            arrays[-2:] = _folded(arrays[-2], arrays[-1], layer)
    return arrays


def _folded(
    kernel: np.ndarray, bias: np.ndarray, norm: keras.layers.BatchNormalization
) -> tuple[np.ndarray, np.ndarray]:
    # In double precision, so that the weights are rounded once.
    gamma, beta, mean, variance = (array.astype(np.float64) for array in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return (kernel * scale).astype(np.float32), ((bias - mean) * scale + beta).astype(np.float32)
