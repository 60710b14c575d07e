import pathlib

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files, calibrations, pose2sim, recordings
from keras_mvlift.lifting import viewpoints
from tests.datasets.rigs import rigs_of_cameras, simulated_rigs

CALIBRATION = pathlib.Path(pose2sim.demo_root(), "calibration", "Calib.qca.txt")


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


@pytest.mark.parametrize(("name", "rule"), [(None, "be said by --camera:"), ("cam9", "be one of")])
def test_a_camera_that_is_not_there_is_refused_with_those_that_are(name, rule):
    known = ", ".join(calibration_files.read_qualisys(CALIBRATION).names)
    with pytest.raises(errors.RecordingError, match=f"`camera` must {rule} {known}"):
        viewpoints.read(CALIBRATION, name)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(errors.RecordingError, match="`calibration` must exist"):
        viewpoints.read(tmp_path / "rig.docx")
    (tmp_path / "rig.pickle").touch()
    with pytest.raises(errors.RecordingError, match=r"`calibration` must end in \.toml.*a pickle"):
        viewpoints.read(tmp_path / "rig.pickle")
    with pytest.raises(errors.RecordingError, match="must be a file that exists"):
        viewpoints.read(tmp_path / "rig.toml")


RIG = rigs_of_cameras.draw()


def placed(tmp_path, camera, scale=1.0):
    path = tmp_path / "calibration.toml"
    rig = RIG._replace(camera=camera._replace(center=scale * np.asarray(camera.center)))
    calibration_files.write_toml(path, rig)
    return path


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1e3), ("cm", 1e2), ("m", 1.0)])
def test_a_unit_may_be_told_and_one_that_cannot_be_is_refused(tmp_path, unit, scale):
    path = placed(tmp_path, RIG.camera, scale)
    seen = viewpoints.read(path, "cam_2", unit=unit)
    np.testing.assert_allclose(seen.center, RIG.camera.center[1], rtol=1e-6)
    if unit != "m":
        word = {"mm": "milli", "cm": "centi"}[unit]
        rule = rf"stand .* m apart; .*--unit.* looks like {word}meters read as meters"
        with pytest.raises(errors.RecordingError, match=rule):
            viewpoints.read(path, "cam_2")


@pytest.mark.parametrize("up", calibrations.UP_AXES)
def test_another_axis_may_be_up(tmp_path, up):
    path = placed(tmp_path, calibrations.turn_camera_back(RIG.camera, up))
    seen = viewpoints.read(path, "cam_1", up=up)
    np.testing.assert_allclose(seen.center, RIG.camera.center[0], atol=1e-6)
    np.testing.assert_allclose(seen.rotation, RIG.camera.rotation[0], atol=1e-6)


@pytest.mark.parametrize("name", ["rig.yaml", ""])
def test_a_rigs_manifest_is_a_calibration(tmp_path, name):
    simulated_rigs.write_rig(str(tmp_path), up="-y", num_frames=2)
    known = recordings.RigSource(root=str(tmp_path)).rig
    seen = viewpoints.read(tmp_path / name, known.names[1])
    np.testing.assert_allclose(seen.center, known.camera.center[1], atol=1e-6)
    np.testing.assert_allclose(seen.rotation, known.camera.rotation[1], atol=1e-6)
    with pytest.raises(errors.ArgumentError, match="`unit and up` must be told by the manifest"):
        viewpoints.read(tmp_path / name, known.names[1], up="y")
