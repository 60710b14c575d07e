import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.training import optimizers, stages
from tests import tiny_studio

RAYS = tf.constant(np.random.default_rng(0).normal(0, 0.2, (8, 17, 2)), tf.float32)


def compiled(**model):
    """A model with everything that has a state: dropout, Adam's moments, averages."""
    lifter = tiny_studio.lifter(**{"dropout": 0.5} | model)
    config = configs.FinetuneConfig(weight_averaging=0.9)
    lifter.compile(optimizers.build(config, steps_per_epoch=1))
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
