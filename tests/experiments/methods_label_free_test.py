import numpy as np
import pytest

from keras_mvlift.experiments import methods
from keras_mvlift.training import augmentation, multi_view_lifter
from tests.experiments import tiny_experiments

ALL_VIEWS = (("views", "all"),)


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


@pytest.mark.parametrize("options", [(), ALL_VIEWS])
def test_training_lowers_the_loss(data, options, tmp_path):
    watch = methods.Watch(tmp_path)
    methods.self_supervised(tiny_experiments.cell(options=options), data, watch)
    curve = watch.curve
    assert curve[1]["loss"] < curve[0]["loss"]


@pytest.mark.parametrize("recipe", ["paper", "solved_root"])
def test_pretraining_comes_first_where_it_is_needed_or_asked_for(data, recipe, monkeypatch):
    stages = []
    monkeypatch.setattr(
        methods, "fit", lambda *arguments: stages.append(type(arguments[1]).__name__)
    )
    for given in (None, True, False):
        cell = tiny_experiments.cell(recipe=recipe, is_pretrained=given)
        methods.self_supervised(cell, data, None)
    both, one = ["PretrainConfig", "FinetuneConfig"], ["FinetuneConfig"]
    assert stages == (both if recipe == "paper" else one) + both + one


def test_instants_come_twice_as_many_as_pairs_and_with_two_usable_views_or_more(data):
    config = methods.finetune_config(tiny_experiments.cell(options=ALL_VIEWS))
    seen = next(iter(methods.source_of(config, data).batches(config, 0, None)))
    assert seen.confidence.shape == (32, 4, 17)
    usable = np.count_nonzero(seen.confidence > 0, axis=-1) >= 8
    assert (usable.sum(axis=-1) >= 2).all()


def test_switches_of_the_stage_reach_the_lifter(data):
    options = (*ALL_VIEWS, ("flip_augmentation", True))
    cell = tiny_experiments.cell(options=options)
    lifter = methods.build(cell, data, methods.finetune_config(cell))
    assert isinstance(lifter, multi_view_lifter.InstantLifter)
    (change,) = lifter.changes
    assert isinstance(change, augmentation.Mirroring)
