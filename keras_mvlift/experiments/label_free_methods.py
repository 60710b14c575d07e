"""The method itself: trained on calibrated views, without labels."""

import numpy as np
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import distinct_cameras
from keras_mvlift.experiments import training_data, training_runs, variants
from keras_mvlift.training import (
    agreement,
    camera_refinement,
    instant_switches,
    multi_view_lifter,
    peers,
    recipes,
    stages,
)


def self_supervised(
    cell: variants.Cell, data: training_data.TrainingData, curve: training_runs.Curve
) -> np.ndarray:
    """Trains by eq. (7) on pairs or on all views of instants, where need be after eq. (6)."""
    return training_runs.lift(train(cell, data, curve), data.test.view)


def train(
    cell: variants.Cell, data: training_data.TrainingData, curve: training_runs.Curve
) -> multi_view_lifter.MultiViewLifter:
    """Gives the trained lifter; one that sees windows takes `window_data.WindowedData`."""
    config = training_runs.finetune_config(cell)
    lifter = build(cell, data, config)
    if is_pretrained(cell.variant):
        training_runs.pretrain(lifter, cell, data, curve)
    batches = batches_of(config, data, cell.seed)
    training_runs.fit(lifter, lifter, batches, config, cell, data, curve)
    return lifter


def build(
    cell: variants.Cell, data: training_data.TrainingData, config: configs.FinetuneConfig
) -> multi_view_lifter.MultiViewLifter:
    """Builds the untrained lifter that takes what `batches_of` gives."""
    objective = stages.objective(config)
    lifter = training_runs.build(cell, data, objective, model=stages.model(config))
    if config.refine_extrinsics:
        known = distinct_cameras.collect([data.seen])
        lifter.refine_extrinsics(camera_refinement.CameraRefinement(known))
    return lifter


def batches_of(
    config: configs.FinetuneConfig, data: training_data.TrainingData, seed: int
) -> tf.data.Dataset:
    """Gives batches without end of pairs, or of instants, as the stage wants.

    Of a pair both views are lifted, of an instant one: twice as many instants are as much work.
    """
    if not stages.takes_instants(config):
        return training_data.pair_batches(data, config.batch_size, seed)
    instants = np.unique(data.pairs[:, 0])
    seen = tf.nest.map_structure(lambda field: np.asarray(field)[instants], data.seen)
    if instant_switches.of_config(config).needs_agreement and not config.refine_extrinsics:
        seen = agreement.beforehand(seen)
    return peers.shuffled_batches((seen,), 2 * config.batch_size, seed).map(lambda seen: seen)


def is_pretrained(variant: variants.Variant) -> bool:
    """Tells whether eq. (6) comes first."""
    if variant.is_pretrained is None:
        return recipes.RECIPES[variant.recipe].needs_pretraining
    return variant.is_pretrained
