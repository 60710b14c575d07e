"""A temporal network as plain arrays, its batch norms folded into the layers before them."""

import os

import numpy as np
from tensorflow import keras

from keras_mvlift.networks import temporal


def fold(model: keras.Model) -> dict[str, np.ndarray]:
    """Gives what streaming needs of a temporal network.

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
