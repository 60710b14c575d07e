import copy
import dataclasses

import numpy as np
import pytest

from keras_mvlift.experiments import methods
from keras_mvlift.networks import residual
from keras_mvlift.training import lifters, optimizers
from tests.experiments import tiny_experiments


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


def test_settings_of_the_variant_reach_the_stage():
    cell = tiny_experiments.cell(
        7, transform_weight=0.25, confidence_weighting="product", distance="squared_norm"
    )
    config = methods.finetune_config(cell)
    assert (config.transform_weight, config.confidence_weighting) == (0.25, "product")
    assert (config.distance, config.seed, config.batch_size) == ("squared_norm", 7, 16)


def test_options_go_to_stage_and_networks_where_they_know_them_and_else_to_the_method():
    options = (("views", "all"), ("triangulation_weight", 0.3), ("labels", "plain"))
    cell = tiny_experiments.cell(options=(*options, ("network_input", "centered")))
    config = methods.finetune_config(cell)
    assert (config.views, config.triangulation_weight) == ("all", 0.3)
    assert methods.method_options(cell) == {"labels": "plain"}
    lifter = methods.build(cell, tiny_experiments.data(), config)
    assert lifter.network_input is residual.centered_input


def trained(data, folder, **options):
    cell = tiny_experiments.cell(options=tuple(options.items()))
    config = methods.finetune_config(cell)
    lifter = methods.build(cell, data, config)
    watch = methods.Watch(folder)
    methods.fit(lifter, config, data.pair_source(), cell, data, watch)
    return methods.lift(lifter, data.test.view), watch


def test_averaged_weights_are_those_that_are_measured(data, tmp_path):
    averaged, _ = trained(data, tmp_path / "averaged", weight_averaging=0.99)
    assert np.isfinite(averaged).all()
    assert np.abs(averaged - trained(data, tmp_path / "last")[0]).max() > 1e-5


def test_a_stage_that_was_stopped_goes_on_and_its_curve_is_whole(data, tmp_path):
    expected, whole = trained(data, tmp_path / "unbroken", num_epochs=4)
    trained(data, tmp_path / "stopped", num_epochs=2)
    poses, watch = trained(data, tmp_path / "stopped", num_epochs=4)
    np.testing.assert_array_equal(poses, expected)
    assert watch.curve == whole.curve
    assert [entry["epoch"] for entry in whole.curve] == [1, 2, 3, 4]


def test_a_loss_that_is_no_number_leaves_the_curve_of_the_epochs_before(data, tmp_path):
    trained(data, tmp_path, num_epochs=1)
    spoiled, watch = copy.copy(data), methods.Watch(tmp_path)
    spoiled.seen = data.seen._replace(keypoints_2d=np.nan * data.seen.keypoints_2d)
    cell = tiny_experiments.cell()
    config = methods.finetune_config(cell)
    lifter = methods.build(cell, data, config)
    with pytest.raises(optimizers.NonFiniteLossError):
        methods.fit(lifter, config, spoiled.pair_source(), cell, data, watch)
    assert [entry["epoch"] for entry in watch.curve] == [1]


def test_stage_and_epoch_are_shown(data, tmp_path):
    shown = []
    cell = tiny_experiments.cell(recipe="paper")
    lifter = methods.build(cell, data, methods.finetune_config(cell))
    watch = methods.Watch(tmp_path, shown.append)
    methods.pretrain(lifter, cell, data, watch)
    assert shown == ["pretrain 1/1"]


def test_pretraining_leaves_its_weights_in_the_lifter(data, tmp_path):
    cell = tiny_experiments.cell(recipe="paper")
    lifter = methods.build(cell, data, methods.finetune_config(cell))
    before = [weight.numpy() for weight in lifters.weights_of(lifter)]
    watch = methods.Watch(tmp_path)
    methods.pretrain(lifter, cell, data, watch)
    after = [weight.numpy() for weight in lifters.weights_of(lifter)]
    assert [entry["stage"] for entry in watch.curve] == ["pretrain"]
    assert any(np.abs(old - new).max() > 1e-4 for old, new in zip(before, after, strict=True))


def test_views_are_lifted_part_by_part_as_they_are_at_once(data, monkeypatch):
    cell = tiny_experiments.cell()
    config = methods.finetune_config(cell)
    lifter = methods.build(cell, data, config)
    whole = methods.lift(lifter, data.test.view)
    monkeypatch.setattr(methods, "_BATCH_SIZE", 7)
    np.testing.assert_allclose(methods.lift(lifter, data.test.view), whole, atol=1e-5)


def test_layers_reckon_in_the_precision_of_the_budget(data):
    budget = dataclasses.replace(tiny_experiments.BUDGET, precision="mixed_bfloat16")
    cell = dataclasses.replace(tiny_experiments.cell(), budget=budget)
    config = methods.finetune_config(cell)
    lifter = methods.build(cell, data, config)
    assert config.precision == "mixed_bfloat16"
    assert "bfloat16" in {layer.compute_dtype for layer in lifter.lifting_network.layers}
