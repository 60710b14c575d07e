import numpy as np
import pytest

from keras_mvlift.experiments import methods
from keras_mvlift.metrics import pose_error
from tests.experiments import tiny_experiments


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


def error(data, poses):
    return float(np.mean(pose_error.mpjpe(data.test.reference_pose, poses.astype(np.float32))))


@pytest.mark.parametrize("method", ["self_supervised", "pseudo_labels"])
def test_a_method_lifts_every_test_view_and_tells_its_epochs(data, method):
    curve = []
    poses = methods.METHODS[method](tiny_experiments.cell(method=method), data, curve)
    assert poses.shape == data.test.reference_pose.shape
    assert [entry["epoch"] for entry in curve] == [1, 2]
    assert curve[1]["loss"] < curve[0]["loss"]


@pytest.mark.parametrize("recipe", ["paper", "solved_root"])
def test_pretraining_comes_first_where_it_is_needed_or_asked_for(data, recipe, monkeypatch):
    stages = []
    monkeypatch.setattr(
        methods, "fit", lambda *arguments: stages.append(type(arguments[3]).__name__)
    )
    for given in (None, True, False):
        cell = tiny_experiments.cell(recipe=recipe, is_pretrained=given)
        methods.self_supervised(cell, data, [])
    both, one = ["PretrainConfig", "FinetuneConfig"], ["FinetuneConfig"]
    assert stages == (both if recipe == "paper" else one) + both + one


def test_a_seed_gives_the_same_poses_and_another_seed_others(data):
    cells = [tiny_experiments.cell(seed, method="supervised") for seed in (0, 0, 1)]
    runs = [methods.supervised(cell, data, []) for cell in cells]
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-6)
    assert np.abs(runs[0] - runs[2]).max() > 1e-4


def test_triangulation_of_all_test_views_is_near_the_truth(data):
    poses = methods.triangulation(tiny_experiments.cell(), data, [])
    untrained = np.zeros_like(data.test.reference_pose)
    assert error(data, poses) < error(data, untrained) / 3


def test_settings_of_the_variant_reach_the_stage():
    cell = tiny_experiments.cell(
        7, transform_weight=0.25, confidence_weighting="product", distance="squared_norm"
    )
    config = methods.finetune_config(cell)
    assert (config.transform_weight, config.confidence_weighting) == (0.25, "product")
    assert (config.distance, config.seed, config.batch_size) == ("squared_norm", 7, 16)
