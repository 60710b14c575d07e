import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.training import batches as training_batches
from keras_mvlift.training import objectives
from tests import tiny_studio

NUM_VIEWS = 4


@pytest.fixture(scope="module")
def columns():
    return tiny_studio.prepare(tiny_studio.film())


@pytest.fixture(scope="module")
def file(columns, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    return tiny_studio.write(folder / "train.gz", columns.train_instants)


@pytest.fixture(scope="module")
def seen(file):
    return training_batches.read_instants(file, NUM_VIEWS)


def which(batch, seen):
    """Tells by its keypoints which instant each row is."""
    rows = batch.keypoints_2d.numpy().reshape(len(batch.confidence), -1)
    every = seen.keypoints_2d.reshape(len(seen.confidence), -1)
    return np.argmin(np.abs(rows[:, np.newaxis] - every).sum(axis=-1), axis=1)


def drawn(seen, batch_size, count, **options):
    batches = training_batches.load_instants(
        seen, batch_size, **{"num_batches": 3, "seed": 0} | options
    )
    return [which(batch, seen) for batch in itertools.islice(batches, count)]


def test_what_is_read_is_what_was_written(seen, columns):
    assert isinstance(seen, views.View)
    assert training_batches.count_instants(seen) == len(columns.train_instants["frame"])
    np.testing.assert_allclose(
        seen.keypoints_2d, columns.train_instants["views/keypoints_2d"], rtol=1e-6
    )
    np.testing.assert_allclose(
        seen.camera.center, columns.train_instants["views/center"], rtol=1e-6
    )


def test_each_instant_is_drawn_once_before_any_is_drawn_again(seen):
    num_instants = training_batches.count_instants(seen)
    order = np.concatenate(drawn(seen, 5, 6, num_batches=6))
    for start in range(0, len(order), num_instants):
        turn = order[start : start + num_instants]
        assert len(set(turn)) == len(turn)
    assert len(order) > num_instants


def test_a_batch_may_be_larger_than_the_set(seen):
    num_instants = training_batches.count_instants(seen)
    (batch,) = drawn(seen, 2 * num_instants + 1, 1, num_batches=1)
    assert sorted(np.bincount(batch))[-2:] == [2, 3]


def test_an_epochs_order_depends_on_the_seed_and_its_number_alone(seen):
    whole = drawn(seen, 4, 9)
    resumed = drawn(seen, 4, 6, first_epoch=1)
    np.testing.assert_array_equal(whole[3:], resumed)
    assert not np.array_equal(whole[:3], whole[3:6])
    assert not np.array_equal(whole, drawn(seen, 4, 9, seed=1))


def test_what_views_agree_on_comes_along(file, seen):
    known = training_batches.read_instants(file, NUM_VIEWS, needs_agreement=True)
    batch = next(iter(training_batches.load_instants(known, 6, num_batches=1, seed=3)))
    assert isinstance(batch, objectives.Instants)
    expected = objectives.agreement_of(batch.seen)
    np.testing.assert_allclose(batch.agreed.points, expected.points, atol=1e-4)
    np.testing.assert_array_equal(batch.agreed.is_known, expected.is_known)
    (once,) = training_batches.load_instants_once(known, 1000)
    assert isinstance(once, objectives.Instants)
    np.testing.assert_array_equal(once.seen.keypoints_2d, seen.keypoints_2d)


def test_every_instant_comes_once_in_order(seen):
    batches = list(training_batches.load_instants_once(seen, 5))
    joined = np.concatenate([batch.confidence for batch in batches])
    np.testing.assert_array_equal(joined, seen.confidence)
    assert {len(batch.confidence) for batch in batches[:-1]} == {5}


def test_files_of_no_records_are_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), "GZIP"):
        pass
    with pytest.raises(ValueError, match=r"`file_pattern` must match instants.*none\.gz"):
        training_batches.read_instants(str(tmp_path / "none.gz"), NUM_VIEWS)
    assert tfrecords.count(str(tmp_path / "none.gz")) == 0
