"""From a config to a model, to a file, and back."""

import contextlib
import functools
import json
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets import view_windows
from keras_mvlift.networks import residual, temporal
from keras_mvlift.training import multi_view_lifter, uncertainty

Model = multi_view_lifter.MultiViewLifter
Make = Callable[..., Model]

FOLDER = pathlib.PurePath("assets.extra", "keras_mvlift")
"""Where a SavedModel keeps what only this library reads; Pusher copies it along."""
DESCRIPTION = "model.json"

# In the description: whether the pose's own root joint adds to the predicted root.
_FREE_ROOT = "has_free_root"
WEIGHTS = FOLDER / "lifting_network.weights.h5"
"""Below a SavedModel's folder; one in half precision has no such file, and `load` refuses it."""


def build(
    config: configs.ModelConfig,
    objective: Any,
    rig_distance: float,
    intrinsics: Any = None,
    *,
    model: Make = Model,
    precision: str = "float32",
) -> Model:
    """Builds an untrained model.

    Args:
        config: The networks and the recipe.
        objective: What training minimizes.
        rig_distance: Meters, from the cameras to the meeting point of their optical axes.
        intrinsics: `[3, 3]`, pixels, of the mean camera; read by `network_input="screen"` alone.
        model: The class to make: it decides what a batch is.
        precision: A name of `configs.PRECISIONS`: what the networks reckon in as they train.
    """
    recipe = multi_view_lifter.RECIPES[config.recipe]
    num_outputs, backbone = 3 * skeletons.H36M_17.num_joints, _backbone(config)
    seen = "windows" if config.is_temporal else config.network_input
    # Two seeds apart, so that the branches do not start alike.
    lifting_seed, root_seed = 2 * config.seed, 2 * config.seed + 1
    with _policy(precision):
        lifting_network = backbone(num_outputs, name="lifting_network", seed=lifting_seed)
        root_network = backbone(3, name="root_network", seed=root_seed)
    lifter = model(
        lifting_network,
        root_network,
        recipe.root_head(rig_distance),
        recipe,
        objective,
        residual.input_by_name(seen, intrinsics),
    )
    if config.uncertainty:
        lifter.predict_uncertainty(uncertainty.JointUncertainty(config.seed))
    return lifter


def save(lifter: Model, description: dict[str, Any], folder: pathlib.Path) -> None:
    """Writes what `load` needs into `folder`, which is made if need be.

    A description has the model's `ModelConfig` as a dict, `"model"`, and `"rig_distance"`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for network in _networks(lifter):
        network.save_weights(folder / f"{network.name}.weights.h5")
    save_description(description | {_FREE_ROOT: lifter.recipe.has_free_root}, folder)


def save_description(description: dict[str, Any], folder: pathlib.Path) -> None:
    """Writes what `load_model` reads beside a SavedModel, without weights to train on with."""
    folder.mkdir(parents=True, exist_ok=True)
    told = json.dumps(description, indent=2, sort_keys=True)
    (folder / DESCRIPTION).write_text(told + "\n")


def load(
    folder: pathlib.Path, objective: Any, model: Make = Model, precision: str = "float32"
) -> tuple[Model, dict[str, Any]]:
    """Reads a model and its description, to lift with or to train on.

    Raises:
        FileNotFoundError: If the folder does not hold a model of this library.
        ValueError: If it is of a version that pinned root joints which are free today.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no model of keras_mvlift lies there.")
    description = json.loads(path.read_text())
    config = configs.ModelConfig.from_json(json.dumps(description["model"]))
    intrinsics = description.get("intrinsics")
    lifter = build(
        config, objective, description["rig_distance"], intrinsics, model=model, precision=precision
    )
    if lifter.recipe.has_free_root and not description.get(_FREE_ROOT):
        raise ValueError(
            f"{path}: `{_FREE_ROOT}` must be true for recipe {config.recipe!r}. Received: "
            f"{description.get(_FREE_ROOT)}. An earlier version trained this model with its root "
            "joint pinned to the predicted root; train it anew."
        )
    for network in _networks(lifter):
        network.load_weights(folder / f"{network.name}.weights.h5")
    return lifter, description


@contextlib.contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Has layers that are made meanwhile reckon in a precision; what they learn stays float32."""
    errors.require_known("precision", precision, configs.PRECISIONS)
    former = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(former)


def window_of(config: configs.ModelConfig) -> view_windows.Windows | None:
    """Returns the windows that a config's networks see; None where they see single frames."""
    if not config.is_temporal:
        return None
    num_frames = math.prod(config.filter_widths)
    return view_windows.Windows(num_frames, config.is_causal, config.frame_step)


def weights_of(lifter: Model) -> list[tf.Variable]:
    """Returns the variables of all networks, the lifting network's first."""
    return [variable for network in _networks(lifter) for variable in network.variables]


def _networks(lifter: Model) -> list[keras.Model]:
    uncertain = [] if lifter.uncertainty is None else [lifter.uncertainty.network]
    return [lifter.lifting_network, lifter.root_network, *uncertain]


def _backbone(config: configs.ModelConfig) -> Callable[..., keras.Model]:
    shared = ("width", "dropout", "initializer", "output_stddev")
    options: dict[str, Any] = {name: getattr(config, name) for name in shared}
    if config.is_temporal:
        options |= {"filter_widths": config.filter_widths, "is_causal": config.is_causal}
        return functools.partial(temporal.temporal, **options)
    # Centered views have a row more, the person's size.
    num_joints = skeletons.H36M_17.num_joints + (config.network_input == "centered")
    return functools.partial(
        residual.residual,
        num_blocks=residual.NUM_BLOCKS[config.backbone],
        layers_per_block=config.layers_per_block,
        num_joints=num_joints,
        **options,
    )


def copy_weights(source: Model, target: Model) -> None:
    """Gives the networks of `target` the weights of those of `source`, which are built alike."""
    for variable, value in zip(weights_of(target), weights_of(source), strict=True):
        variable.assign(value)
