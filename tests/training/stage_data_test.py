import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.training import batches, lifters, objectives, stage_data, stages
from tests import tiny_studio

CONFIG = configs.FinetuneConfig(batch_size=9, seed=3)
STEPS = 3
VALUES = {"number": np.arange(50, dtype=np.float32), "twice": 2 * np.arange(50)}


def arrays(source, **changes):
    return stage_data.Arrays(source=source, steps=STEPS, checkpoints="unused", **changes)


def taken(source, first_epoch, num_batches):
    batches = arrays(source).batches(CONFIG, first_epoch, None).take(num_batches)
    return [np.concatenate([np.ravel(x) for x in tf.nest.flatten(batch)]) for batch in batches]


@pytest.mark.parametrize("kind", ["pairs", "windows", "rows"])
def test_from_an_epoch_on_all_is_as_from_the_start(pairs, kind):
    source = {
        "pairs": stage_data.Pairs(pairs),
        "windows": stage_data.Pairs(pairs, look_up=lambda rows: rows),
        "rows": stage_data.Rows(VALUES),
    }[kind]
    whole = taken(source, 0, 6 * STEPS)
    assert tiny_studio.same(taken(source, 5, STEPS), whole[5 * STEPS :])
    assert not np.array_equal(whole[0], whole[1])


def test_a_pass_has_each_row_once_in_an_order_of_its_own(pairs):
    def numbers(first_batch, num_batches):
        batches = stage_data.Rows(VALUES).batches(CONFIG, first_batch)
        return [batch["number"].numpy() for batch in batches.take(num_batches)]

    # Of 50 rows two batches of 18 make a pass.
    first, second = numbers(0, 2), numbers(2, 2)
    assert {len(batch) for batch in first} == {18}
    for drawn in (first, second):
        assert len(set(np.concatenate(drawn))) == 36
    assert not np.array_equal(first, second)
    (batch,) = stage_data.Rows(VALUES).batches(CONFIG, 0).take(1)
    np.testing.assert_array_equal(batch["twice"], 2 * batch["number"])


def test_instants_take_as_many_batches_to_a_pass_as_their_pairs():
    many = stage_data.Rows(VALUES, num_pairs=45)
    batches = [batch["number"].numpy() for batch in many.batches(CONFIG, 0).take(5)]
    # 90 rows are 50 once and 40 of them again.
    counts = np.bincount(np.concatenate(batches).astype(int), minlength=50)
    assert (counts.min(), counts.max(), counts.sum()) == (1, 2, 90)


def test_pairs_are_kept_where_they_fit_and_looked_up_where_not(pairs):
    kept, source = [], stage_data.Pairs(pairs)
    rows = next(iter(source.batches(CONFIG, 0, kept.append)))
    assert kept[0] is pairs.views
    small = configs.FinetuneConfig(batch_size=9, seed=3, resident_gb=0.00001)
    looked_up = next(iter(source.batches(small, 0, kept.append)))
    assert len(kept) == 1
    expected = batches.take_pairs(tf.constant(kept[0]), rows)
    assert isinstance(looked_up, views.ViewPair)
    tf.nest.map_structure(np.testing.assert_array_equal, looked_up, expected)


def test_fewer_pairs_than_a_batch_are_refused(pairs):
    config = configs.FinetuneConfig(batch_size=100)
    with pytest.raises(ValueError, match="`batch_size` must be at most the number of pairs, 84"):
        stage_data.Pairs(pairs).batches(config, 0, None)


def test_patience_is_refused_where_nothing_is_held_out():
    with pytest.raises(ValueError, match=r"Finetune: `patience` must be 0 .* Received: 2"):
        arrays(None).steps_per_epoch(configs.FinetuneConfig(patience=2), "Finetune")


def test_an_epoch_has_the_steps_that_were_chosen_however_much_there_is():
    data = arrays(stage_data.Rows(VALUES))
    assert data.steps_per_epoch(CONFIG, "Finetune") == STEPS
    batches = data.batches(CONFIG, 0, None)
    assert len(list(itertools.islice(batches, 3 * STEPS))) == 3 * STEPS


NUM_VIEWS = 4
PAIRS = configs.FinetuneConfig(num_epochs=3, batch_size=9)
ALL_VIEWS = configs.FinetuneConfig(
    num_epochs=3, batch_size=9, **configs.finetuning(configs.ModelConfig())
)


def files_of(kind, shards, folder, **about):
    train, held_out = shards[f"train_{kind}"], shards[f"held_out_{kind}"]
    return stage_data.Files([train], [held_out], folder, folder, **about)


@pytest.fixture(scope="module")
def pairs_files(shards, tmp_path_factory):
    return files_of("pairs", shards, tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def instants(shards, pairs_files, tmp_path_factory):
    about = {"num_views": NUM_VIEWS, "num_pairs": pairs_files.count_pairs()}
    return files_of("instants", shards, tmp_path_factory.mktemp("instants"), **about)


def train(folder, files, config):
    files = dataclasses.replace(files, checkpoints=folder / "checkpoints", logs=folder / "logs")
    objective = stages.objective(config, "solved_root")
    lifter = tiny_studio.lifter(objective=objective, model=stages.model(config))
    history = stages.run(lifter, config, files, "Finetune")
    return lifter, history


def test_an_epoch_of_instants_lifts_as_many_views_as_one_of_pairs(pairs_files, instants):
    first = next(iter(pairs_files.batches(PAIRS, 0)))
    assert isinstance(first, views.ViewPair)
    lifted = 2 * len(first.source.confidence)
    batches = list(itertools.islice(instants.batches(ALL_VIEWS, 0), 40))
    assert {len(batch.seen.confidence) for batch in batches} == {lifted} == {18}
    assert instants.count_pairs() == pairs_files.count_pairs() > 0


@pytest.mark.parametrize(("weight", "expected"), [(1.0, objectives.Instants), (0.0, views.View)])
def test_what_the_views_agree_on_is_found_beforehand_where_it_counts(instants, weight, expected):
    config = dataclasses.replace(ALL_VIEWS, triangulation_weight=weight)
    assert isinstance(next(iter(instants.batches(config, 0))), expected)
    assert isinstance(next(iter(instants.held_out_batches(config))), expected)


def test_pairs_are_kept_where_they_fit_and_streamed_where_not(pairs_files):
    kept, streamed = [], configs.FinetuneConfig(batch_size=9, resident_gb=0.00001)
    rows = next(iter(pairs_files.batches(PAIRS, 0, kept.append)))
    assert isinstance(batches.take_pairs(kept[0], rows), views.ViewPair)
    batch = next(iter(pairs_files.batches(streamed, 0, kept.append)))
    assert isinstance(batch, views.ViewPair)
    assert len(kept) == 1
    for first, second in zip(
        pairs_files.held_out_batches(PAIRS), pairs_files.held_out_batches(streamed), strict=True
    ):
        tf.nest.map_structure(np.testing.assert_array_equal, first, second)


def test_without_held_out_records_there_are_no_batches_of_them(pairs_files, instants):
    for files, config in ((pairs_files, PAIRS), (instants, ALL_VIEWS)):
        assert dataclasses.replace(files, held_out=[]).held_out_batches(config) is None
        assert dataclasses.replace(files, held_out=[]).held_out_views() is None
        assert len(files.held_out_views().confidence)


def test_a_stage_on_all_views_that_was_stopped_ends_as_an_unbroken_one(instants, tmp_path):
    with tiny_studio.copied_after(2, tmp_path / "stopped"):
        unbroken, history = train(tmp_path / "unbroken", instants, ALL_VIEWS)
    assert len(history) == 3
    assert {"triangulation", "val_triangulation"} <= history[0].keys()
    assert history[-1]["loss"] < history[0]["loss"]
    assert len(stages.history(tmp_path / "stopped" / "checkpoints")) == 2
    resumed, again = train(tmp_path / "stopped", instants, ALL_VIEWS)
    assert again[-1]["loss"] == history[-1]["loss"]
    assert tiny_studio.same(
        *([x.numpy() for x in lifters.weights_of(lifter)] for lifter in (unbroken, resumed))
    )


def test_the_default_objective_weighs_by_who_is_compared_with():
    reprojection, triangulated = stages.objective(ALL_VIEWS, "solved_root").terms
    assert reprojection == objectives.AllViewsReprojection(confidence_weighting="target")
    assert triangulated == objectives.TriangulatedPose(weight=1.0)
