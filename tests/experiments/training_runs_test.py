import numpy as np
import pytest

from keras_mvlift.experiments import training_data, training_runs
from keras_mvlift.training import lifters, stages
from tests.experiments import tiny_experiments


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


def test_settings_of_the_variant_reach_the_stage():
    cell = tiny_experiments.cell(
        7, transform_weight=0.25, confidence_weighting="product", distance="squared_norm"
    )
    config = training_runs.finetune_config(cell)
    assert (config.transform_weight, config.confidence_weighting) == (0.25, "product")
    assert (config.distance, config.seed, config.batch_size) == ("squared_norm", 7, 16)


def test_options_go_to_the_stage_where_it_knows_them_and_else_to_the_method():
    options = (("views", "all"), ("robust_steps", 3), ("labels", "plain"))
    cell = tiny_experiments.cell(options=options)
    config = training_runs.finetune_config(cell)
    assert (config.views, config.robust_steps) == ("all", 3)
    assert training_runs.method_options(cell) == {"labels": "plain"}


def trained(data, **options):
    cell = tiny_experiments.cell(options=tuple(options.items()))
    config = training_runs.finetune_config(cell)
    lifter = training_runs.build(cell, data, stages.objective(config))
    batches = training_data.pair_batches(data, config.batch_size, 0)
    training_runs.fit(lifter, lifter, batches, config, cell, data, [])
    return training_runs.lift(lifter, data.test.view)


def test_averaged_weights_are_those_that_are_measured(data):
    averaged = trained(data, weight_averaging=0.99)
    assert np.isfinite(averaged).all()
    assert np.abs(averaged - trained(data)).max() > 1e-5


def test_pretraining_leaves_its_weights_in_the_lifter(data):
    cell = tiny_experiments.cell(recipe="paper")
    config = training_runs.finetune_config(cell)
    lifter = training_runs.build(cell, data, stages.objective(config))
    before = [weight.numpy() for weight in lifters.weights_of(lifter)]
    curve = []
    training_runs.pretrain(lifter, cell, data, curve)
    after = [weight.numpy() for weight in lifters.weights_of(lifter)]
    assert [entry["stage"] for entry in curve] == ["pretrain"]
    assert any(np.abs(old - new).max() > 1e-4 for old, new in zip(before, after, strict=True))


def test_views_are_lifted_part_by_part_as_they_are_at_once(data, monkeypatch):
    cell = tiny_experiments.cell()
    config = training_runs.finetune_config(cell)
    lifter = training_runs.build(cell, data, stages.objective(config))
    whole = training_runs.lift(lifter, data.test.view)
    monkeypatch.setattr(training_runs, "_BATCH_SIZE", 7)
    np.testing.assert_allclose(training_runs.lift(lifter, data.test.view), whole, atol=1e-5)
