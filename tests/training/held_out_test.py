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


def events(folder):
    """What TensorBoard reads: by step and tag."""
    (path,) = folder.glob("*tfevents*")
    return {
        (event.step, value.tag): tf.make_ndarray(value.tensor)
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }


def test_tensorboard_is_shown_scores_and_poses_each_tenth_epoch_and_the_last(
    batches, seen, tmp_path, monkeypatch
):
    monkeypatch.setattr(held_out, "_SHOWN_EVERY", 2)
    lifter = tiny_studio.lifter()
    lifter.compile(keras.optimizers.legacy.Adam(1e-3))
    board = held_out.Board(seen, lifter, tmp_path)
    fitted = lifter.fit(batches, steps_per_epoch=2, epochs=5, callbacks=[board], verbose=0)
    assert not any(name.startswith("val_") for name in fitted.history)
    found = events(tmp_path)
    assert {step for step, _ in found} == {1, 3, 4}
    expected = held_out.score(lifter, seen)
    for name, value in expected.items():
        assert found[4, f"held_out_{name}"] == pytest.approx(value, rel=1e-5)
    width, height, *pictures = found[4, "lifted_poses"]
    assert (int(width), int(height), len(pictures)) == (3 * 160, 160, 4)
    shown = tf.image.decode_png(pictures[0]).numpy()
    for color in (held_out._LEFT, held_out._RIGHT, held_out._MIDDLE):
        assert (shown[:, :160] == color).all(axis=-1).sum() > 20
    # Learning changes the poses and not what they are lifted from.
    before = tf.image.decode_png(found[1, "lifted_poses"][2]).numpy()
    np.testing.assert_array_equal(shown[:, :160], before[:, :160])
    assert (shown[:, 160:] != before[:, 160:]).any()


def test_a_picture_shows_the_pose_upright_its_left_on_the_side_it_is():
    pose = np.zeros((17, 3))
    # From the pelvis down to the left hip, right of the middle: y grows downwards.
    pose[4] = [0.3, 0.6, 0.0]
    _, front, side = np.split(held_out._picture(pose, np.zeros((17, 2)), np.zeros(17)), 3, axis=1)
    rows, columns = np.nonzero((front == held_out._LEFT).all(axis=-1))
    assert (rows.max() > 110, columns.max() > 95, columns.min() < 82) == (True, True, True)
    assert np.ptp(np.nonzero((side == held_out._LEFT).all(axis=-1))[1]) < 5


def test_views_that_nothing_can_be_scored_of_are_drawn(batches, seen, tmp_path):
    lifter = tiny_studio.lifter()
    lifter.compile(keras.optimizers.legacy.Adam(1e-3))
    unseen = seen._replace(confidence=np.zeros_like(seen.confidence))
    board = held_out.Board(unseen, lifter, tmp_path)
    lifter.fit(batches, steps_per_epoch=1, epochs=1, callbacks=[board], verbose=0)
    assert [tag for _, tag in events(tmp_path)] == ["lifted_poses"]


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
