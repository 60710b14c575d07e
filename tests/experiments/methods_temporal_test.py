import dataclasses

import numpy as np
import pytest

from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import methods, variants
from keras_mvlift.networks import temporal
from tests.experiments import tiny_experiments

BUDGET = dataclasses.replace(tiny_experiments.BUDGET, filter_widths=(3, 3))


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data(has_frames_between=True, num_virtual_views=2)


def cell(**changes):
    variant = variants.Variant(method="temporal", backbone="temporal_dilated", **changes)
    return variants.Cell(variant=variant, budget=BUDGET, seed=0)


def test_every_test_view_is_lifted_and_the_loss_falls(data, tmp_path):
    watch = methods.Watch(tmp_path)
    longer = dataclasses.replace(cell(), budget=dataclasses.replace(BUDGET, num_epochs=5))
    poses = methods.self_supervised_by_windows(longer, data, watch)
    assert poses.shape == data.test.reference_pose.shape
    assert np.isfinite(poses).all()
    assert watch.curve[-1]["loss"] < watch.curve[0]["loss"]


def test_the_budget_says_how_long_windows_are_and_the_option_where_they_end(data):
    windows = methods.windows_of(cell(options=(("is_causal", True),)))
    assert windows == (9, True, 1, windows.max_gap)
    assert methods.windows_of(cell()).is_causal is False


def test_the_network_is_built_for_these_windows(data):
    causal = cell(options=(("is_causal", True),))
    given = training_data.WindowedData(data, methods.windows_of(causal))
    lifter = methods.build(causal, given, methods.finetune_config(causal))
    assert lifter.lifting_network.input_shape == (None, 9, 17, 2)
    network = temporal
    assert network.is_causal(lifter.lifting_network)
