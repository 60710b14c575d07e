"""Trains on two replicas, in a process of its own: devices are made before TensorFlow starts."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.datasets import tfrecords
from keras_mvlift.networks import residual
from keras_mvlift.training import multi_view_lifter, objectives
from tests import forks, tiny_studio

STEPS = 3
LEARNING_RATE = 1e-6


def network(num_outputs, seed):
    """A network that treats each example apart from the others."""
    initializer = keras.initializers.RandomNormal(stddev=0.1, seed=seed)
    layers = [keras.layers.Flatten(), keras.layers.Dense(num_outputs, None, True, initializer)]
    return keras.Sequential([keras.Input((17, 2)), *layers])


def without_statistics():
    head = residual.RayRoot(tiny_studio.RIG_DISTANCE)
    objective = objectives.TransformReprojection()
    recipe = multi_view_lifter.RECIPES["ray_root"]
    networks = network(51, 0), network(3, 1)
    return multi_view_lifter.MultiViewLifter(*networks, head, recipe, objective)


def learn(make, batches):
    """Returns the loss of an epoch and the weights before and after it."""
    # Adam would take the same step for gradients of twice the size.
    lifter = tiny_studio.compiled(make(), keras.optimizers.legacy.SGD(LEARNING_RATE))
    before = tiny_studio.weights(lifter)
    history = lifter.fit(batches, steps_per_epoch=STEPS, verbose=0).history
    return {"loss": np.array(history["loss"])} | {
        f"{index}": np.stack(pair)
        for index, pair in enumerate(zip(before, tiny_studio.weights(lifter), strict=True))
    }


def learn_both(train, doubled):
    """Trains a network without batch statistics, and one with them on halves that are alike."""
    plain = learn(without_statistics, tfrecords.load(train, tiny_studio.BATCH_SIZE, seed=0))
    # Batch norm takes its statistics per replica. Both replicas get the same half of each batch,
    # so that the statistics of a half are those of the whole.
    halves = tfrecords.load_once(doubled, tiny_studio.BATCH_SIZE).take(1).repeat()
    residual = learn(lambda: tiny_studio.lifter("ray_root"), halves)
    return plain, residual


def learn_on_two_replicas(folder, *files):
    device = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, logical)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        assert strategy.num_replicas_in_sync == 2
        for name, learned in zip(("plain", "residual"), learn_both(*files), strict=True):
            np.savez(folder / f"{name}.npz", **learned)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """What one replica learned, and what two did."""
    folder = tmp_path_factory.mktemp("replicas")
    columns = tiny_studio.prepare(tiny_studio.film()).train_pairs
    half = {name: values[: tiny_studio.BATCH_SIZE // 2] for name, values in columns.items()}
    doubled = {name: np.concatenate([values, values]) for name, values in half.items()}
    files = (
        tiny_studio.write(folder / "train.gz", columns),
        tiny_studio.write(folder / "doubled.gz", doubled),
    )
    process = forks.start(learn_on_two_replicas, folder, *files)
    alone = learn_both(*files)
    process.join()
    assert process.exitcode == 0
    together = [dict(np.load(folder / f"{name}.npz")) for name in ("plain", "residual")]
    return dict(zip(("plain", "residual"), zip(alone, together, strict=True), strict=True))


@pytest.mark.parametrize("name", ["plain", "residual"])
def test_two_replicas_report_the_loss_of_one_with_the_same_batches(learned, name):
    alone, together = learned[name]
    np.testing.assert_allclose(together["loss"], alone["loss"], rtol=1e-4)


@pytest.mark.parametrize("name", ["plain", "residual"])
def test_two_replicas_learn_what_one_learns_of_the_same_batches(learned, name):
    alone, together = learned[name]
    assert alone.keys() == together.keys()
    changes = [
        np.concatenate(
            [np.ravel(value[1] - value[0]) for key, value in one.items() if key != "loss"]
        )
        for one in (alone, together)
    ]
    largest = np.abs(changes[0]).max()
    assert largest > 1e-3
    np.testing.assert_allclose(changes[1], changes[0], atol=2e-3 * largest)
