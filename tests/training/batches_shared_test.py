import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.training import batches as training_batches

NUM_ROWS = 8


def batches():
    """Three batches of pairs, in place of whose fields are numbers."""
    values = tf.data.Dataset.range(3 * NUM_ROWS).batch(NUM_ROWS, drop_remainder=True)
    return values.map(lambda row: views.ViewPair(row, row[:, tf.newaxis] + 100))


def context(worker, num_workers=2, num_replicas=4):
    return tf.distribute.InputContext(num_workers, worker, num_replicas)


def test_workers_see_together_what_one_would_have_seen():
    shared = [
        [*training_batches.rows_of_worker(context(worker), batches(), NUM_ROWS)]
        for worker in range(2)
    ]
    for step, whole in enumerate(batches()):
        # Two replicas of the first worker, then two of the second.
        parts = [part for worker in shared for part in worker[2 * step : 2 * step + 2]]
        assert [len(part.source) for part in parts] == [2, 2, 2, 2]
        together = tf.nest.map_structure(lambda *rows: tf.concat(rows, axis=0), *parts)
        tf.nest.map_structure(np.testing.assert_array_equal, together, whole)


def test_the_rows_of_a_replica_keep_type_and_a_known_number():
    spec = training_batches.rows_of_worker(context(0), batches(), NUM_ROWS).element_spec
    assert isinstance(spec, views.ViewPair)
    assert spec.target.shape == (2, 1)


def test_each_replica_measures_all_rows_of_a_batch_that_is_too_small_to_share():
    values = tf.data.Dataset.range(5).batch(4)
    seen = [row.numpy().tolist() for row in training_batches.rows_of_all(context(1), values)]
    assert seen == [[0, 1, 2, 3]] * 2 + [[4]] * 2


def test_one_replica_takes_batches_as_they_are():
    values, strategy = batches(), tf.distribute.get_strategy()
    assert training_batches.share(strategy, values, NUM_ROWS) is values
    assert training_batches.repeat(strategy, values) == {"validation_data": values}
    assert training_batches.repeat(strategy, None) == {"validation_data": None}


@pytest.mark.parametrize("num", [1, 7, 300])
def test_what_is_drawn_in_a_strategy_is_what_is_drawn_without(num):
    plain = tf.random.Generator.from_seed(3)
    expected = [training_batches.uniform(plain, num) for _ in range(2)]
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        generator = tf.random.Generator.from_seed(3)
    drawn = [strategy.run(training_batches.uniform, (generator, num)) for _ in range(2)]
    np.testing.assert_array_equal(drawn, expected)
    own = strategy.run(lambda: generator.uniform([num]))
    assert not np.array_equal(own, training_batches.uniform(plain, num))
