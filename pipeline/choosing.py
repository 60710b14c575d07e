"""What chooses in a pipeline, and the part of the data that it chooses by."""

import dataclasses
import json
from typing import Any

from keras_mvlift import configs, sources
from pipeline import settings

_ENDS = {"held_out_share": 0.1}
_HUMAN36M = {"held_out_subjects": ["S8"]}
"""A person, as the test is on people who were not trained on."""


def choosers(config: settings.PipelineConfig) -> list[str]:
    """Names the settings that let something choose by what was not trained on."""
    is_asked = {
        "pretrain.patience": config.pretrain.patience > 0,
        "finetune.patience": config.finetune.patience > 0,
        "tune.num_trials": config.tune.num_trials > 0,
        "model.uncertainty": config.model.uncertainty,
    }
    return [name for name, asked in is_asked.items() if asked]


def data(config: settings.PipelineConfig, is_followed: bool = False) -> configs.DataConfig:
    """Gives the data with a part held out from training and test, where one is needed.

    Early stopping, tuning and the calibration of uncertainty look at that part alone, so that no
    test frame chooses anything. What the split already holds out is left as it is.

    Args:
        config: The pipeline's settings.
        is_followed: Whether recordings keep coming: drift of the cameras is looked for in what is
            held out.
    """
    split = sources.open_split(config.data)
    if split.holds_out or not (choosers(config) or is_followed):
        return config.data
    options: dict[str, Any] = json.loads(config.data.split_options)
    is_human36m = (config.data.source, config.data.split) == ("human36m", "subject")
    named = {*_HUMAN36M["held_out_subjects"]} & {*options.get("test_subjects", ())}
    options |= _HUMAN36M if is_human36m and not named else _ENDS
    return dataclasses.replace(config.data, split_options=json.dumps(options, sort_keys=True))
