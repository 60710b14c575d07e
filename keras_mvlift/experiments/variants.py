"""What a cell of a table stands for, as frozen dataclasses."""

import dataclasses
import hashlib
import json
from typing import Annotated, Any

from keras_mvlift import configs
from keras_mvlift.studio import filming

Option = str | float | int | bool

STAGE_OPTIONS = frozenset(field.name for field in dataclasses.fields(configs.FinetuneConfig))
"""Options of a variant that are settings of the main stage."""
MODEL_OPTIONS = frozenset({"network_input"})
"""Options of a variant that are settings of the networks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filming(filming.Detector):
    """How motions are filmed and detected; arguments of `filming.FilmSet`."""

    rig: str = "h36m_like"
    num_cameras: int = filming.NUM_H36M_CAMERAS
    noise_px: float = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings(configs.Checked):
    """What a cell changes about the data at hand.

    Attributes:
        filming: How motions are filmed; None for the origin's own way. Recordings take None alone.
        test_filming: How the test people are filmed; None for the same as in training.
        num_virtual_views: Virtual cameras per training instant.
        calibration_error: Degrees by which each training camera is turned about an axis of its own,
            in what methods without labels see of it; the labels and the test are as they were.
        num_train_cameras: How many of the rig's cameras, the first ones, are trained on; 0 for all.
            The test has all of them.
        has_frames_between: Whether the film's frames between those that are trained and tested on
            are there, for windows around them.
    """

    filming: Filming | None = None
    test_filming: Filming | None = None
    num_virtual_views: int = 0
    calibration_error: configs.Weight = 0.0
    num_train_cameras: Annotated[
        int, configs.rule(lambda count: count == 0 or count >= 2, "be 0, or 2 or more")
    ] = 0
    has_frames_between: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """What one row of a table measures; everything else is the budget's.

    Attributes:
        method: A name of `methods.METHODS`.
        recipe: A name of `multi_view_lifter.RECIPES`.
        backbone: A name of `configs.BACKBONES`.
        is_pretrained: Whether eq. (6) comes first where the recipe needs it.
        data: What is changed about the data.
        options: Settings of the main stage or the networks, and what the method alone knows, as
            pairs of name and value.
    """

    method: str = "self_supervised"
    recipe: str = "solved_root"
    backbone: str = "res_linear"
    is_pretrained: bool = True
    data: DataSettings = DataSettings()
    options: tuple[tuple[str, Option], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What all cells of a run spend alike.

    Attributes:
        width: Units of each dense layer.
        dropout: Share of units dropped.
        filter_widths: Frames of each convolution of the temporal backbone.
        batch_size: Pairs per step; a step of a method on single views takes twice as many views.
        num_epochs: Epochs on the method's own loss.
        num_pretrain_epochs: Epochs on eq. (6), before those.
        steps_per_epoch: Steps per epoch, however much data there is.
        decay_every: Epochs between decays of the learning rate.
        precision: A name of `configs.PRECISIONS`: what the networks' layers reckon in.
    """

    width: int = 1024
    dropout: float = 0.25
    filter_widths: tuple[int, ...] = (3, 3, 3, 3, 3)
    batch_size: int = 1024
    num_epochs: int = 60
    num_pretrain_epochs: int = 5
    steps_per_epoch: int = 100
    decay_every: int = 20
    precision: str = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One run: a variant within a budget, from one seed."""

    variant: Variant
    budget: Budget
    seed: int


def digest(value: Any) -> str:
    """Returns 16 letters that stand for a JSON value, dataclasses in it included."""
    text = json.dumps(value, sort_keys=True, default=dataclasses.asdict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
