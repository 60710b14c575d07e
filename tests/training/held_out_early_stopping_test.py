import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.training import (
    held_out,
    multi_view_lifter,
    objectives,
    optimizers,
    stage_data,
    stages,
)
from tests import tiny_studio

# In steps so large that the score soon goes up and down.
STAGE = {"num_epochs": 9, "learning_rate": 0.3, "patience": 1, "weight_averaging": 0.5}


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder, columns = tmp_path_factory.mktemp("records"), tiny_studio.prepare(tiny_studio.film())
    return {
        name: tiny_studio.write(folder / f"{name}.gz", getattr(columns, name))
        for name in ("train_pairs", "held_out_pairs", "train_instants", "held_out_instants")
    }


def run(folder, records, **stage):
    lifter = tiny_studio.lifter(dropout=0.25)
    held_out = [records["held_out_pairs"]]
    history = tiny_studio.run(lifter, folder, records["train_pairs"], held_out, **STAGE | stage)
    return lifter, history


def scores(history):
    return [row[held_out.MONITOR] for row in history]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stopped")


@pytest.fixture(scope="module")
def stopped(folder, records):
    return run(folder, records)


def test_a_stage_ends_when_its_score_has_been_stuck_for_so_long(stopped):
    found = scores(stopped[1])
    assert len(found) < STAGE["num_epochs"]
    assert len(found) == int(np.argmin(found)) + 1 + STAGE["patience"]


def test_a_stage_goes_back_to_the_averages_of_its_best_epoch(stopped, records):
    lifter, history = stopped
    seen = held_out.read_records(records["held_out_pairs"])
    score = held_out.score(lifter, seen)["mean_mm"]
    assert score == pytest.approx(min(scores(history)), rel=1e-6)
    assert score < scores(history)[-1]


def test_a_killed_stage_stops_where_an_unbroken_one_does(stopped, records, tmp_path, monkeypatch):
    lifter, history = stopped
    # One epoch before the last.
    last = len(history) - 2
    save = stages.EpochCheckpoints.on_epoch_end

    def save_and_die(callback, epoch, logs=None):
        save(callback, epoch, logs)
        if epoch == last:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(stages.EpochCheckpoints, "on_epoch_end", save_and_die)
        with pytest.raises(KilledError):
            run(tmp_path, records)
    resumed, rows = run(tmp_path, records)
    assert rows == history
    assert tiny_studio.same(tiny_studio.weights(resumed), tiny_studio.weights(lifter))


def test_a_stage_killed_behind_its_last_epoch_trains_no_more(stopped, folder, records, tmp_path):
    lifter, history = stopped
    again, rows = run(shutil.copytree(folder, tmp_path / "again"), records)
    assert rows == history
    assert tiny_studio.same(tiny_studio.weights(again), tiny_studio.weights(lifter))


def test_weights_in_training_are_given_back_after_their_average_was_scored(records):
    seen = held_out.read_records(records["held_out_pairs"])
    lifter = tiny_studio.lifter()
    lifter.compile(optimizers.build(configs.FinetuneConfig(weight_averaging=0.9), 1))
    best = held_out.BestEpoch(seen, lifter, 1)
    best.set_model(lifter)
    pair = tiny_studio.random_pair(num_pairs=16)
    lifter.fit(tf.data.Dataset.from_tensors(pair), epochs=2, verbose=0)
    before = tiny_studio.weights(lifter)
    best.on_epoch_end(0, {})
    assert tiny_studio.same(tiny_studio.weights(lifter), before)
    assert not tiny_studio.same([x.numpy() for x in best.state["weights"]], before)


def test_a_stage_on_all_views_is_scored_on_whole_instants(records, tmp_path):
    objective = objectives.AllViewsReprojection()
    lifter = tiny_studio.lifter(objective=objective, model=multi_view_lifter.InstantLifter)
    config = configs.FinetuneConfig(num_epochs=2, batch_size=4, views="all", patience=1)
    files = stage_data.Files(
        [records["train_instants"]],
        [records["held_out_instants"]],
        tmp_path / "checkpoints",
        tmp_path / "logs",
        num_views=4,
        num_pairs=84,
    )
    history = stages.run(lifter, config, files, "Finetune")
    seen = held_out.read_records(files.held_out, 4)
    score = held_out.score(lifter, seen)["mean_mm"]
    assert score == pytest.approx(min(scores(history)), rel=1e-6)


def test_no_epoch_keeps_the_weights(records, tmp_path):
    lifter = tiny_studio.trained()
    before = tiny_studio.weights(lifter)
    held_out = [records["held_out_pairs"]]
    tiny_studio.run(lifter, tmp_path, records["train_pairs"], held_out, num_epochs=0, patience=3)
    assert tiny_studio.same(tiny_studio.weights(lifter), before)


def test_patience_without_held_out_records_is_refused(records, tmp_path):
    with pytest.raises(ValueError, match="No instant is held out"):
        tiny_studio.run(tiny_studio.lifter(), tmp_path, records["train_pairs"], patience=1)
