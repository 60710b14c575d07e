import pathlib

import cv2
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files, pose2sim
from keras_mvlift.lifting import viewpoints

CALIBRATION = pathlib.Path(pose2sim.demo_root(), "calibration", "Calib.qca.txt")
LENS = (-0.3, 0.1, 0.001, -0.002, 0.01)


def test_a_camera_of_a_rig_is_known_by_its_name():
    rig = calibration_files.read_qualisys(CALIBRATION)
    name = rig.names[2]
    seen = viewpoints.read(CALIBRATION, name)
    np.testing.assert_allclose(seen.intrinsics, rig.camera.intrinsics[2])
    np.testing.assert_allclose(seen.rotation, rig.camera.rotation[2])
    np.testing.assert_allclose(seen.center, rig.camera.center[2])
    np.testing.assert_array_equal(seen.distortion, rig.distortion[2])
    assert seen.image_size == (1088, 1920)
    assert seen.origin == f"camera {name} of Calib.qca.txt"


@pytest.mark.parametrize("name", [None, "cam9"])
def test_a_camera_that_is_not_there_is_refused_with_those_that_are(name):
    known = ", ".join(calibration_files.read_qualisys(CALIBRATION).names)
    with pytest.raises(
        errors.RecordingError,
        match=f"`camera` must be .*: {known}" if name is None else f"be one of {known}",
    ):
        viewpoints.read(CALIBRATION, name)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(errors.RecordingError, match="`calibration` must exist"):
        viewpoints.read(tmp_path / "rig.docx")
    (tmp_path / "rig.pickle").touch()
    with pytest.raises(errors.RecordingError, match=r"`calibration` must end in \.toml.*a pickle"):
        viewpoints.read(tmp_path / "rig.pickle")
    with pytest.raises(errors.RecordingError, match="must be a file that exists"):
        viewpoints.read(tmp_path / "rig.toml")


def test_what_opencv_bends_is_made_straight():
    seen = viewpoints.from_intrinsics(1000, 1010, 500, 510, LENS)
    straight = np.random.default_rng(0).uniform(200, 800, (2, 3, 5, 2))
    rays = np.concatenate([(straight - [500, 510]) / [1000, 1010], np.ones((2, 3, 5, 1))], axis=-1)
    none = np.zeros(3)
    bent = cv2.projectPoints(rays.reshape(-1, 3), none, none, seen.intrinsics, np.array(LENS))[0]
    bent = bent.reshape(straight.shape)
    assert np.abs(bent - straight).max() > 1
    confidence = np.ones((2, 3, 5))
    confidence[1, 2, 3] = 0.0
    points, sure = viewpoints.straighten(bent, confidence, seen)
    np.testing.assert_array_equal(sure, confidence)
    np.testing.assert_allclose(points[sure > 0], straight[sure > 0], atol=1e-4)
    assert points[1, 2, 3].tolist() == [0, 0]


def test_a_lens_that_bends_nothing_changes_nothing():
    points, confidence = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2))
    seen = viewpoints.from_intrinsics(1000, 1010, 500, 510)
    straight, sure = viewpoints.straighten(points, confidence, seen)
    assert straight is points
    assert sure is confidence
