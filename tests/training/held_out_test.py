import contextlib
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import tfrecords
from keras_mvlift.metrics import held_out_views
from keras_mvlift.training import held_out, multi_view_lifter, objectives, stage_data, stages
from tests import tiny_studio


@pytest.fixture(scope="module")
def seen(prepared):
    return held_out_views.views_of_pairs(tiny_studio.pair(prepared.held_out_pairs))


@pytest.fixture(scope="module")
def fitted(shards, seen, tmp_path_factory):
    """The history of a fit under watch, its last score, and where TensorBoard was told of it."""
    folder, lifter = tmp_path_factory.mktemp("fitted"), tiny_studio.lifter()
    batches = tfrecords.load(shards["train_pairs"], tiny_studio.BATCH_SIZE, seed=0)
    tiny_studio.compiled(lifter, keras.optimizers.legacy.Adam(1e-3))
    board = held_out.Board(seen, lifter, folder)
    callbacks = [held_out.HeldOutViews(seen), board]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "_SHOWN_EVERY", 2)
        history = lifter.fit(
            batches, steps_per_epoch=2, epochs=5, callbacks=callbacks, verbose=0
        ).history
    assert board._lift.experimental_get_tracing_count() == 1
    return history, held_out.score(lifter, seen), folder


def test_each_epoch_is_scored_by_the_model_it_left(fitted):
    history, expected, _ = fitted
    assert set(expected) == set(held_out_views.SCORE_NAMES)
    for name, value in expected.items():
        column = history[f"val_held_out_{name}"]
        assert len(set(column)) == 5
        assert column[-1] == pytest.approx(value, rel=1e-5)


def events(folder):
    """What TensorBoard reads: by step and tag."""
    (path,) = folder.glob("*tfevents*")
    return {
        (event.step, value.tag): tf.make_ndarray(value.tensor)
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }


def test_tensorboard_is_shown_scores_and_poses_each_tenth_epoch_and_the_last(fitted):
    _, expected, folder = fitted
    found = events(folder)
    assert {step for step, _ in found} == {1, 3, 4}
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


def fit_a_number(callbacks, epochs):
    """Fits a model of one unit, which Keras traces in no time; gives the history."""
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    ones = np.ones((4, 1))
    return model.fit(ones, ones, epochs=epochs, callbacks=callbacks, verbose=0).history


@pytest.mark.parametrize("is_seen", [True, False])
def test_views_are_drawn_if_nothing_can_be_scored_and_nothing_is_logged(seen, is_seen, tmp_path):
    shown = seen._replace(confidence=is_seen * seen.confidence)
    history = fit_a_number([held_out.Board(shown, tiny_studio.lifter(), tmp_path)], epochs=1)
    scores = [f"held_out_{name}" for name in held_out_views.SCORE_NAMES] if is_seen else []
    assert {tag for _, tag in events(tmp_path)} == {*scores, "lifted_poses"}
    assert {*history} == {"loss"}


def test_keras_stops_early_on_it(seen):
    callbacks = [
        held_out.HeldOutViews(seen, tiny_studio.lifter()),
        keras.callbacks.EarlyStopping("val_held_out_mean_px", patience=1, min_delta=1e9),
    ]
    # The first epoch is the best by definition; one more may fail to beat it.
    assert len(fit_a_number(callbacks, epochs=9)["loss"]) == 2


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


def test_a_part_of_the_model_can_be_measured(seen):
    lifter = tiny_studio.trained()
    callback = held_out.HeldOutViews(seen, lifter)
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert logs["val_held_out_mean_mm"] == pytest.approx(held_out.score(lifter, seen)["mean_mm"])


@pytest.fixture
def files(shards):
    return [shards["held_out_pairs"]]


def test_pairs_are_instants_of_two_views(prepared, files):
    seen = held_out.read_records(files)
    columns = prepared.held_out_pairs
    assert seen.confidence.shape == (36, 2, 17)
    for view, side in enumerate(("source", "target")):
        confidence = np.float32(columns[f"{side}/confidence"])
        np.testing.assert_array_equal(seen.confidence[:, view], confidence)
        center = np.asarray(columns[f"{side}/center"], np.float32)
        np.testing.assert_array_equal(seen.camera.center[:, view], center)


def test_instants_have_all_of_their_views_and_room_for_more(prepared, shards):
    seen = held_out.read_records(shards["held_out_instants"], num_views=5)
    assert seen.confidence.shape == (6, 5, 17)
    confidence = np.float32(prepared.held_out_instants["views/confidence"])
    np.testing.assert_array_equal(seen.confidence[:, :4], confidence)
    assert not seen.confidence[:, 4].any()


def test_of_too_many_records_some_of_all_kinds_are_drawn_the_same_each_time(files, monkeypatch):
    everything = held_out.read_records(files)
    monkeypatch.setattr(held_out, "MAX_RECORDS", 18)
    some, again = (held_out.read_records(files) for _ in range(2))
    assert 9 <= len(some.confidence) <= 27
    tf.nest.map_structure(np.testing.assert_array_equal, some, again)

    def rigs(seen):
        return len(np.unique(seen.camera.center.reshape(len(seen.confidence), -1), axis=0))

    # Of the six pairs that four cameras make, each third record would hold two.
    assert rigs(some) > rigs(everything) / 2


def test_nothing_held_out_is_an_error(tmp_path):
    empty = tiny_studio.write(tmp_path / "empty.gz", {"frame": np.zeros(0, np.int64)})
    for files in ([], [empty]):
        with pytest.raises(ValueError, match="No instant is held out"):
            held_out.read_records(files)


# In steps so large that the score soon goes up and down.
STAGE = {"num_epochs": 9, "learning_rate": 0.3, "patience": 1, "weight_averaging": 0.5}


def run(folder, shards, **stage):
    lifter = tiny_studio.lifter(dropout=0.25)
    held_out = [shards["held_out_pairs"]]
    history = tiny_studio.run(lifter, folder, shards["train_pairs"], held_out, **STAGE | stage)
    return lifter, history


def scores(history):
    return [row[held_out.MONITOR] for row in history]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stopped")


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    return tmp_path_factory.mktemp("copies")


@pytest.fixture(scope="module")
def stopped(folder, copies, shards):
    """A stage that ended early; what a kill after each epoch would leave lies in copies."""
    with contextlib.ExitStack() as stack:
        for number in range(1, STAGE["num_epochs"]):
            stack.enter_context(tiny_studio.copied_after(number, copies / f"{number}"))
        return run(folder, shards)


def test_a_stage_ends_when_its_score_has_been_stuck_for_so_long(stopped):
    found = scores(stopped[1])
    assert len(found) < STAGE["num_epochs"]
    assert len(found) == int(np.argmin(found)) + 1 + STAGE["patience"]


def test_a_stage_goes_back_to_the_averages_of_its_best_epoch(stopped, shards):
    lifter, history = stopped
    seen = held_out.read_records(shards["held_out_pairs"])
    score = held_out.score(lifter, seen)["mean_mm"]
    assert score == pytest.approx(min(scores(history)), rel=1e-6)
    assert score < scores(history)[-1]


def test_a_killed_stage_stops_where_an_unbroken_one_does(stopped, copies, shards):
    lifter, history = stopped
    # One epoch before the last.
    killed = copies / f"{len(history) - 1}"
    assert stages.history(killed / "checkpoints") == history[:-1]
    resumed, rows = run(killed, shards)
    assert rows == history
    assert tiny_studio.same(tiny_studio.weights(resumed), tiny_studio.weights(lifter))


def test_weights_in_training_are_given_back_after_their_average_was_scored(shards):
    seen = held_out.read_records(shards["held_out_pairs"])
    lifter = tiny_studio.lifter()
    lifter.compile(stages.build_optimizer(configs.FinetuneConfig(weight_averaging=0.9), 1))
    best = held_out.BestEpoch(seen, lifter, 1)
    best.set_model(lifter)
    pair = tiny_studio.random_pair(num_pairs=16)
    lifter.fit(tf.data.Dataset.from_tensors(pair), epochs=2, verbose=0)
    before = tiny_studio.weights(lifter)
    best.on_epoch_end(0, {})
    assert tiny_studio.same(tiny_studio.weights(lifter), before)
    assert not tiny_studio.same([x.numpy() for x in best.state["weights"]], before)


def test_a_stage_on_all_views_is_scored_on_whole_instants(shards, tmp_path):
    objective = objectives.AllViewsReprojection()
    lifter = tiny_studio.lifter(objective=objective, model=multi_view_lifter.InstantLifter)
    config = configs.FinetuneConfig(num_epochs=2, batch_size=4, views="all", patience=1)
    files = stage_data.Files(
        [shards["train_instants"]],
        [shards["held_out_instants"]],
        tmp_path / "checkpoints",
        tmp_path / "logs",
        num_views=4,
        num_pairs=84,
    )
    history = stages.run(lifter, config, files, "Finetune")
    seen = held_out.read_records(files.held_out, 4)
    score = held_out.score(lifter, seen)["mean_mm"]
    assert score == pytest.approx(min(scores(history)), rel=1e-6)


def test_patience_without_held_out_records_is_refused(shards, tmp_path):
    with pytest.raises(ValueError, match="No instant is held out"):
        tiny_studio.run(tiny_studio.lifter(), tmp_path, shards["train_pairs"], patience=1)


@pytest.fixture(scope="module")
def seen_calibration():
    return tiny_studio.instants(tiny_studio.film())


@pytest.fixture(scope="module")
def calibrated(seen_calibration):
    """A model's uncertainties before and after, and what was found."""
    model = tiny_studio.lifter(uncertainty=True)
    own = tf.nest.map_structure(lambda field: tf.constant(field[:, 0]), seen_calibration)
    before = model.uncertainty(own).numpy()
    found = held_out.calibrate_uncertainty(model, model.uncertainty, seen_calibration)
    return model, before, model.uncertainty(own).numpy(), found


def test_all_predictions_are_multiplied_by_the_factor(calibrated):
    _, before, after, found = calibrated
    np.testing.assert_allclose(after, found["factor"] * before, rtol=1e-5)


def test_the_stated_share_lies_within_the_half_that_was_fitted(calibrated, seen_calibration):
    model, _, _, found = calibrated
    first = tf.nest.map_structure(lambda field: field[:12], seen_calibration)
    error, scale, weight = held_out._measured(model, model.uncertainty, first)
    share = np.average(error <= scale, weights=weight)
    assert share == pytest.approx(0.6827, abs=0.01)
    for name, multiple in found["multiples"].items():
        share = np.average(error <= multiple * scale, weights=weight)
        assert share == pytest.approx(float(name), abs=0.01)


def test_the_other_half_says_how_well_it_holds(calibrated, seen_calibration):
    model, _, _, found = calibrated
    second = tf.nest.map_structure(lambda field: field[12:], seen_calibration)
    error, scale, weight = held_out._measured(model, model.uncertainty, second)
    assert found["within"] == pytest.approx(np.average(error <= scale, weights=weight), abs=1e-3)
    assert found["num_errors"] == np.count_nonzero(weight)
    assert len(found["within_by_third"]) == 3
    assert np.mean(found["within_by_third"]) == pytest.approx(found["within"], abs=0.05)
    assert -1 <= found["rank_correlation"] <= 1
    assert json.loads(json.dumps(found)) == found


def test_calibrating_again_changes_nothing(calibrated, seen_calibration):
    model = calibrated[0]
    again = held_out.calibrate_uncertainty(model, model.uncertainty, seen_calibration)
    assert again["factor"] == pytest.approx(1, rel=1e-4)


def test_too_few_instants_are_refused(calibrated, seen_calibration):
    model = calibrated[0]
    one = tf.nest.map_structure(lambda field: field[:1], seen_calibration)
    with pytest.raises(ValueError, match="two held-out instants or more"):
        held_out.calibrate_uncertainty(model, model.uncertainty, one)
