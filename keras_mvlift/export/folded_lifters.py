"""Trained models of single frames as they are served: every batch norm folded away.

Their weights lie in the SavedModel where `inference_single_view` finds them, with notes.
"""

from typing import Any

import tensorflow as tf

from keras_mvlift.networks import folded
from keras_mvlift.training import multi_view_lifter


def fold(lifter: multi_view_lifter.MultiViewLifter) -> multi_view_lifter.MultiViewLifter:
    """Gives a model that lifts as `lifter` does outside of training, and cannot be trained."""
    # Of its own class, which may look at views in its own way.
    return type(lifter)(
        folded.FoldedResidual(lifter.lifting_network),
        folded.FoldedResidual(lifter.root_network),
        lifter.root_head,
        lifter.recipe,
        lifter.objective,
        lifter.network_input,
    )


def weights_of(folded: multi_view_lifter.MultiViewLifter) -> dict[str, list[tf.Variable]]:
    """Gives the weights of both networks of what `fold` gave, kernels and biases by turns."""
    networks = {"lifting_network": folded.lifting_network, "root_network": folded.root_network}
    return {name: list(network.weights) for name, network in networks.items()}


def notes(lifter: multi_view_lifter.MultiViewLifter, network_input: str) -> dict[str, Any]:
    """Gives what must be known to use the weights, beside them.

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
