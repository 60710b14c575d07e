import numpy as np
import pytest

from keras_mvlift.datasets.rigs import calibrations
from tests import random_scenes

AXES = {"x": [1, 0, 0], "y": [0, 1, 0], "z": [0, 0, 1]}


@pytest.mark.parametrize("up", calibrations.UP_AXES)
def test_the_axis_that_points_up_becomes_z(up):
    axis = np.array(AXES[up[-1]], float) * (-1 if up[0] == "-" else 1)
    np.testing.assert_array_equal(calibrations.turn_points(axis, up), [0, 0, 1])


@pytest.mark.parametrize("up", calibrations.UP_AXES)
def test_a_world_is_turned_not_mirrored_and_cameras_see_the_same(up):
    rng = np.random.default_rng(0)
    camera, points = random_scenes.camera(rng, 3), random_scenes.points(rng, 5)
    turned, moved = calibrations.turn_camera(camera, up), calibrations.turn_points(points, up)
    assert (np.linalg.det(turned.rotation) > 0).all()
    for view in range(3):
        expected = random_scenes.move(points, random_scenes.one(camera, view))
        seen = random_scenes.move(moved, random_scenes.one(turned, view))
        np.testing.assert_allclose(seen, expected, atol=1e-12)
    np.testing.assert_allclose(calibrations.turn_points_back(moved, up), points)
    for field, original in zip(calibrations.turn_camera_back(turned, up), camera, strict=True):
        np.testing.assert_allclose(field, original, atol=1e-12)


def test_y_up_is_turned_as_opensims():
    # Its (x, y, z) is our (y, z, x).
    np.testing.assert_array_equal(
        calibrations.turn_points(np.array([1.0, 2.0, 3.0]), "y"), [3, 1, 2]
    )
