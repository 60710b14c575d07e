"""Where training on a window of spans starts: at the last blessed model, if it fits."""

import dataclasses
import json
import pathlib
from typing import Any

from keras_mvlift import configs
from keras_mvlift.training import lifters, multi_view_lifter

KEY = "warm_start"
"""Of a stage's custom config: whether a blessed model is gone on from; of a description: which."""

# What may differ: the first says how weights are trained, the others how they are first drawn.
_FREE = {"dropout", "initializer", "output_stddev", "seed"}

# Of a model's folder as TFX lays it out: component, output, number.
_NUM_TOLD = 3


def load(
    former: pathlib.Path,
    config: configs.ModelConfig,
    objective: Any,
    **options: Any,
) -> tuple[multi_view_lifter.MultiViewLifter | None, dict[str, Any]]:
    """Builds a model with the weights of a former one.

    The cameras that the former one was made for stay, as its weights were trained with them.

    Args:
        former: A SavedModel's folder.
        config: The networks to build.
        objective: What training minimizes.
        options: As of `lifters.build`: what to make.

    Returns:
        The model, None if its networks are of another kind, and what a description tells of it.
    """
    start, description = lifters.load(former / lifters.FOLDER, objective)
    name = "/".join(former.parent.parts[-_NUM_TOLD:])
    if different := differences(config, description):
        note = (
            f"The last blessed model, {name}, is of other networks ({', '.join(different)}): "
            "training starts from scratch."
        )
        return None, {KEY: {"model": None, "note": note}}
    cameras = {key: description[key] for key in ("rig_distance", "intrinsics")}
    lifter = lifters.build(config, objective, **cameras, **options)
    lifters.copy_weights(start, lifter)
    return lifter, cameras | {KEY: {"model": name, "note": "", "spans": description.get("spans")}}


def none_yet() -> dict[str, Any]:
    """Gives what a description tells where no former model was blessed."""
    note = "No model was blessed on earlier spans: training starts from scratch."
    return {KEY: {"model": None, "note": note}}


def differences(config: configs.ModelConfig, description: dict[str, Any]) -> list[str]:
    """Names the fields in which networks are not those of a description."""
    # Fields that were not there yet have their defaults.
    former = configs.ModelConfig.from_json(json.dumps(description["model"]))
    mine, theirs = dataclasses.asdict(config), dataclasses.asdict(former)
    return sorted(name for name in mine if name not in _FREE and mine[name] != theirs[name])
