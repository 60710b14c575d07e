import numpy as np
import pytest

from keras_mvlift.calibration import bundle_adjustment

SCALE = 2.0


def test_the_loss_golden():
    # |r| = sqrt(3) * scale: 2 * 4 * (sqrt(1 + 3) - 1) = 8.
    shortened = bundle_adjustment.shorten(np.array([[np.sqrt(12.0), 0.0]]), SCALE)
    np.testing.assert_allclose(np.sum(np.square(shortened)), 8.0)


def test_small_residuals_stay_and_great_ones_grow_like_roots():
    small, great = np.array([3e-4, 4e-4]), np.array([3e6, 4e6])
    np.testing.assert_allclose(bundle_adjustment.shorten(small, SCALE), small, rtol=1e-6)
    squared = np.sum(np.square(bundle_adjustment.shorten(great, SCALE)))
    np.testing.assert_allclose(squared, 2 * SCALE * 5e6, rtol=1e-5)


@pytest.mark.parametrize("length", [0.0, 1e-3, 1.0, 50.0])
def test_the_derivative_is_that_of_small_steps(length):
    residual = length * np.array([0.6, -0.8])
    derivative = bundle_adjustment.derivative(residual, SCALE)
    for axis in (0, 1):
        step = np.zeros(2)
        step[axis] = 1e-6
        ahead, behind = (bundle_adjustment.shorten(residual + s * step, SCALE) for s in (1, -1))
        np.testing.assert_allclose(derivative[:, axis], (ahead - behind) / 2e-6, atol=1e-7)


def test_weighted_squares_touch_the_loss_and_lie_above_it():
    at, others = np.array([3.0, 4.0]), np.array([[0.0, 0.0], [1.0, 0.0], [30.0, 0.0]])
    weight = bundle_adjustment.weight(at, SCALE)

    def loss(residual):
        return np.sum(np.square(bundle_adjustment.shorten(residual, SCALE)), axis=-1)

    above = loss(at) + weight * (np.sum(np.square(others), axis=-1) - 25.0)
    assert (above >= loss(others)).all()
    slope = (loss(1.0001 * at) - loss(0.9999 * at)) / 0.0002
    np.testing.assert_allclose(slope, weight * 2 * 25.0, rtol=1e-5)


def test_the_curvature_is_that_of_small_steps():
    at, step = np.array([3.0, -4.0]), 1e-4

    def loss(x, y):
        return np.sum(np.square(bundle_adjustment.shorten(at + np.array([x, y]), SCALE))) / 2

    xx = (loss(step, 0) - 2 * loss(0, 0) + loss(-step, 0)) / step**2
    yy = (loss(0, step) - 2 * loss(0, 0) + loss(0, -step)) / step**2
    mixed = loss(step, step) - loss(step, -step) - loss(-step, step) + loss(-step, -step)
    root = bundle_adjustment.curvature_root(at, SCALE)
    expected = [[xx, mixed / (4 * step**2)], [mixed / (4 * step**2), yy]]
    np.testing.assert_allclose(root @ root, expected, atol=1e-5)
    np.testing.assert_array_equal(bundle_adjustment.curvature_root(np.zeros(2), SCALE), np.eye(2))
