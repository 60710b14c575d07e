import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.geometry import triangulation
from keras_mvlift.losses import reprojection

ERRORS = np.random.default_rng(0).uniform(0, 30, (2, 3, 5))
SEEN = np.ones_like(ERRORS)
# As many standard deviations as a kernel is wide, in pixels.
FORMULAE = {
    "geman_mcclure": (4.0, lambda x: 1 / (1 + x**2) ** 2),
    "cauchy": (3.0, lambda x: 1 / (1 + x**2)),
    "huber": (2.0, lambda x: 1 / max(x, 1)),
}


def test_the_kernels_that_a_config_may_name_are_those_that_exist():
    assert configs.KERNELS == tuple(triangulation.KERNELS)
    assert configs.FinetuneConfig().robust_kernel in configs.KERNELS


@pytest.mark.parametrize("kernel", FORMULAE)
def test_weights_fall_by_the_kernels_formula_from_a_given_scale(kernel):
    weights = reprojection.robust_weights(ERRORS, SEEN, kernel, scale_px=7.0)
    expected = np.vectorize(FORMULAE[kernel][1])(ERRORS / 7.0)
    np.testing.assert_allclose(weights, expected)


@pytest.mark.parametrize("kernel", FORMULAE)
def test_without_a_scale_it_comes_from_each_instants_median_error(kernel):
    weights = reprojection.robust_weights(ERRORS, SEEN, kernel)
    width, formula = FORMULAE[kernel]
    for row, errors in enumerate(ERRORS):
        scale = width * np.median(errors) / 1.1774
        np.testing.assert_allclose(weights[row], np.vectorize(formula)(errors / scale))


def test_the_deviation_that_a_median_means_is_that_of_gaussian_errors():
    errors = np.linalg.norm(np.random.default_rng(0).normal(0, 5.0, (1, 10, 2000, 2)), axis=-1)
    weights = reprojection.robust_weights(errors, np.ones_like(errors))
    np.testing.assert_allclose(weights, 1 / (1 + (errors / 15.0) ** 2), rtol=0.03)


def test_what_was_not_seen_does_not_move_the_scale():
    seen = SEEN.copy()
    seen[:, 2] = 0
    spoiled = np.where(seen > 0, ERRORS, 1e6)
    weights = reprojection.robust_weights(spoiled, seen)
    expected = reprojection.robust_weights(ERRORS[:, :2], SEEN[:, :2])
    np.testing.assert_allclose(weights[:, :2], expected)


@pytest.mark.parametrize("seen", [0.0, 1.0])
def test_errors_of_zero_and_nothing_seen_weigh_one(seen):
    zeros = np.zeros((2, 3, 5))
    np.testing.assert_array_equal(reprojection.robust_weights(zeros, zeros + seen), 1.0)


def test_no_gradient_goes_through_the_weights():
    errors = tf.constant(ERRORS)
    with tf.GradientTape() as tape:
        tape.watch(errors)
        weights = reprojection.robust_weights(errors, SEEN)
    assert tape.gradient(weights, errors) is None
