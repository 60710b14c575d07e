import numpy as np
from scipy.spatial import transform

from keras_mvlift.calibration import bundle_adjustment
from tests.calibration import rooms

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
