"""What methods share: settings, an untrained lifter, training under watch, lifting."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.experiments import epoch_curves, training_data, variants
from keras_mvlift.training import lifters, multi_view_lifter, stage_data, stages


@dataclasses.dataclass(frozen=True)
class Watch:
    """What is kept, and shown, of a cell while it runs.

    Attributes:
        folder: Keeps the checkpoints of its stages.
        show: Is told the stage and the epoch.
        curve: What was measured after each epoch; it outlives a failure.
    """

    folder: pathlib.Path
    show: Callable[[str], None] = lambda text: None
    curve: list[dict[str, Any]] = dataclasses.field(default_factory=list)


STAGE_OPTIONS = frozenset(field.name for field in dataclasses.fields(configs.FinetuneConfig))
"""Options of a variant that are settings of the main stage."""

# Test views lifted at once.
_BATCH_SIZE = 8192


def finetune_config(cell: variants.Cell) -> configs.FinetuneConfig:
    """Gives the settings of the main stage, those among the variant's options included."""
    variant, budget = cell.variant, cell.budget
    settings: dict[str, Any] = {
        "num_epochs": budget.num_epochs,
        "batch_size": budget.batch_size,
        "decay_every": budget.decay_every,
        "precision": budget.precision,
        "transform_weight": variant.transform_weight,
        "confidence_weighting": variant.confidence_weighting,
        "distance": variant.distance,
        "seed": cell.seed,
        "clip_norm": configs.clip_norm(variant.recipe),
    }
    chosen = {name: value for name, value in variant.options if name in STAGE_OPTIONS}
    return configs.FinetuneConfig(**(settings | chosen))


def method_options(cell: variants.Cell) -> dict[str, Any]:
    """Gives the options that the method alone knows."""
    return {name: value for name, value in cell.variant.options if name not in STAGE_OPTIONS}


def build(
    cell: variants.Cell, data: training_data.TrainingData, config: configs.StageConfig
) -> multi_view_lifter.MultiViewLifter:
    """Builds the untrained lifter of a stage."""
    model = configs.ModelConfig(
        recipe=cell.variant.recipe,
        backbone=cell.variant.backbone,
        width=cell.budget.width,
        dropout=cell.budget.dropout,
        filter_widths=cell.budget.filter_widths,
        is_causal=method_options(cell).get("is_causal", False),
        seed=cell.seed,
    )
    objective = stages.objective(config, cell.variant.recipe)
    return lifters.build(
        model, objective, data.rig_distance, model=stages.model(config), precision=config.precision
    )


def fit(
    model: keras.Model,
    config: configs.StageConfig,
    source: stage_data.Source,
    cell: variants.Cell,
    data: training_data.TrainingData,
    watch: Watch,
) -> None:
    """Trains a model as the pipeline does, from its last checkpoint on, under watch.

    Args:
        model: As `stages.run` takes it.
        config: The stage's settings.
        source: What its batches are drawn from.
        cell: Says how many steps an epoch has.
        data: Of its test views some are measured after each epoch.
        watch: Gets an entry for each epoch, also of one that ends badly.

    Raises:
        NonFiniteLossError: If the loss stops being a number.
    """
    stage = type(config).__name__.removesuffix("Config").lower()
    trained = stage_data.Arrays(
        source=source,
        steps=cell.budget.steps_per_epoch,
        checkpoints=watch.folder / stage,
        seen=data.seen if getattr(config, "refine_extrinsics", False) else None,
    )
    callbacks = [
        epoch_curves.EpochCurve(getattr(model, "lifter", model), data.test),
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, _: watch.show(f"{stage} {epoch + 1}/{config.num_epochs}")
        ),
    ]
    try:
        stages.run(model, config, trained, stage.capitalize(), callbacks)
    finally:
        watch.curve.extend(epoch_curves.entries(stage, stages.history(trained.checkpoints)))


def pretrain(
    lifter: multi_view_lifter.MultiViewLifter,
    cell: variants.Cell,
    data: training_data.TrainingData,
    watch: Watch,
) -> None:
    """Gives a lifter the weights that the recipe's first stage leads to."""
    finetune = finetune_config(cell)
    config = configs.PretrainConfig(
        num_epochs=cell.budget.num_pretrain_epochs,
        batch_size=finetune.batch_size,
        precision=finetune.precision,
        clip_norm=finetune.clip_norm,
        seed=cell.seed,
    )
    first = build(cell, data, config)
    fit(first, config, data.pair_source(), cell, data, watch)
    lifters.copy_weights(first, lifter)


def lift(lifter: multi_view_lifter.MultiViewLifter, view: views.View) -> np.ndarray:
    """Gives root-relative poses `[N, J, 3]`, meters, camera axes."""
    total = len(view.confidence)
    parts = [
        tf.nest.map_structure(lambda field, start=start: field[start : start + _BATCH_SIZE], view)
        for start in range(0, total, _BATCH_SIZE)
    ]
    return np.concatenate(
        [lifter(part, training=False).root_relative_pose.numpy() for part in parts]
    )
