import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.datasets import tfrecords
from keras_mvlift.metrics import held_out_views
from keras_mvlift.training import held_out
from tests import tiny_studio


@pytest.fixture(scope="module")
def prepared():
    return tiny_studio.prepare(tiny_studio.film())


@pytest.fixture(scope="module")
def seen(prepared):
    return held_out_views.views_of_pairs(tiny_studio.pair(prepared.held_out_pairs))


@pytest.fixture(scope="module")
def batches(prepared, tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.gz"
    tiny_studio.write(path, prepared.train_pairs)
    return tfrecords.load(str(path), tiny_studio.BATCH_SIZE, seed=0)


def fit(batches, callbacks, learning_rate=1e-3, epochs=3):
    lifter = tiny_studio.lifter()
    lifter.compile(keras.optimizers.legacy.Adam(learning_rate))
    history = lifter.fit(
        batches, steps_per_epoch=2, epochs=epochs, callbacks=callbacks, verbose=0
    ).history
    return lifter, history


def test_each_epoch_is_scored_by_the_model_it_left(batches, seen):
    lifter, history = fit(batches, [held_out.HeldOutViews(seen)])
    expected = held_out.score(lifter, seen)
    assert set(expected) == set(held_out_views.SCORE_NAMES)
    for name, value in expected.items():
        column = history[f"val_held_out_{name}"]
        assert len(set(column)) == 3
        assert column[-1] == pytest.approx(value, rel=1e-5)


def test_keras_stops_early_on_it(batches, seen):
    callbacks = [
        held_out.HeldOutViews(seen),
        keras.callbacks.EarlyStopping("val_held_out_mean_px", patience=1, min_delta=1e9),
    ]
    _, history = fit(batches, callbacks, epochs=9)
    # The first epoch is the best by definition; one more may fail to beat it.
    assert len(history["loss"]) == 2


def test_views_are_lifted_by_themselves_and_laid_out_again(seen, monkeypatch):
    lifter = tiny_studio.trained()
    expected = held_out.score(lifter, seen)
    poses = [
        lifter(tf.nest.map_structure(lambda x, at=at: x[:, at], seen)).root_relative_pose.numpy()
        for at in (0, 1)
    ]
    by_hand = held_out_views.score(seen, np.stack(poses, axis=1))
    monkeypatch.setattr(held_out, "_SCORED_AT_ONCE", 5)
    in_batches = held_out.score(lifter, seen)
    for name in held_out_views.SCORE_NAMES:
        assert expected[name] == pytest.approx(by_hand[name], rel=1e-3)
        assert in_batches[name] == pytest.approx(by_hand[name], rel=1e-3)


def test_the_root_network_is_asked_where_its_placement_is_wanted(seen):
    lifter = tiny_studio.trained()
    solved = held_out.score(lifter, seen)
    asked = held_out.score(lifter, seen, placement="predicted")
    for weight in lifter.root_network.weights:
        weight.assign_add(tf.ones_like(weight))
    assert held_out.score(lifter, seen) == pytest.approx(solved)
    assert held_out.score(lifter, seen, placement="predicted") != pytest.approx(asked)


def test_a_part_of_the_model_can_be_measured(seen):
    lifter = tiny_studio.trained()
    callback = held_out.HeldOutViews(seen, lifter)
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert logs["val_held_out_mean_mm"] == pytest.approx(held_out.score(lifter, seen)["mean_mm"])
