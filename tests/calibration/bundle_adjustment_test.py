import time

import hypothesis
import numpy as np
import pytest
from scipy import optimize
from scipy.spatial import transform

from keras_mvlift.calibration import bundle_adjustment, observations, reports
from keras_mvlift.geometry import cameras
from tests.calibration import rooms


def shaken(camera, rng, shift=0.05, turn=0.02):
    """All cameras but the first, shifted and turned."""
    count = len(camera.center) - 1
    turns = transform.Rotation.from_rotvec(rng.normal(0.0, turn, (count, 3))).as_matrix()
    rotation, center = camera.rotation.copy(), camera.center.copy()
    rotation[1:] = turns @ rotation[1:]
    center[1:] += rng.normal(0.0, shift, (count, 3))
    return cameras.Camera(camera.intrinsics, rotation, center)


def distances(camera, target):
    """Meters and degrees between two rigs of any size and world."""
    moved = reports.align(camera, target, reach=4.5, with_scale=True)
    distance, angle = reports.differences(moved, target)
    return distance.max(), np.degrees(angle.max())


@hypothesis.settings(max_examples=4, deadline=None)
@hypothesis.given(
    seed=hypothesis.strategies.integers(0, 2**32 - 1),
    num_cameras=hypothesis.strategies.integers(3, 6),
)
def test_exact_detections_give_the_exact_rig(seed, num_cameras):
    camera, _, seen = rooms.room(num_cameras, num_points=120, seed=seed)
    start = shaken(camera, np.random.default_rng(seed))
    found = bundle_adjustment.adjust(start, seen)
    distance, angle = distances(found, camera)
    assert distance < 1e-6
    assert angle < 1e-5


def test_two_cameras_are_enough():
    camera, _, seen = rooms.room(6)
    camera, seen = rooms.one_rig(camera, (0, 1)), seen.views((0, 1))
    found = bundle_adjustment.adjust(shaken(camera, np.random.default_rng(0)), seen)
    assert distances(found, camera)[0] < 1e-6


def test_the_first_camera_stays():
    camera, _, seen = rooms.room(noise_px=2.0)
    found = bundle_adjustment.adjust(shaken(camera, np.random.default_rng(0)), seen)
    np.testing.assert_array_equal(found.rotation[0], camera.rotation[0])
    np.testing.assert_array_equal(found.center[0], camera.center[0])
    np.testing.assert_array_equal(found.intrinsics, camera.intrinsics)


def test_noise_is_averaged():
    camera, _, seen = rooms.room(num_points=1200, noise_px=3.0)
    start = shaken(camera, np.random.default_rng(0))
    found = bundle_adjustment.adjust(start, seen)
    distance, angle = distances(found, camera)
    assert distance < 0.01
    assert angle < 0.15
    before, after = (np.nanmedian(observations.errors_px(rig, seen)) for rig in (start, found))
    assert after < 4.0 < before


def test_a_fifth_of_gross_errors_does_no_harm():
    camera, _, seen = rooms.room(num_points=1200, noise_px=2.0)
    rng = np.random.default_rng(0)
    is_gross = rng.random(seen.weights.shape) < 0.2
    seen.keypoints_2d[is_gross] += rng.uniform(-300, 300, (np.count_nonzero(is_gross), 2))
    found = bundle_adjustment.adjust(shaken(camera, rng), seen)
    distance, angle = distances(found, camera)
    assert distance < 0.02
    assert angle < 0.3


def test_confidence_tells_whom_to_believe():
    camera, _, seen = rooms.room(num_points=240)
    rng = np.random.default_rng(0)
    unsure = rng.random(seen.weights.shape) < 0.4
    seen.keypoints_2d[unsure] += rng.normal(0.0, 20.0, (np.count_nonzero(unsure), 2))
    start = shaken(camera, rng)
    believing = bundle_adjustment.adjust(start, seen)
    doubting = bundle_adjustment.adjust(start, seen._replace(weights=np.where(unsure, 0.05, 1.0)))
    assert distances(doubting, camera)[0] < 0.5 * distances(believing, camera)[0]


def test_the_jacobian_is_what_the_points_cannot_undo():
    # With the points where they fit best, the gradient of the cameras' problem is exact, though
    # the residuals' derivatives leave out how the projection onto the points' part turns.
    camera, _, seen = rooms.room(num_cameras=3, num_points=60, noise_px=3.0)
    problem = bundle_adjustment._Problem(camera, seen)
    moves = np.random.default_rng(0).normal(0.0, 0.02, 12)
    gradient = problem.jacobian(moves).T @ problem.residuals(moves)
    for index in range(12):
        step = np.zeros(12)
        step[index] = 1e-5
        losses = [np.sum(np.square(problem.residuals(moves + s * step))) / 2 for s in (1, -1)]
        expected = (losses[0] - losses[1]) / 2e-5
        np.testing.assert_allclose(gradient[index], expected, rtol=1e-3, atol=5.0)


def test_points_behind_or_on_one_line_with_their_cameras_are_not_used():
    camera, points, _ = rooms.room(num_cameras=2)
    points[0] = camera.center[0] - camera.rotation[0, 2]
    points[1] = 0.4 * camera.center[0] + 0.6 * camera.center[1]
    usable = bundle_adjustment.is_usable(camera, rooms.seen_by(camera, points))
    assert not usable[:2].any()
    assert usable[2:].mean() > 0.9


def test_too_few_points_are_refused():
    camera, _, seen = rooms.room(num_points=20)
    with pytest.raises(ValueError, match=r"`seen` must hold 50 points .* Received: 20"):
        bundle_adjustment.adjust(camera, seen)


def test_a_hundred_frames_take_seconds_of_one_core():
    camera, _, seen = rooms.room(num_points=1700, noise_px=3.0)
    start = time.process_time()
    bundle_adjustment.adjust(shaken(camera, np.random.default_rng(0)), seen)
    assert time.process_time() - start < 20.0


def test_points_moved_away_come_back():
    camera, points, seen = rooms.room()
    moved = points + np.random.default_rng(0).normal(0.0, 0.1, points.shape)
    found = bundle_adjustment.fit_points(camera, moved, seen, 1.0)
    np.testing.assert_allclose(found, points, atol=1e-8)


def test_each_point_has_the_least_loss_that_a_solver_finds():
    camera, points, seen = rooms.room(num_points=5, noise_px=6.0)
    found = bundle_adjustment.fit_points(camera, points, seen, 3.0)
    for index in range(5):
        single = seen.select(np.array([index]))

        def loss(point, single=single):
            return bundle_adjustment.view_residuals(camera, point[np.newaxis], single, 3.0).ravel()

        solution = optimize.least_squares(loss, points[index], xtol=1e-12, ftol=1e-12)
        np.testing.assert_allclose(found[index], solution.x, atol=1e-5)


SCALE = 3.0


def scene():
    camera, points, seen = rooms.room(num_cameras=3, num_points=24, noise_px=4.0)
    weights = np.random.default_rng(1).uniform(0.4, 1.0, seen.weights.shape)
    weights[0, 3] = 0.0
    return camera, points, seen._replace(weights=weights)


def test_the_residual_golden():
    # 1 px right and 2 px down of what was seen, at half confidence; far below the scale.
    camera, points, seen = rooms.room(num_cameras=2, num_points=1)
    seen = seen._replace(keypoints_2d=seen.keypoints_2d - [1.0, 2.0], weights=np.full((2, 1), 0.5))
    found = bundle_adjustment.view_residuals(camera, points, seen, 1e6)
    np.testing.assert_allclose(found, [[[0.5, 1.0]]] * 2, rtol=1e-6)


def test_what_was_not_seen_has_no_residual_and_pulls_nothing():
    camera, points, seen = scene()
    now = bundle_adjustment.linearize(camera, points, seen, SCALE)
    for value in now:
        np.testing.assert_array_equal(value[0, 3], np.zeros_like(value[0, 3]))
        assert np.abs(value[1, 3]).max() > 0


def test_derivatives_are_those_of_small_steps():
    camera, points, seen = scene()
    now = bundle_adjustment.linearize(camera, points, seen, SCALE)
    np.testing.assert_array_equal(
        now.residuals, bundle_adjustment.view_residuals(camera, points, seen, SCALE)
    )
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 1e-6
        by_point = [
            bundle_adjustment.view_residuals(camera, points + s * step, seen, SCALE)
            for s in (1, -1)
        ]
        expected = (by_point[0] - by_point[1]) / 2e-6
        np.testing.assert_allclose(now.by_point[..., axis], expected, rtol=1e-4, atol=1e-3)
        by_turn = []
        for sign in (1, -1):
            turn = transform.Rotation.from_rotvec(sign * step).as_matrix()
            turned = camera._replace(rotation=turn @ camera.rotation)
            by_turn.append(bundle_adjustment.view_residuals(turned, points, seen, SCALE))
        expected = (by_turn[0] - by_turn[1]) / 2e-6
        np.testing.assert_allclose(now.by_turn[..., axis], expected, rtol=1e-4, atol=1e-3)


def test_a_point_behind_a_camera_gives_finite_numbers():
    camera, points, seen = scene()
    points[0] = camera.center[0] - 2.0 * camera.rotation[0, 2]
    now = bundle_adjustment.linearize(camera, points, seen, SCALE)
    assert all(np.isfinite(value).all() for value in now)


def test_weighted_squares_have_the_slope_of_the_loss():
    camera, points, seen = scene()
    now = bundle_adjustment.linearize(camera, points, seen, SCALE)
    loose = bundle_adjustment.linearize(camera, points, seen, 1e9)
    slope = np.einsum("vnki,vnk->vni", now.by_point, now.residuals)
    weight = np.sum(np.square(now.above_by_point), axis=(-2, -1)) / np.maximum(
        np.sum(np.square(loose.by_point), axis=(-2, -1)), 1e-12
    )
    squares = np.einsum("vnki,vnk->vni", loose.by_point, loose.residuals)
    np.testing.assert_allclose(slope, weight[..., np.newaxis] * squares, rtol=1e-4, atol=1e-4)


LOSS_SCALE = 2.0


def test_the_loss_golden():
    # |r| = sqrt(3) * scale: 2 * 4 * (sqrt(1 + 3) - 1) = 8.
    shortened = bundle_adjustment.shorten(np.array([[np.sqrt(12.0), 0.0]]), LOSS_SCALE)
    np.testing.assert_allclose(np.sum(np.square(shortened)), 8.0)


@pytest.mark.parametrize("length", [0.0, 1e-3, 1.0, 50.0])
def test_the_derivative_is_that_of_small_steps(length):
    residual = length * np.array([0.6, -0.8])
    derivative = bundle_adjustment.derivative(residual, LOSS_SCALE)
    for axis in (0, 1):
        step = np.zeros(2)
        step[axis] = 1e-6
        ahead, behind = (
            bundle_adjustment.shorten(residual + s * step, LOSS_SCALE) for s in (1, -1)
        )
        np.testing.assert_allclose(derivative[:, axis], (ahead - behind) / 2e-6, atol=1e-7)


def test_the_curvature_is_that_of_small_steps():
    at, step = np.array([3.0, -4.0]), 1e-4

    def loss(x, y):
        return np.sum(np.square(bundle_adjustment.shorten(at + np.array([x, y]), LOSS_SCALE))) / 2

    xx = (loss(step, 0) - 2 * loss(0, 0) + loss(-step, 0)) / step**2
    yy = (loss(0, step) - 2 * loss(0, 0) + loss(0, -step)) / step**2
    mixed = loss(step, step) - loss(step, -step) - loss(-step, step) + loss(-step, -step)
    root = bundle_adjustment.curvature_root(at, LOSS_SCALE)
    expected = [[xx, mixed / (4 * step**2)], [mixed / (4 * step**2), yy]]
    np.testing.assert_allclose(root @ root, expected, atol=1e-5)
    np.testing.assert_array_equal(
        bundle_adjustment.curvature_root(np.zeros(2), LOSS_SCALE), np.eye(2)
    )
