"""How a cell gets its poses. Another method is one function and one line of `METHODS`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.experiments import epoch_curves, training_data, variants
from keras_mvlift.metrics import baselines
from keras_mvlift.training import (
    guards,
    lifters,
    multi_view_lifter,
    objectives,
    optimizers,
    peers,
    recipes,
    stages,
)

Curve = list[dict[str, Any]]
Method = Callable[[variants.Cell, training_data.TrainingData, Curve], np.ndarray]
"""From a cell and its data to poses `[N, J, 3]` of the test views, meters, camera axes; what it
measures on the way is appended to the curve, which outlives a failure."""

# Test views lifted at once.
_BATCH_SIZE = 8192


def self_supervised(
    cell: variants.Cell, data: training_data.TrainingData, curve: Curve
) -> np.ndarray:
    """Trains on pairs of views by eq. (7), where need be after eq. (6)."""
    config = finetune_config(cell)
    lifter = build(cell, data, stages.objective(config))
    if _is_pretrained(cell.variant):
        _pretrain(lifter, cell, data, curve)
    batches = training_data.pair_batches(data, config.batch_size, cell.seed)
    fit(lifter, lifter, batches, config, cell, data, curve)
    return lift(lifter, data.test.view)


def supervised(cell: variants.Cell, data: training_data.TrainingData, curve: Curve) -> np.ndarray:
    """Trains the lifting network on true poses."""
    return _on_labels(cell, data, curve, data.labeled)


def pseudo_labels(
    cell: variants.Cell, data: training_data.TrainingData, curve: Curve
) -> np.ndarray:
    """Trains the lifting network on poses triangulated from all detections of an instant."""
    return _on_labels(cell, data, curve, data.pseudo_labeled)


def triangulation(
    cell: variants.Cell, data: training_data.TrainingData, curve: Curve
) -> np.ndarray:
    """Triangulates the test views of each instant: what all cameras together could know."""
    del cell, curve
    if not baselines.has_several_views(data.test):
        raise ValueError("Triangulation needs test instants that several cameras saw.")
    return baselines.triangulated(data.test, data.min_confidence)


METHODS: dict[str, Method] = {
    "self_supervised": self_supervised,
    "supervised": supervised,
    "pseudo_labels": pseudo_labels,
    "triangulation": triangulation,
}


def finetune_config(cell: variants.Cell) -> configs.FinetuneConfig:
    """Gives the settings of the main stage."""
    variant, budget = cell.variant, cell.budget
    return configs.FinetuneConfig(
        num_epochs=budget.num_epochs,
        batch_size=budget.batch_size,
        decay_every=budget.decay_every,
        transform_weight=variant.transform_weight,
        confidence_weighting=variant.confidence_weighting,
        distance=variant.distance,
        seed=cell.seed,
    )


def build(
    cell: variants.Cell, data: training_data.TrainingData, objective: Any, **options: Any
) -> multi_view_lifter.MultiViewLifter:
    """Builds an untrained lifter; options go to `lifters.build`."""
    config = configs.ModelConfig(
        recipe=cell.variant.recipe,
        backbone=cell.variant.backbone,
        width=cell.budget.width,
        dropout=cell.budget.dropout,
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
) -> None:
    """Trains a model, and measures the lifter within it after each epoch.

    Raises:
        NonFiniteLossError: If the loss stops being a number.
    """
    steps = cell.budget.steps_per_epoch
    stage = type(config).__name__.removesuffix("Config").lower()
    model.compile(optimizers.build(config, steps))
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


def _is_pretrained(variant: variants.Variant) -> bool:
    if variant.is_pretrained is None:
        return recipes.RECIPES[variant.recipe].needs_pretraining
    return variant.is_pretrained


def _pretrain(
    lifter: multi_view_lifter.MultiViewLifter,
    cell: variants.Cell,
    data: training_data.TrainingData,
    curve: Curve,
) -> None:
    budget = cell.budget
    config = configs.PretrainConfig(
        num_epochs=budget.num_pretrain_epochs, batch_size=budget.batch_size, seed=cell.seed
    )
    first = build(cell, data, objectives.Consistency())
    batches = training_data.pair_batches(data, config.batch_size, cell.seed)
    fit(first, first, batches, config, cell, data, curve)
    for variable, trained in zip(
        lifters.weights_of(lifter), lifters.weights_of(first), strict=True
    ):
        variable.assign(trained)


def _on_labels(
    cell: variants.Cell,
    data: training_data.TrainingData,
    curve: Curve,
    labeled: baselines.TestViews,
) -> np.ndarray:
    config = finetune_config(cell)
    lifter = build(cell, data, stages.objective(config))
    batches = training_data.labeled_batches(labeled, 2 * config.batch_size, cell.seed)
    fit(peers.SupervisedLifter(lifter), lifter, batches, config, cell, data, curve)
    return lift(lifter, data.test.view)
