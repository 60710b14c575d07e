import numpy as np
import pytest

from keras_mvlift.datasets.mpi_inf_3dhp import p_stmo, protocol
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import mpi_inf_3dhp


def test_the_rig_stands_at_the_heights_stated_and_sees_the_room():
    rig = mpi_inf_3dhp.training_rig(0)
    assert rig.names == tuple(str(index) for index in range(14))
    np.testing.assert_allclose(rig.camera.center[:, 2], mpi_inf_3dhp.HEIGHTS)
    middle = np.array([[[0.0, 0.0, 0.95]]])
    seen = cameras.project_from_world(middle, cameras.expand(rig.camera, -1))
    np.testing.assert_allclose(seen[:, 0, 0], np.full((14, 2), 1024), atol=300)


def test_the_chest_set_stands_evenly_around_the_room():
    center = mpi_inf_3dhp.training_rig(0).camera.center[list(protocol.CAMERA_SETS["chest"])]
    angle = np.sort(np.degrees(np.arctan2(center[:, 1], center[:, 0])) % 360)
    np.testing.assert_allclose(np.diff(angle), 72)


@pytest.mark.parametrize("subject", protocol.TEST_SUBJECTS)
def test_a_test_camera_has_a_lens_like_the_real_one(subject):
    camera = mpi_inf_3dhp.test_camera(0, subject)
    lens = [*camera.intrinsics[0, [0, 1], [0, 1]], *camera.intrinsics[0, :2, 2]]
    np.testing.assert_allclose(lens, p_stmo.TEST_LENSES[subject], atol=5)


def test_a_seed_gives_one_rig_and_another_seed_another():
    first, again, other = (mpi_inf_3dhp.training_rig(seed).camera for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.rotation, again.rotation)
    assert not np.allclose(first.rotation, other.rotation)
