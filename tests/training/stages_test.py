import contextlib
import fcntl
import io
import os
import pathlib
import shutil
import signal
import struct
import termios
import types
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_addons as tfa
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.training import batches, multi_view_lifter, objectives, stages
from tests import forks, tiny_studio

# All that has a state of its own: dropout, Adam's moments, averages of weights, a staircase.
MODEL = {"dropout": 0.25}
STAGE = {"num_epochs": 4, "weight_averaging": 0.9, "decay_every": 2}
KILLED_IN_EPOCH = 2


@pytest.fixture(scope="module")
def records(shards):
    return {"train": shards["train_pairs"], "held_out": [shards["held_out_pairs"]]}


class Run(NamedTuple):
    """A stage that was run.

    Attributes:
        lifter: As it was left.
        history: As it was given.
        folder: Where it wrote.
        first_epochs: Where it began to read the records.
        steps: The trainable weights before the first step and after each.
        shown: What it wrote to the error stream.
    """

    lifter: multi_view_lifter.MultiViewLifter
    history: list[dict[str, float]]
    folder: pathlib.Path
    first_epochs: list[int]
    steps: list[list[np.ndarray]]
    shown: str


def train(folder, records, stderr=None, **changes):
    """Runs the stage under watch."""
    lifter, first_epochs, steps, load = tiny_studio.lifter(**MODEL), [], [], batches.load_pairs

    def watched(*arguments, first_epoch, **options):
        first_epochs.append(first_epoch)
        return load(*arguments, first_epoch=first_epoch, **options)

    def note(*_):
        steps.append([weight.numpy() for weight in lifter.trainable_variables])

    note()
    stderr = stderr or io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(stderr):
        patch.setattr(batches, "load_pairs", watched)
        patch.setattr(stages.StopOnNonFiniteLoss, "on_train_batch_end", note)
        history = tiny_studio.run(lifter, folder, **records, **STAGE | changes)
    shown = stderr.getvalue() if isinstance(stderr, io.StringIO) else ""
    return Run(lifter, history, folder, first_epochs, steps, shown)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, records):
    return train(tmp_path_factory.mktemp("unbroken"), records)


def epochs(history):
    return [int(row["epoch"]) for row in history]


def train_until_killed(folder, records):
    class Kill(stages.StopOnNonFiniteLoss):
        def on_train_batch_end(self, batch, logs):
            super().on_train_batch_end(batch, logs)
            if (self.epoch, batch) == (KILLED_IN_EPOCH, 1):
                os.kill(os.getpid(), signal.SIGKILL)

    stages.StopOnNonFiniteLoss = Kill
    tiny_studio.run(tiny_studio.lifter(**MODEL), folder, **records, **STAGE)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, records):
    """A stage that was killed in the middle of an epoch, and run again."""
    folder = tmp_path_factory.mktemp("killed")
    process = forks.start(train_until_killed, folder, records)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return train(folder, records)


def test_a_killed_stage_goes_on_behind_its_last_whole_epoch(resumed):
    assert resumed.first_epochs == [KILLED_IN_EPOCH]
    num_epochs = STAGE["num_epochs"] - KILLED_IN_EPOCH
    assert len(resumed.steps) == 1 + num_epochs * tiny_studio.NUM_BATCHES


def test_a_resumed_stage_has_each_epoch_once_in_its_history(resumed, unbroken):
    assert epochs(resumed.history) == list(range(STAGE["num_epochs"]))
    assert resumed.history == unbroken.history


def test_a_resumed_stage_ends_with_the_weights_of_an_unbroken_one_to_the_bit(resumed, unbroken):
    assert tiny_studio.same(*(tiny_studio.weights(run.lifter) for run in (resumed, unbroken)))


def test_a_stage_killed_behind_its_last_epoch_trains_no_more(unbroken, records, tmp_path):
    folder = shutil.copytree(unbroken.folder, tmp_path / "again")
    # Killed while it noted an epoch that it had not saved, at that.
    with (folder / "checkpoints" / "history.csv").open("a") as file:
        file.write("4,1.0,2.0\n")
    again = train(folder, records)
    assert len(again.steps) == 1
    assert again.history == unbroken.history
    assert tiny_studio.same(*(tiny_studio.weights(run.lifter) for run in (again, unbroken)))


def test_the_history_holds_the_losses_of_each_epoch_with_those_held_out(unbroken):
    first, *_, last = unbroken.history
    parts = ["loss", "reprojection", "root", "transform_reprojection"]
    assert [*first] == ["epoch", *parts, *(f"val_{part}" for part in parts)]
    assert last["loss"] < first["loss"]
    logged, kept = (
        (unbroken.folder / name / "history.csv").read_text() for name in ("logs", "checkpoints")
    )
    assert logged == kept
    assert len(logged.splitlines()) == 1 + STAGE["num_epochs"]


def test_a_stage_leaves_logs_for_tensorboard(unbroken):
    logs = (unbroken.folder / "logs").rglob("*tfevents*")
    assert {path.parent.name for path in logs} == {"train", "validation", "poses"}


def test_an_epoch_of_the_staircase_is_as_many_steps_as_batches_fit_the_pairs(unbroken):
    # 84 pairs in batches of 16 are 5 steps, and the rate falls after 2 epochs.
    optimizer = unbroken.lifter.optimizer
    assert int(optimizer.iterations) == 5 * STAGE["num_epochs"]
    rates = [float(optimizer.learning_rate(step)) for step in (9, 10)]
    assert rates == pytest.approx([1e-3, 1e-4])


def test_the_model_ends_with_the_average_of_its_weights(unbroken):
    average, *steps = unbroken.steps
    for index, weights in enumerate(steps):
        decay = min(STAGE["weight_averaging"], (1 + index) / (10 + index))
        moved = zip(average, weights, strict=True)
        average = [decay * old + (1 - decay) * new for old, new in moved]
    variables = unbroken.lifter.trainable_variables
    for weight, expected, last in zip(variables, average, steps[-1], strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)
        assert not np.array_equal(weight, last)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, records):
    """An epoch of another seed, nothing held out, on a terminal of 100 columns."""
    screen, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 25, 100, 0, 0))
    with os.fdopen(terminal, "w") as stderr:
        changes = {"train": records["train"], "num_epochs": 1, "seed": 1}
        run = train(tmp_path_factory.mktemp("alone"), {}, stderr, **changes)
        stderr.flush()
        shown = os.read(screen, 10_000).decode()
    os.close(screen)
    return run._replace(shown=shown)


def test_another_seed_gives_other_weights(alone, unbroken):
    assert not tiny_studio.same(alone.steps[-1], unbroken.steps[tiny_studio.NUM_BATCHES])


def test_nothing_held_out_leaves_no_trace_in_the_history(alone):
    (row,) = alone.history
    assert [*row] == ["epoch", "loss", "reprojection", "root", "transform_reprojection"]


def test_a_bar_is_drawn_on_a_terminal_alone(alone, unbroken):
    assert "Finetune" in alone.shown
    assert "1/1 epochs" in alone.shown
    assert unbroken.shown == ""


def test_no_epoch_leaves_the_model_as_it_is(tmp_path, records):
    lifter = tiny_studio.lifter()
    before = tiny_studio.weights(lifter)
    assert tiny_studio.run(lifter, tmp_path, **records, num_epochs=0, weight_averaging=0.9) == []
    assert tiny_studio.same(before, tiny_studio.weights(lifter))


def test_a_batch_larger_than_the_data_is_refused(tmp_path, records):
    rule = r"Finetune: `batch_size` must be at most the number of pairs, 84. Received: 85."
    with pytest.raises(ValueError, match=rule):
        tiny_studio.run(tiny_studio.lifter(), tmp_path, **records, batch_size=85)


def test_a_learning_rate_that_explodes_stops_the_stage_naming_step_and_epoch(tmp_path, records):
    squared = objectives.TransformReprojection(distance="squared_norm")
    lifter = tiny_studio.lifter("paper", squared)
    with pytest.raises(stages.NonFiniteLossError, match=r"^Finetune: .* at step 2 of epoch 1"):
        tiny_studio.run(lifter, tmp_path, **records, learning_rate=1e30, clip_norm=0.0)


def test_a_keypoint_that_is_no_number_stops_the_stage(tmp_path, prepared):
    spoiled = prepared.train_pairs["source/keypoints_2d"].copy()
    spoiled[:, 3] = np.nan
    path = tiny_studio.write(
        tmp_path / "spoiled.gz", prepared.train_pairs | {"source/keypoints_2d": spoiled}
    )
    with pytest.raises(stages.NonFiniteLossError, match=r"^Finetune: .* at step 1 of epoch 1"):
        tiny_studio.run(tiny_studio.lifter("paper"), tmp_path, path)


def test_the_first_stage_minimizes_what_the_recipe_says():
    first = {
        name: stages.objective(configs.PretrainConfig(), name) for name in multi_view_lifter.RECIPES
    }
    assert first == {
        "paper": objectives.Consistency(),
        "ray_root": objectives.Consistency(),
        "solved_root": objectives.TransformReprojection(),
    }


def test_fine_tuning_minimizes_what_its_config_says():
    chosen = {"transform_weight": 0.5, "confidence_weighting": "none", "distance": "squared_norm"}
    expected = objectives.TransformReprojection(**chosen)
    assert stages.objective(configs.FinetuneConfig(**chosen), "paper") == expected


def test_what_beyond_eq_7_a_config_asks_for_reaches_objective_and_model():
    pairs = configs.FinetuneConfig(least_depth=0.2)
    assert stages.objective(pairs, "paper") == objectives.TransformReprojection(least_depth=0.2)
    weights = {"reprojection_weight": 0.5, "triangulation_weight": 0.3}
    config = configs.FinetuneConfig(views="all", flip_augmentation=True, **weights)
    objective = stages.objective(config, "solved_root")
    assert objective.terms == (
        objectives.AllViewsReprojection(confidence_weighting="source", reprojection_weight=0.5),
        objectives.TriangulatedPose(weight=0.3),
    )
    for stage, terms in (
        (config, objective),
        (configs.FinetuneConfig(flip_augmentation=True), None),
    ):
        lifter = tiny_studio.lifter(objective=terms, model=stages.model(stage))
        (change,) = lifter.changes
        assert isinstance(change, batches.Mirroring)


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ({}, {"reprojection", "transform_reprojection"}),
        ({"triangulation_weight": 1.0, "reprojection_weight": 0.0}, {"triangulation"}),
    ],
)
def test_what_has_no_weight_is_not_computed(weights, parts):
    config = configs.FinetuneConfig(views="all", **weights)
    assert set(stages.objective(config, "solved_root").parts) == parts
    lifter = tiny_studio.lifter(
        objective=stages.objective(config, "solved_root"), model=stages.model(config)
    )
    assert lifter.changes == ()


RAYS = np.random.default_rng(0).normal(0, 0.2, (8, 17, 2)).astype(np.float32)


def test_a_model_keeps_views_unless_it_takes_whole_pairs_or_has_replicas(monkeypatch):
    assert stages._keep(keras.Model()) is None
    keeping = tiny_studio.lifter()
    assert stages._keep(keeping) == keeping.keep
    of_two = types.SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(multi_view_lifter.MultiViewLifter, "distribute_strategy", of_two)
    assert stages._keep(keeping) is None


def compiled(**model):
    """A model with everything that has a state: dropout, Adam's moments, averages."""
    lifter = tiny_studio.lifter(**{"dropout": 0.5} | model)
    config = configs.FinetuneConfig(weight_averaging=0.9)
    lifter.compile(stages.build_optimizer(config, steps_per_epoch=1))
    return lifter


def step(lifter):
    """One step of training, toward nowhere in particular."""
    networks = (lifter.lifting_network, lifter.root_network)
    variables = lifter.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.add_n([tf.reduce_sum(network(RAYS, training=True)) for network in networks])
    lifter.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    return float(loss)


def saved(folder, num_epochs):
    """A model whose first epochs, of one step each, have been saved."""
    lifter = compiled()
    saver = stages.EpochCheckpoints(folder)
    assert saver.restore(lifter) == 0
    for epoch in range(num_epochs):
        step(lifter)
        saver.on_epoch_end(epoch)
    return lifter


def test_without_a_checkpoint_no_epoch_is_done_and_nothing_changes(tmp_path):
    lifter = compiled()
    before = tiny_studio.weights(lifter)
    assert stages.EpochCheckpoints(tmp_path / "none").restore(lifter) == 0
    assert tiny_studio.same(before, tiny_studio.weights(lifter))


def test_a_restored_model_goes_on_as_if_it_had_never_stopped(tmp_path):
    lifter, again = saved(tmp_path, num_epochs=2), compiled()
    assert stages.EpochCheckpoints(tmp_path).restore(again) == 2
    # Dropout draws the same masks, Adam takes the same steps, the averages stay the same.
    assert [step(again) for _ in range(3)] == [step(lifter) for _ in range(3)]
    assert tiny_studio.same(tiny_studio.weights(again), tiny_studio.weights(lifter))
    for one in (again, lifter):
        one.optimizer.assign_average_vars(one.trainable_variables)
    assert tiny_studio.same(tiny_studio.weights(again), tiny_studio.weights(lifter))


def test_what_was_done_behind_the_last_epoch_is_forgotten(tmp_path):
    lifter = saved(tmp_path, num_epochs=1)
    kept = tiny_studio.weights(lifter)
    step(lifter)
    again = compiled()
    assert stages.EpochCheckpoints(tmp_path).restore(again) == 1
    assert tiny_studio.same(tiny_studio.weights(again), kept)


def test_only_the_last_checkpoint_is_kept(tmp_path):
    saved(tmp_path, num_epochs=3)
    assert [path.name for path in tmp_path.glob("*.index")] == ["ckpt-3.index"]


def test_what_is_saved_elsewhere_leaves_the_folder_that_is_read_as_it_was(tmp_path):
    shared, own = tmp_path / "shared", tmp_path / "own"
    saved(shared, num_epochs=1)
    before = {path: path.read_bytes() for path in shared.iterdir()}
    saver = stages.EpochCheckpoints(shared, own)
    assert saver.restore(compiled()) == 1
    saver.on_epoch_end(1)
    assert {path: path.read_bytes() for path in shared.iterdir()} == before
    assert [path.name for path in own.glob("*.index")] == ["ckpt-2.index"]


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    saved(tmp_path, num_epochs=1)
    with pytest.raises(ValueError, match="incompatible"):
        stages.EpochCheckpoints(tmp_path).restore(compiled(width=8))


def test_it_is_a_callback_of_keras(tmp_path):
    assert isinstance(stages.EpochCheckpoints(tmp_path), keras.callbacks.Callback)


STEPS_PER_EPOCH = 7
PLAIN = {"decay_every": 0, "clip_norm": 0.0}


def build(**settings):
    return stages.build_optimizer(configs.FinetuneConfig(**settings), STEPS_PER_EPOCH)


def rate_in_epoch(optimizer, epoch):
    return float(optimizer.learning_rate(epoch * STEPS_PER_EPOCH))


@pytest.mark.parametrize("weight_averaging", [0.0, 0.9])
def test_the_learning_rate_is_the_papers_staircase(weight_averaging):
    # 1e-3, times 0.1 after every 100 epochs, and not a step earlier.
    optimizer = build(weight_averaging=weight_averaging)
    epochs = (0, 50, 100 - 1 / STEPS_PER_EPOCH, 100, 150, 200, 299)
    rates = [rate_in_epoch(optimizer, epoch) for epoch in epochs]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rtol=1e-5)


def test_rate_and_factor_and_epochs_of_the_staircase_are_settings():
    optimizer = build(learning_rate=0.5, decay_rate=0.2, decay_every=3)
    rates = [rate_in_epoch(optimizer, epoch) for epoch in (2, 3, 6)]
    np.testing.assert_allclose(rates, [0.5, 0.1, 0.02], rtol=1e-6)


def test_without_decay_the_learning_rate_is_constant():
    assert float(build(decay_every=0, learning_rate=0.25).learning_rate) == 0.25


def step_optimizer(optimizer, gradient):
    """Where Adam's first moment lies after one step: a tenth of the gradient it was given."""
    variable = tf.Variable([0.0, 0.0])
    optimizer.apply_gradients([(tf.constant(gradient), variable)])
    adam = getattr(optimizer, "_optimizer", optimizer)
    return 10 * adam.get_slot(variable, "m").numpy()


@pytest.mark.parametrize("weight_averaging", [0.0, 0.9])
@pytest.mark.parametrize(
    ("clip_norm", "expected"),
    # The gradient (3, 4) is 5 long.
    [(1.0, (0.6, 0.8)), (0.0, (3.0, 4.0)), (6.0, (3.0, 4.0))],
)
def test_gradients_are_clipped_to_their_norm(weight_averaging, clip_norm, expected):
    optimizer = build(clip_norm=clip_norm, weight_averaging=weight_averaging)
    np.testing.assert_allclose(step_optimizer(optimizer, [3.0, 4.0]), expected, rtol=1e-5)


def test_the_clipped_norm_is_that_of_all_variables_together():
    optimizer = build(clip_norm=1.0)
    first, second = tf.Variable([0.0]), tf.Variable([0.0])
    optimizer.apply_gradients([(tf.constant([3.0]), first), (tf.constant([4.0]), second)])
    moments = [10 * optimizer.get_slot(variable, "m").numpy() for variable in (first, second)]
    np.testing.assert_allclose(np.ravel(moments), [0.6, 0.8], rtol=1e-5)


def test_weights_are_averaged_only_when_asked_for():
    assert type(build()) is keras.optimizers.legacy.Adam
    assert type(build(weight_averaging=0.9)) is tfa.optimizers.MovingAverage


def test_averaging_is_refused_without_tensorflow_addons(monkeypatch):
    monkeypatch.setattr(stages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"`weight_averaging` must be 0 without .*Received: 0\.9"):
        build(weight_averaging=0.9)
    assert type(build()) is keras.optimizers.legacy.Adam


def test_keras_3_alone_is_refused(monkeypatch):
    monkeypatch.setattr(stages.importlib.metadata, "version", lambda name: "3.15.1")
    with pytest.raises(ModuleNotFoundError, match="beside Keras 3") as refused:
        build()
    assert refused.value.name == "tf_keras"


def test_averaging_does_not_change_the_steps():
    plain, averaging = build(**PLAIN), build(**PLAIN, weight_averaging=0.9)
    first, second = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    for gradient in ([3.0, -1.0], [1.0, 5.0]):
        plain.apply_gradients([(tf.constant(gradient), first)])
        averaging.apply_gradients([(tf.constant(gradient), second)])
    np.testing.assert_array_equal(first, second)


def test_the_average_forgets_its_start_quickly_and_its_present_slowly():
    # The decay is min(0.5, (1 + t) / (10 + t)) in step t: 1/10, 2/11, 3/12, ... 1/2.
    optimizer = build(**PLAIN, weight_averaging=0.5)
    variable, expected = tf.Variable(0.0), 0.0
    for index in range(12):
        optimizer.apply_gradients([(tf.constant(1.0), variable)])
        decay = min(0.5, (1 + index) / (10 + index))
        expected = decay * expected + (1 - decay) * float(variable)
    optimizer.assign_average_vars([variable])
    np.testing.assert_allclose(variable, expected, rtol=1e-5)


def test_in_the_scope_of_a_strategy_averages_are_there_before_the_first_step():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
        model.compile(build(weight_averaging=0.5))
        weights = model.trainable_variables
        with pytest.raises(KeyError):
            model.optimizer.get_slot(weights[0], "average")
        stages.make_slots(model)
        average = model.optimizer.get_slot(weights[0], "average")
        average.assign(tf.constant([[3.0], [4.0]]))
        model.optimizer.assign_average_vars(weights)
    np.testing.assert_array_equal(weights[0], [[3.0], [4.0]])


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_no_number_stops_training_naming_stage_epoch_and_step(loss):
    guard = stages.StopOnNonFiniteLoss("Pretrain")
    guard.on_epoch_begin(2)
    with pytest.raises(stages.NonFiniteLossError) as raised:
        guard.on_train_batch_end(6, {"loss": loss})
    expected = f"Pretrain: the loss must be finite. Received: {loss} at step 7 of epoch 3."
    assert str(raised.value).startswith(expected)


def test_the_error_says_what_may_help():
    guard = stages.StopOnNonFiniteLoss("Finetune")
    guard.on_epoch_begin(0)
    with pytest.raises(ArithmeticError, match=r"learning rate or clip_norm.*ray_root, solved_root"):
        guard.on_train_batch_end(0, {"loss": np.nan})


@pytest.mark.parametrize("loss", [0.0, 1e30, -1.0])
def test_any_number_passes(loss):
    guard = stages.StopOnNonFiniteLoss("Finetune")
    guard.on_epoch_begin(0)
    guard.on_train_batch_end(0, {"loss": loss})
