import hypothesis
import numpy as np
import pytest

from keras_mvlift.geometry import cameras

strategies = hypothesis.strategies
few_examples = hypothesis.settings(max_examples=25, deadline=None)


@pytest.mark.parametrize(
    ("coefficients", "expected"),
    [
        # At the ray (1/2, 1), r² = 5/4. A radial term scales by 1 + k r^2, r^4 or r^6.
        ([0.1, 0.0, 0.0, 0.0, 0.0], [0.5 * 1.125, 1.125]),
        ([0.0, 0.1, 0.0, 0.0, 0.0], [0.5 * 1.15625, 1.15625]),
        ([0.0, 0.0, 0.0, 0.0, 0.1], [0.5 * 1.1953125, 1.1953125]),
        # p1 adds (2 x y, r² + 2 y²) = (1, 3.25); p2 adds (r² + 2 x², 2 x y) = (1.75, 1).
        ([0.0, 0.0, 0.1, 0.0, 0.0], [0.6, 1.325]),
        ([0.0, 0.0, 0.0, 0.1, 0.0], [0.675, 1.1]),
    ],
)
def test_distort_golden(coefficients, expected):
    distorted = cameras.distort(np.array([[0.5, 1.0]]), coefficients)
    np.testing.assert_allclose(distorted, [expected])


@few_examples
@hypothesis.given(
    seed=strategies.integers(0, 2**32 - 1),
    radial=strategies.tuples(*[strategies.floats(-0.2, 0.2)] * 2),
    tangential=strategies.tuples(*[strategies.floats(-2e-3, 2e-3)] * 2),
)
def test_undistort_undoes_distort(seed, radial, tangential):
    rays = np.random.default_rng(seed).uniform(-0.45, 0.45, (17, 2))
    coefficients = np.array([*radial, *tangential, 0.01])
    distorted = cameras.distort(rays, coefficients)
    assert np.abs(distorted - rays).max() < 0.1
    np.testing.assert_allclose(cameras.undistort(distorted, coefficients), rays, atol=1e-6)


def test_a_lens_without_distortion_changes_nothing():
    rays = np.random.default_rng(0).normal(size=(17, 2))
    np.testing.assert_array_equal(cameras.distort(rays, np.zeros(5)), rays)
    np.testing.assert_array_equal(cameras.undistort(rays, np.zeros(5)), rays)


@pytest.mark.parametrize("bend", [cameras.distort, cameras.undistort])
@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,), (17,), (5,)])
def test_any_batch_shape_is_a_loop_over_single_lenses(bend, batch):
    rng = np.random.default_rng(0)
    rays = rng.uniform(-0.4, 0.4, (*batch, 5, 2))
    coefficients = rng.uniform(-0.1, 0.1, (*batch, 5))
    bent = bend(rays, coefficients).numpy()
    assert bent.shape == (*batch, 5, 2)
    for index in np.ndindex(batch):
        np.testing.assert_allclose(bent[index], bend(rays[index], coefficients[index]))


@pytest.mark.parametrize("bend", [cameras.distort, cameras.undistort])
@pytest.mark.parametrize(("rays", "coefficients"), [((4, 2), (4,)), ((4, 3), (5,)), ((2,), (5,))])
def test_other_shapes_are_refused(bend, rays, coefficients):
    with pytest.raises(ValueError, match="distortion"):
        bend(np.zeros(rays), np.zeros(coefficients))
