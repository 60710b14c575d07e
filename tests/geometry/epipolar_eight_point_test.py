import cv2
import hypothesis
import numpy as np
import pytest

from keras_mvlift.geometry import epipolar
from tests import random_scenes

seeds = hypothesis.strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=20, deadline=None)


def correspondences(rng, *batch, num_points=30, flat=False):
    """True fundamental matrices `[*batch, 3, 3]` and keypoints `[2, *batch, N, 2]`."""
    camera = random_scenes.camera(rng, *batch, 2)
    points = random_scenes.points(rng, *batch, num_points)
    if flat:
        points[..., 2] = 0.3 * points[..., 0]
    fundamental, keypoints_2d = np.zeros((*batch, 3, 3)), np.zeros((2, *batch, num_points, 2))
    for index in np.ndindex(batch):
        pair = [random_scenes.one(camera, (*index, view)) for view in (0, 1)]
        fundamental[index] = epipolar.fundamental_from_cameras(*pair)
        for view, single in enumerate(pair):
            in_view = random_scenes.move(points[index], single)
            keypoints_2d[view][index] = random_scenes.project(in_view, single)
    return fundamental, keypoints_2d


def assert_same(fundamental, expected, atol=1e-9):
    """Compares directions: a fundamental matrix has no scale and no sign."""
    unit, unit_expected = (m / np.linalg.norm(m) for m in (fundamental, expected))
    np.testing.assert_allclose(
        unit * np.sign(np.sum(unit * unit_expected)), unit_expected, atol=atol
    )


@few_examples
@hypothesis.given(seed=seeds, num_points=hypothesis.strategies.integers(10, 40))
def test_exact_correspondences_give_the_true_matrix(seed, num_points):
    rng = np.random.default_rng(seed)
    expected, points = correspondences(rng, num_points=num_points)
    hypothesis.assume(epipolar.conditioning(*points) > 1e3)
    fundamental = epipolar.fit(*points)
    assert_same(fundamental, expected, atol=1e-7)
    np.testing.assert_allclose(epipolar.sampson_distance(fundamental, *points), 0.0, atol=1e-4)


def test_opencv_fits_the_same_matrix_to_noisy_points():
    rng = np.random.default_rng(0)
    _, points = correspondences(rng)
    points += rng.normal(0.0, 2.0, points.shape)
    theirs, _ = cv2.findFundamentalMat(points[0], points[1], cv2.FM_8POINT)
    ours = epipolar.fit(*points)
    distances = [np.abs(epipolar.sampson_distance(f, *points)).mean() for f in (ours, theirs)]
    # OpenCV normalizes by mean distances, we by mean squares, as the book.
    np.testing.assert_allclose(distances[0], distances[1], rtol=0.05)


def test_the_matrix_has_rank_two_and_norm_one():
    rng = np.random.default_rng(0)
    _, points = correspondences(rng)
    fundamental = epipolar.fit(*(points + rng.normal(0.0, 2.0, points.shape)))
    left = np.linalg.svd(fundamental)[0][:, 2]
    assert abs(np.linalg.det(fundamental)) < 1e-15
    np.testing.assert_allclose(left @ fundamental, 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(fundamental), 1.0)


def test_correspondences_of_zero_weight_do_not_count():
    rng = np.random.default_rng(1)
    expected, points = correspondences(rng)
    points[1, :5] += 200.0
    weights = np.r_[np.zeros(5), np.ones(25)]
    assert_same(epipolar.fit(*points, weights), expected, atol=1e-7)


def test_a_weight_of_two_counts_as_two_points():
    rng = np.random.default_rng(0)
    _, points = correspondences(rng)
    points += rng.normal(0.0, 2.0, points.shape)
    twice = np.r_[np.arange(30), 0, 1, 2]
    weights = np.r_[np.full(3, 2.0), np.ones(27)]
    assert_same(epipolar.fit(*points, weights), epipolar.fit(*points[:, twice]))


@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_the_fit_does_not_depend_on_where_pixels_are_counted_from(shift):
    rng = np.random.default_rng(0)
    _, points = correspondences(rng)
    points += rng.normal(0.0, 2.0, points.shape)
    moved = points + shift
    fitted, expected = epipolar.fit(*moved), epipolar.fit(*points)
    np.testing.assert_allclose(
        np.abs(epipolar.sampson_distance(fitted, *moved)),
        np.abs(epipolar.sampson_distance(expected, *points)),
        atol=1e-3,
    )


def test_points_of_a_plane_are_told_by_their_conditioning():
    rng = np.random.default_rng(0)
    _, points = correspondences(rng, num_points=200)
    _, flat = correspondences(rng, num_points=200, flat=True)
    noise = rng.normal(0.0, 2.0, points.shape)
    assert epipolar.conditioning(*(points + noise)) > 10.0
    assert 1.0 <= epipolar.conditioning(*(flat + noise)) < 1.5
    assert epipolar.conditioning(*flat) == 1.0


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
def test_any_batch_is_a_loop(batch):
    rng = np.random.default_rng(0)
    _, points = correspondences(rng, *batch)
    fitted, conditioning = epipolar.fit(*points), epipolar.conditioning(*points)
    assert (fitted.shape, conditioning.shape) == ((*batch, 3, 3), batch)
    for index in np.ndindex(batch):
        assert_same(fitted[index], epipolar.fit(points[0][index], points[1][index]))


def test_seven_points_and_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match=r"8 points or more.*\(7, 2\)"):
        epipolar.fit(np.zeros((7, 2)), np.zeros((7, 2)))
    with pytest.raises(ValueError, match=r"same shape.*\(9, 2\) and \(8, 2\)"):
        epipolar.fit(np.zeros((9, 2)), np.zeros((8, 2)))
