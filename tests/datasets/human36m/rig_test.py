import numpy as np
import pytest

from keras_mvlift.datasets.human36m import rig
from keras_mvlift.geometry import cameras


@pytest.mark.parametrize("subject", rig.SUBJECTS)
def test_all_cameras_look_at_a_person_in_the_middle_of_the_room(subject):
    camera = rig.camera(subject)
    hips = cameras.camera_from_world(np.tile([0.0, 0.0, 0.9], (4, 1, 1)), camera)
    assert (hips[..., 2] > 3.5).all()
    keypoints_2d = cameras.project(hips, camera.intrinsics)[:, 0]
    assert np.abs(keypoints_2d - 500).max() < 200


@pytest.mark.parametrize("subject", rig.SUBJECTS)
def test_the_world_has_z_up(subject):
    # A point above another is above it in every image, where y points down.
    camera = rig.camera(subject)
    points = np.tile([[0.0, 0.0, 0.0], [0.0, 0.0, 1.7]], (4, 1, 1))
    seen = cameras.project_from_world(points, camera)
    assert (seen[:, 1, 1] < seen[:, 0, 1] - 250).all()
    assert np.abs(seen[:, 1, 0] - seen[:, 0, 0]).max() < 60


def test_rotations_are_proper_and_centers_in_meters():
    for subject in rig.SUBJECTS:
        camera = rig.camera(subject)
        gram = camera.rotation @ camera.rotation.swapaxes(-1, -2)
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(camera.rotation), 1, atol=1e-12)
        np.testing.assert_allclose(camera.center[:, 2], 1.55, atol=0.1)


def test_a_subject_without_extrinsics_is_refused_by_name():
    with pytest.raises(ValueError, match=r"`subject` must be one of S1, S5.*'S2'"):
        rig.camera("S2")
