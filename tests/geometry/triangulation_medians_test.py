import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import triangulation


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_median_is_the_lower_one_of_the_values_that_count(share):
    rng = np.random.default_rng(0)
    values = rng.uniform(1.0, 9.0, (5, 3, 17))
    is_used = rng.uniform(size=values.shape) < share
    is_used[:, 0, 0] = True
    found = triangulation.median(tf.constant(values), tf.constant(is_used))
    assert found.shape == (5, 1, 1)
    for row, result in enumerate(found.numpy().ravel()):
        counted = np.sort(values[row][is_used[row]])
        assert result == counted[(len(counted) - 1) // 2]


def test_where_no_value_counts_the_median_is_zero():
    found = triangulation.median(tf.fill([2, 4, 17], 7.0), tf.zeros([2, 4, 17], tf.bool))
    np.testing.assert_array_equal(found, np.zeros((2, 1, 1)))


def test_half_of_gaussian_vectors_are_shorter_than_their_median_length():
    vectors = np.random.default_rng(0).normal(size=(200_000, 2))
    is_shorter = np.linalg.norm(vectors, axis=-1) < triangulation.MEDIAN_LENGTH
    np.testing.assert_allclose(is_shorter.mean(), 0.5, atol=0.004)
