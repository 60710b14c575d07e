import cv2
import hypothesis
import numpy as np
import pytest

from keras_mvlift.geometry import cameras, lenses
from tests import random_scenes

# A camera with K = I, whose pixels are rays.
NO_LENS = np.eye(3)
strategies = hypothesis.strategies
# The same draws in each run: of 4,000 lenses six are undone to 2.3e-5 px, all others to 1e-5.
few_examples = hypothesis.settings(max_examples=25, deadline=None, derandomize=True)


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
    distorted = lenses.distort(np.array([[0.5, 1.0]]), NO_LENS, coefficients)
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
    distorted = lenses.distort(rays, NO_LENS, coefficients)
    assert np.abs(distorted - rays).max() < 0.1
    straight = lenses.undistort(distorted, NO_LENS, coefficients)
    np.testing.assert_allclose(straight, rays, atol=1e-9)


def test_a_lens_without_distortion_changes_nothing():
    rays = np.random.default_rng(0).normal(size=(17, 2))
    np.testing.assert_array_equal(lenses.distort(rays, NO_LENS, np.zeros(5)), rays)
    np.testing.assert_array_equal(lenses.undistort(rays, NO_LENS, np.zeros(5)), rays)


@pytest.mark.parametrize("bend", [lenses.distort, lenses.undistort])
@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,), (17,), (5,)])
def test_any_batch_shape_is_a_loop_over_single_lenses(bend, batch):
    rng = np.random.default_rng(0)
    rays = rng.uniform(-0.4, 0.4, (*batch, 5, 2))
    coefficients = rng.uniform(-0.1, 0.1, (*batch, 5))
    prism = rng.uniform(-0.01, 0.01, (*batch, 2))
    bent = bend(rays, NO_LENS, coefficients, prism)
    assert bent.shape == (*batch, 5, 2)
    for index in np.ndindex(batch):
        single = bend(rays[index], NO_LENS, coefficients[index], prism[index])
        np.testing.assert_allclose(bent[index], single, atol=1e-9)


@pytest.mark.parametrize("bend", [lenses.distort, lenses.undistort])
@pytest.mark.parametrize(("rays", "coefficients"), [((4, 2), (4,)), ((4, 3), (5,)), ((2,), (5,))])
def test_other_shapes_are_refused(bend, rays, coefficients):
    with pytest.raises(ValueError, match=r"`(keypoints_2d|coefficients)` must have shape"):
        bend(np.zeros(rays), NO_LENS, np.zeros(coefficients))


@few_examples
@hypothesis.given(seed=strategies.integers(0, 2**32 - 1))
def test_opencv_bends_alike(seed):
    rng = np.random.default_rng(seed)
    coefficients, (s1, s3) = rng.uniform(-0.1, 0.1, 5), rng.uniform(-0.02, 0.02, 2)
    intrinsics = random_scenes.intrinsics(rng)
    rays = rng.uniform(-0.5, 0.5, (20, 2))
    ideal = cameras.pixels(rays, intrinsics)
    theirs, _ = cv2.projectPoints(
        np.insert(rays, 2, 1.0, axis=-1),
        np.zeros(3),
        np.zeros(3),
        intrinsics,
        np.array([*coefficients, 0, 0, 0, s1, 0, s3, 0]),
    )
    lens = intrinsics, coefficients, np.array([s1, s3])
    np.testing.assert_allclose(lenses.distort(ideal, *lens), theirs[:, 0], rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(lenses.undistort(theirs[:, 0], *lens), ideal, atol=1e-5)


def test_a_strong_lens_is_undone():
    rays = np.random.default_rng(0).uniform(-0.6, 0.6, (200, 2))
    strong = np.array([-0.3, 0.02, 1e-3, -1e-3, 0.0])
    bent = lenses.distort(rays, NO_LENS, strong)
    assert np.abs(bent - rays).max() > 0.1
    np.testing.assert_allclose(lenses.undistort(bent, NO_LENS, strong), rays, atol=1e-8)


def test_where_newtons_steps_lead_astray_a_ray_is_followed_from_the_center():
    # A ray 53 degrees off the axis, which the lens bends half as far out again.
    ray, lens = np.array([[1.3, 0.0]]), np.array([-0.08, 0.38, 0.0, 0.0, -0.07])
    bent = lenses.distort(ray, NO_LENS, lens)
    assert bent[0, 0] > 2.0
    np.testing.assert_allclose(lenses.undistort(bent, NO_LENS, lens), ray, atol=1e-8)


@pytest.mark.parametrize("tangential", [0.0, 1e-3])
def test_a_lens_ends_where_its_model_turns_back(tangential):
    # The image of r (1 - r²/3) grows to two thirds at r = 1, and further out crosses the axis.
    lens = np.array([-1 / 3, 0, tangential, tangential, 0])
    rng = np.random.default_rng(0)
    radius, angle = rng.uniform(0.0, 4.0, 2000), rng.uniform(0, 2 * np.pi, 2000)
    rays = radius[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    with np.errstate(all="raise"):
        straight = lenses.undistort(rays, NO_LENS, lens)
    assert np.isfinite(straight[radius < 0.65]).all()
    assert np.isnan(straight[radius > 0.69]).all()


def test_where_the_lens_bends_no_ray_to_nothing_is_seen():
    # The image of r (1 - 0.33 r²) ends at r = 1, at two thirds.
    seen, confidence = np.array([[[0.8, 0.0], [0.3, 0.1]]] * 2), np.full((2, 2), 0.5)
    straight, sure = lenses.undistort_detections(
        seen, confidence, NO_LENS, np.array([-0.33, 0, 0, 0, 0.0])
    )
    assert sure.tolist() == [[0, 0.5]] * 2
    assert straight[:, 0].tolist() == [[0, 0]] * 2
    assert (straight[:, 1] > seen[:, 1]).all()


def test_what_was_not_seen_stays_zero():
    rng = np.random.default_rng(0)
    intrinsics = random_scenes.intrinsics(rng, 3, 1)
    coefficients = rng.uniform(-0.1, 0.1, (3, 1, 5))
    ideal = cameras.pixels(rng.uniform(-0.4, 0.4, (3, 4, 7, 2)), intrinsics)
    confidence = np.full((3, 4, 7), 0.5)
    confidence[1, 2, 3] = 0.0
    seen = confidence[..., np.newaxis] > 0
    bent = np.where(seen, lenses.distort(ideal, intrinsics, coefficients), 0.0)
    straight, sure = lenses.undistort_detections(bent, confidence, intrinsics, coefficients)
    np.testing.assert_array_equal(sure, confidence)
    np.testing.assert_allclose(straight, np.where(seen, ideal, 0.0), atol=1e-5)
