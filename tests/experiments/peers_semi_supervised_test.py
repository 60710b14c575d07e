import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.experiments import peers
from keras_mvlift.training import batches, optimizers, stage_data, stages
from tests import tiny_studio


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    columns = tiny_studio.prepare(tiny_studio.film()).train_pairs
    path = tiny_studio.write(tmp_path_factory.mktemp("pairs") / "pairs.gz", columns)
    return stage_data.Pairs(batches.read_pairs(path, 1e9))


@pytest.fixture(scope="module")
def few():
    """Views of the first pairs with true poses."""
    clip = tiny_studio.film()
    columns = tiny_studio.prepare(clip).train_pairs
    view = tf.nest.map_structure(lambda x: x.numpy(), tiny_studio.pair(columns).source)
    pose = tiny_studio.pose_camera(clip, columns, "source")
    weight = np.ones(pose.shape[:2], np.float32)
    return peers.Labels(view, pose - pose[:, :1], weight)


CONFIG = configs.FinetuneConfig(num_epochs=20, batch_size=tiny_studio.BATCH_SIZE, decay_every=0)


def beside(pairs, few):
    return stage_data.Beside(pairs, stage_data.Rows(tuple(few), rows_per_pair=1))


def one_step(pairs, few, label_weight, steps=1):
    keras.utils.set_random_seed(0)
    lifter = tiny_studio.lifter()
    model = peers.SemiSupervisedLifter(lifter, 200.0, label_weight)
    optimizer = optimizers.build(configs.FinetuneConfig(num_epochs=1), steps)
    # Tracing a graph would take longer than these few steps.
    model.compile(optimizer, run_eagerly=True)
    batches = beside(pairs, few).batches(CONFIG, 0, None)
    history = model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0).history
    return {name: values[0] for name, values in history.items()}, tiny_studio.weights(lifter)


def test_the_loss_is_the_sum_of_both_in_pixels(pairs, few):
    losses, _ = one_step(pairs, few, 1.0)
    doubled, _ = one_step(pairs, few, 2.0)
    np.testing.assert_allclose(losses["loss"], losses["label_free"] + losses["labels"], rtol=1e-5)
    np.testing.assert_allclose(doubled["labels"], 2 * losses["labels"], rtol=1e-5)
    np.testing.assert_allclose(doubled["label_free"], losses["label_free"], rtol=1e-5)
    lifter = tiny_studio.lifter()
    rows = next(iter(beside(pairs, few).labeled.batches(CONFIG, 0)))
    pose = lifter(rows[0], training=True).root_relative_pose
    expected = 200 * tf.reduce_mean(peers.pose_loss(pose, *rows[1:]))
    np.testing.assert_allclose(losses["labels"], expected, rtol=1e-4)


def test_without_weight_labels_change_nothing_that_is_learned(pairs, few):
    wrong = few._replace(pose=few.pose + 1.0)
    _, plain = one_step(pairs, few, 0.0, steps=2)
    _, other = one_step(pairs, wrong, 0.0, steps=2)
    assert tiny_studio.same(plain, other)
    _, taught = one_step(pairs, wrong, 1.0, steps=2)
    assert not tiny_studio.same(plain, taught)


def test_a_meter_is_focal_length_over_distance_in_pixels(few):
    intrinsics = np.tile(np.array([[1000, 0, 500], [0, 1200, 500], [0, 0, 1.0]]), (16, 1, 1))
    camera = few.view.camera._replace(intrinsics=intrinsics)
    labeled = few._replace(view=few.view._replace(camera=camera))
    assert peers.pixels_per_meter(labeled, 5.0) == pytest.approx(220.0)


def test_training_fits_the_labels_and_trains_the_root_network(pairs, few, tmp_path):
    keras.utils.set_random_seed(0)
    lifter = tiny_studio.lifter()
    view = tf.nest.map_structure(tf.constant, few.view)

    def error():
        return float(tf.reduce_mean(tf.abs(lifter(view).root_relative_pose - few.pose)))

    before, roots = error(), lifter.root_network.get_weights()
    scale = peers.pixels_per_meter(few, tiny_studio.RIG_DISTANCE)
    model = peers.SemiSupervisedLifter(lifter, scale)
    data = stage_data.Arrays(source=beside(pairs, few), steps=5, checkpoints=tmp_path)
    stages.run(model, CONFIG, data, "Finetune", callbacks=[])
    assert error() < 0.7 * before
    assert not tiny_studio.same(roots, lifter.root_network.get_weights())
