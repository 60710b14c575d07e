"""The method itself: trained on calibrated views, without labels."""

import numpy as np

from keras_mvlift import configs
from keras_mvlift.experiments import training_data, training_runs, variants
from keras_mvlift.training import batches, multi_view_lifter, objectives, stage_data, stages


def self_supervised(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Trains by eq. (7) on pairs or on all views of instants, where need be after eq. (6)."""
    return training_runs.lift(train(cell, data, watch), data.test.view)


def train(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> multi_view_lifter.MultiViewLifter:
    """Gives the trained lifter; one that sees windows takes `window_data.WindowedData`."""
    config = training_runs.finetune_config(cell)
    lifter = training_runs.build(cell, data, config)
    if is_pretrained(cell.variant):
        training_runs.pretrain(lifter, cell, data, watch)
    training_runs.fit(lifter, config, source_of(config, data), cell, data, watch)
    return lifter


def source_of(
    config: configs.FinetuneConfig, data: training_data.TrainingData
) -> stage_data.Source:
    """Gives what batches of pairs, or of instants, are drawn from, as the stage wants.

    Of a pair both views are lifted, of an instant one: twice as many instants are as much work.
    """
    if not stages.takes_instants(config):
        return data.pair_source()
    seen = data.paired_instants()
    values: batches.Seen = seen
    if multi_view_lifter.of_config(config).needs_agreement and not config.refine_extrinsics:
        values = objectives.agreed_beforehand(seen)
    return stage_data.Rows(values, num_pairs=len(data.pairs))


def is_pretrained(variant: variants.Variant) -> bool:
    """Tells whether eq. (6) comes first."""
    if variant.is_pretrained is None:
        return multi_view_lifter.RECIPES[variant.recipe].needs_pretraining
    return variant.is_pretrained
