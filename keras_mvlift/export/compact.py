"""Trained models of single frames as they are served: every batch norm folded away.

Their weights lie beside the SavedModel, too, where `numpy_networks` reads them, with notes.
"""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift import configs, inference, model_files, numpy_networks
from keras_mvlift.datasets import views
from keras_mvlift.networks import folded
from keras_mvlift.training import lifters, multi_view_lifter


def fold(
    lifter: multi_view_lifter.MultiViewLifter, dtype: tf.DType = tf.float32
) -> multi_view_lifter.MultiViewLifter:
    """Returns a model that lifts as `lifter` does outside of training, and cannot be trained.

    Args:
        lifter: The trained model, of single frames.
        dtype: What its weights are rounded to.
    """
    return multi_view_lifter.MultiViewLifter(
        folded.FoldedResidual(lifter.lifting_network, dtype),
        folded.FoldedResidual(lifter.root_network, dtype),
        lifter.root_head,
        lifter.recipe,
        lifter.objective,
        lifter.network_input,
    )


def weights_of(folded: multi_view_lifter.MultiViewLifter) -> dict[str, list[tf.Variable]]:
    """Returns the weights of both networks of what `fold` gave, kernels and biases by turns."""
    networks = {"lifting_network": folded.lifting_network, "root_network": folded.root_network}
    return {name: list(network.weights) for name, network in networks.items()}


def notes(lifter: multi_view_lifter.MultiViewLifter, network_input: str) -> dict[str, Any]:
    """Returns what must be known to use the weights, beside them.

    Args:
        lifter: The trained model.
        network_input: Of `configs.ModelConfig`.

    Returns:
        `layers_per_block`, `network_input`, `root`, the numbers of the root head, and
        `has_free_root`, whether the pose's own root joint adds to the predicted root.
    """
    return {
        "layers_per_block": folded.layers_per_block(lifter.lifting_network),
        "network_input": network_input,
        "root": lifter.root_head.numbers,
        "has_free_root": lifter.recipe.has_free_root,
    }


def save_networks(
    weights: Mapping[str, Sequence[tf.Variable | np.ndarray]], folder: pathlib.Path
) -> None:
    """Writes networks as `numpy_networks.FrameLifter` reads them.

    A SavedModel that has no such files gets them by

        save_networks(model_files.open_model(path).folded, path / lifters.FOLDER)

    Args:
        weights: Of `weights_of`, or the `folded` of a loaded SavedModel.
        folder: That of the description, made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, layers in weights.items():
        folded.save_layers(layers, folder / f"{name}.npz")


# Networks stored in half the space: weights in half precision, arithmetic in single.


def halved(lifter: multi_view_lifter.MultiViewLifter) -> multi_view_lifter.MultiViewLifter:
    """Returns a model that lifts alike from weights of half the size; it cannot be trained.

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
    return fold(lifter, tf.float16)


def reopened(
    model: inference.Lifter,
    objective: Any,
    make: Callable[..., multi_view_lifter.MultiViewLifter] = multi_view_lifter.MultiViewLifter,
    seen: views.View | None = None,
) -> multi_view_lifter.MultiViewLifter:
    """Returns a model that lifts alike from one that `saved_model.save` halved, to train on.

    Its batch norms are those of `folded.unfold`.

    Args:
        model: Of `load_model`, of single frames, with its weights.
        objective: What training minimizes.
        make: The class to make: it decides what a batch is.
        seen: Fields `[N, ...]`, views like those that batch norms will be trained on, if they are.
    """
    config = configs.ModelConfig(**model.description["model"])
    distance = model.description["rig_distance"]
    lifter = lifters.build(config, objective, distance, model.intrinsics, model=make)
    weights = getattr(model_files.open_model(model.path), numpy_networks.FOLDED)
    joints = None if seen is None else lifter.network_input(seen).joints
    for network in (lifter.lifting_network, lifter.root_network):
        folded.unfold(network, [variable.numpy() for variable in weights[network.name]], joints)
    return lifter


def is_halved(lifter: multi_view_lifter.MultiViewLifter) -> bool:
    """Tells whether `halved` gave a model."""
    network = lifter.lifting_network
    is_folded = isinstance(network, folded.FoldedResidual)
    return is_folded and network.weights[0].dtype == tf.float16


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
