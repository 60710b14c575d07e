import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.training import batches, lifters, objectives, stage_data, stages
from tests import tiny_studio

NUM_VIEWS = 4
PAIRS = configs.FinetuneConfig(num_epochs=3, batch_size=9)
ALL_VIEWS = configs.FinetuneConfig(
    num_epochs=3, batch_size=9, **configs.finetuning(configs.ModelConfig())
)


@pytest.fixture(scope="module")
def columns():
    return tiny_studio.prepare(tiny_studio.film())


@pytest.fixture(scope="module")
def pairs(columns, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    train = tiny_studio.write(folder / "train.gz", columns.train_pairs)
    held_out = tiny_studio.write(folder / "held_out.gz", columns.held_out_pairs)
    return stage_data.Files([train], [held_out], folder, folder)


@pytest.fixture(scope="module")
def instants(columns, pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("instants")
    train = tiny_studio.write(folder / "train.gz", columns.train_instants)
    held_out = tiny_studio.write(folder / "held_out.gz", columns.held_out_instants)
    about = {"num_views": NUM_VIEWS, "num_pairs": pairs.count_pairs()}
    return stage_data.Files([train], [held_out], folder, folder, **about)


def train(folder, files, config):
    files = files._replace(checkpoints=folder / "checkpoints", logs=folder / "logs")
    objective = stages.objective(config, "solved_root")
    lifter = tiny_studio.lifter(objective=objective, model=stages.model(config))
    history = stages.run(lifter, config, files, "Finetune")
    return lifter, history


def test_an_epoch_of_instants_lifts_as_many_views_as_one_of_pairs(pairs, instants):
    first = next(iter(pairs.batches(PAIRS, 0)))
    assert isinstance(first, views.ViewPair)
    lifted = 2 * len(first.source.confidence)
    batches = list(itertools.islice(instants.batches(ALL_VIEWS, 0), 40))
    assert {len(batch.seen.confidence) for batch in batches} == {lifted} == {18}
    assert (pairs.num_rows(PAIRS), instants.num_rows(ALL_VIEWS)) == (9, 18)
    assert instants.count_pairs() == pairs.count_pairs() > 0


@pytest.mark.parametrize(("weight", "expected"), [(1.0, objectives.Instants), (0.0, views.View)])
def test_what_the_views_agree_on_is_found_beforehand_where_it_counts(instants, weight, expected):
    config = dataclasses.replace(ALL_VIEWS, triangulation_weight=weight)
    assert isinstance(next(iter(instants.batches(config, 0))), expected)
    assert isinstance(next(iter(instants.held_out_batches(config))), expected)


def test_pairs_are_kept_where_they_fit_and_streamed_where_not(pairs):
    kept, streamed = [], configs.FinetuneConfig(batch_size=9, resident_gb=0.00001)
    rows = next(iter(pairs.batches(PAIRS, 0, kept.append)))
    assert isinstance(batches.take_pairs(kept[0], rows), views.ViewPair)
    batch = next(iter(pairs.batches(streamed, 0, kept.append)))
    assert isinstance(batch, views.ViewPair)
    assert len(kept) == 1
    for first, second in zip(
        pairs.held_out_batches(PAIRS), pairs.held_out_batches(streamed), strict=True
    ):
        tf.nest.map_structure(np.testing.assert_array_equal, first, second)


def test_without_held_out_records_there_are_no_batches_of_them(pairs, instants):
    for files, config in ((pairs, PAIRS), (instants, ALL_VIEWS)):
        assert files._replace(held_out=[]).held_out_batches(config) is None
        assert files._replace(held_out=[]).held_out_views() is None
        assert len(files.held_out_views().confidence)


def test_a_stage_on_all_views_that_was_stopped_ends_as_an_unbroken_one(instants, tmp_path):
    unbroken, history = train(tmp_path / "unbroken", instants, ALL_VIEWS)
    assert len(history) == 3
    assert {"triangulation", "val_triangulation"} <= history[0].keys()
    assert history[-1]["loss"] < history[0]["loss"]
    begun = configs.FinetuneConfig(**vars(ALL_VIEWS) | {"num_epochs": 2})
    train(tmp_path / "stopped", instants, begun)
    resumed, again = train(tmp_path / "stopped", instants, ALL_VIEWS)
    assert again[-1]["loss"] == history[-1]["loss"]
    assert tiny_studio.same(
        *([x.numpy() for x in lifters.weights_of(lifter)] for lifter in (unbroken, resumed))
    )


def test_the_default_objective_weighs_by_who_is_compared_with():
    reprojection, triangulated = stages.objective(ALL_VIEWS, "solved_root").terms
    assert reprojection == objectives.AllViewsReprojection(confidence_weighting="target")
    assert triangulated == objectives.TriangulatedPose(weight=1.0)
