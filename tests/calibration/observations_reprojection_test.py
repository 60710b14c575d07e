import numpy as np

from keras_mvlift.calibration import observations
from tests.calibration import rooms


def test_exact_points_are_found_and_have_no_error():
    camera, points, seen = rooms.room()
    np.testing.assert_allclose(observations.triangulate(camera, seen), points, atol=1e-4)
    np.testing.assert_allclose(observations.errors_px(camera, seen), 0.0, atol=1e-2)


def test_the_error_golden():
    # 3 px right and 4 px down of what two views see of the given points.
    camera, points, seen = rooms.room(num_cameras=2)
    seen = seen._replace(keypoints_2d=seen.keypoints_2d - [3.0, 4.0])
    np.testing.assert_allclose(observations.errors_px(camera, seen, points), 5.0)


def test_what_was_not_seen_or_by_one_view_only_has_no_error():
    camera, _, seen = rooms.room()
    seen.weights[1:, 0] = 0.0
    seen.weights[2, 1] = 0.0
    errors = observations.errors_px(camera, seen)
    assert np.isnan(errors[:, 0]).all()
    assert np.isnan(errors[:, 1]).tolist() == [False, False, True, False]
    assert np.isnan(observations.triangulate(camera, seen)[0]).all()
