import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.losses import reprojection

ALL = pytest.mark.parametrize(
    "distance", reprojection.DISTANCES.values(), ids=reprojection.DISTANCES.keys()
)


def test_norm_golden():
    np.testing.assert_allclose(reprojection.norm(np.array([[3.0, 4.0], [0.0, 0.0]])), [5, 0])


def test_squared_norm_golden():
    np.testing.assert_allclose(
        reprojection.squared_norm(np.array([[3.0, 4.0], [0.0, 0.0]])), [25, 0]
    )


@ALL
@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
def test_any_batch_shape_and_dimension(distance, batch):
    for dimension in (2, 3):
        vectors = np.random.default_rng(0).normal(size=(*batch, dimension))
        lengths = distance(vectors).numpy()
        assert lengths.shape == batch
        for index in np.ndindex(batch):
            np.testing.assert_allclose(lengths[index], distance(vectors[index]))


@ALL
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-18, 1e-6, 1.0, 1e6])
def test_gradients_are_finite_at_and_near_zero(distance, size):
    vectors = tf.constant([[0.6 * size, 0.8 * size]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        length = distance(vectors)
    assert np.isfinite(length).all()
    gradient = tape.gradient(length, vectors).numpy()
    assert np.isfinite(gradient).all()
    if size == 0:
        assert (gradient == 0).all()


def test_the_gradient_of_the_norm_is_the_direction():
    vectors = tf.constant([[3.0, 4.0], [0.0, -1e-3]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        length = reprojection.norm(vectors)
    np.testing.assert_allclose(tape.gradient(length, vectors), [[0.6, 0.8], [0, -1]], atol=1e-6)


def test_distances_are_found_by_name():
    assert reprojection.DISTANCES["norm"] is reprojection.norm
    assert reprojection.DISTANCES["squared_norm"] is reprojection.squared_norm
