"""What methods share: settings, an untrained lifter, training with a curve, lifting."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.experiments import epoch_curves, training_data, variants
from keras_mvlift.training import guards, lifters, multi_view_lifter, objectives, optimizers

Curve = list[dict[str, Any]]
"""What is measured after each epoch; it outlives a failure."""

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
        "transform_weight": variant.transform_weight,
        "confidence_weighting": variant.confidence_weighting,
        "distance": variant.distance,
        "seed": cell.seed,
    }
    chosen = {name: value for name, value in variant.options if name in STAGE_OPTIONS}
    return configs.FinetuneConfig(**(settings | chosen))


def method_options(cell: variants.Cell) -> dict[str, Any]:
    """Gives the options that the method alone knows."""
    return {name: value for name, value in cell.variant.options if name not in STAGE_OPTIONS}


def build(
    cell: variants.Cell, data: training_data.TrainingData, objective: Any, **options: Any
) -> multi_view_lifter.MultiViewLifter:
    """Builds an untrained lifter; options go to `lifters.build`."""
    config = configs.ModelConfig(
        recipe=cell.variant.recipe,
        backbone=cell.variant.backbone,
        width=cell.budget.width,
        dropout=cell.budget.dropout,
        filter_widths=cell.budget.filter_widths,
        is_causal=method_options(cell).get("is_causal", False),
        seed=cell.seed,
    )
    return lifters.build(config, objective, data.rig_distance, **options)


def fit(
    model: keras.Model,
    lifter: multi_view_lifter.MultiViewLifter,
    batches: tf.data.Dataset,
    config: configs.StageConfig,
    cell: variants.Cell,
    data: training_data.TrainingData,
    curve: Curve,
    **optimizer: Any,
) -> None:
    """Trains a model, and measures the lifter within it after each epoch.

    Args:
        model: What is trained.
        lifter: The model, or a part of it.
        batches: Batches of what the model takes, without end.
        config: The stage's settings.
        cell: Says how many steps an epoch has.
        data: Of its test views some are measured.
        curve: Gets an entry for each epoch.
        optimizer: Further arguments of the model's `compile`.

    Raises:
        NonFiniteLossError: If the loss stops being a number.
    """
    steps = cell.budget.steps_per_epoch
    stage = type(config).__name__.removesuffix("Config").lower()
    model.compile(optimizers.build(config, steps), **optimizer)
    optimizers.prepare(model)
    model.fit(
        batches,
        steps_per_epoch=steps,
        epochs=config.num_epochs,
        callbacks=[
            guards.StopOnNonFiniteLoss(stage),
            epoch_curves.EpochCurve(lifter, data.test, stage, curve),
        ],
        verbose=0,
    )
    if config.weight_averaging and config.num_epochs:
        model.optimizer.assign_average_vars(lifter.trainable_variables)


def pretrain(
    lifter: multi_view_lifter.MultiViewLifter,
    cell: variants.Cell,
    data: training_data.TrainingData,
    curve: Curve,
) -> None:
    """Gives a lifter the weights that eq. (6) leads to."""
    budget = cell.budget
    config = configs.PretrainConfig(
        num_epochs=budget.num_pretrain_epochs, batch_size=budget.batch_size, seed=cell.seed
    )
    first = build(cell, data, objectives.Consistency())
    batches = training_data.pair_batches(data, config.batch_size, cell.seed)
    fit(first, first, batches, config, cell, data, curve)
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
