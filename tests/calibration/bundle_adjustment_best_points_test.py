import numpy as np
from scipy import optimize

from keras_mvlift.calibration import bundle_adjustment
from tests.calibration import rooms


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


def test_a_gross_error_of_one_view_moves_a_point_little():
    camera, points, seen = rooms.room()
    seen.keypoints_2d[0, 7] += 150.0
    found = bundle_adjustment.fit_points(camera, points, seen, 1.0)
    assert np.linalg.norm(found[7] - points[7]) < 0.01
    squared = bundle_adjustment.fit_points(camera, points, seen, 1e6)
    assert np.linalg.norm(squared[7] - points[7]) > 0.1


def test_a_point_that_nobody_saw_stays():
    camera, points, seen = rooms.room()
    seen.weights[:, 4] = 0.0
    found = bundle_adjustment.fit_points(camera, points, seen, 1.0)
    np.testing.assert_allclose(found[4], points[4])
