import numpy as np
import pytest
from scipy.spatial import transform

from keras_mvlift.calibration import reports
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests.calibration import rooms


def elsewhere(camera, rng, scale=1.0):
    """The same rig in another world."""
    turn = random_scenes.rotation(rng)
    shift = rng.normal(0.0, 3.0, 3)
    return cameras.Camera(
        camera.intrinsics, camera.rotation @ turn.T, scale * camera.center @ turn.T + shift
    )


@pytest.mark.parametrize("num_cameras", [2, 3, 8])
@pytest.mark.parametrize("scale", [1.0, 3.5])
def test_a_rig_is_laid_onto_itself_from_anywhere(num_cameras, scale):
    camera, _, _ = rooms.room(num_cameras)
    moved = elsewhere(camera, np.random.default_rng(0), scale)
    found = reports.align(moved, camera, reach=4.0, with_scale=True)
    for value, expected in zip(found, camera, strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-9)


def test_without_scale_the_size_stays():
    camera, _, _ = rooms.room(3)
    moved = elsewhere(camera, np.random.default_rng(0), 2.0)
    found = reports.align(moved, camera, reach=4.0, with_scale=False)
    spread = [np.linalg.norm(rig.center - rig.center.mean(axis=0)) for rig in (found, camera)]
    np.testing.assert_allclose(spread[0], 2 * spread[1])


def test_differences_golden():
    camera, _, _ = rooms.room(2)
    turn = transform.Rotation.from_rotvec([[0.0, 0.0, 0.0], [0.0, 0.3, 0.4]]).as_matrix()
    shift = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    other = cameras.Camera(camera.intrinsics, turn @ camera.rotation, camera.center + shift)
    distance, angle = reports.differences(camera, other)
    np.testing.assert_allclose(distance, [5.0, 0.0])
    np.testing.assert_allclose(angle, [0.0, 0.5])
