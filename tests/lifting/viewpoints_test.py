import json
import pathlib
import re

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files, calibrations, pose2sim, recordings
from keras_mvlift.lifting import viewpoints
from tests import refusals
from tests.datasets.rigs import rigs_of_cameras, simulated_rigs

CALIBRATION = pathlib.Path(pose2sim.demo_root(), "calibration", "Calib.qca.txt")
MATRIX = np.array([[1100.0, 0, 510], [0, 1120, 490], [0, 0, 1]])


def test_intrinsics_are_opencvs_numbers():
    seen = viewpoints.from_intrinsics(1100, 1120, 510, 490, (-0.2, 0.1))
    np.testing.assert_array_equal(seen.intrinsics, MATRIX)
    assert seen.distortion.tolist() == [-0.2, 0.1, 0, 0, 0]
    assert viewpoints.from_intrinsics(1100, 1120, 510, 490).distortion is None


def test_what_is_told_of_a_camera_as_data_makes_it_again():
    whole = viewpoints.Viewpoint(intrinsics=MATRIX, rotation=np.eye(3), center=np.arange(3.0))
    for seen in (whole, viewpoints.from_intrinsics(1100, 1120, 510, 490, (-0.2, 0.1))):
        told = json.loads(json.dumps(seen.as_data()))
        again = viewpoints.of_data(told)
        for name in ("intrinsics", "distortion", "rotation", "center"):
            np.testing.assert_array_equal(getattr(again, name), getattr(seen, name))
    assert set(whole.as_data()) == {"intrinsics", "rotation", "center"}


def test_a_right_angle_across_the_image_is_half_its_width():
    # tan(45 degrees) = 1.
    seen = viewpoints.from_field_of_view(90.0, (640, 480))
    np.testing.assert_allclose(seen.intrinsics, [[320, 0, 320], [0, 320, 240], [0, 0, 1]])
    assert (seen.image_size, seen.has_place) == ((640, 480), False)
    with pytest.warns(errors.InputWarning, match=r"is 1\.2 degrees: are they radians\?"):
        viewpoints.from_field_of_view(1.2, (640, 480))


def test_a_camera_like_training_sees_the_longer_side_under_the_same_angle():
    # In training the sides were 2 * 510 and 2 * 490 pixels; the longer is 2040 here.
    seen = viewpoints.like_training(MATRIX, (1000, 2040))
    np.testing.assert_allclose(seen.intrinsics, [[2220, 0, 500], [0, 2220, 1020], [0, 0, 1]])
    assert "focal length 2220 px" in seen.origin
    np.testing.assert_array_equal(viewpoints.like_training(MATRIX, None).intrinsics, MATRIX)


def test_the_camera_stands_at_its_center_and_looks_along_its_axis():
    # It looks along the world's x, from 2 m above the ground: x is -y there and y is -z.
    rotation = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    seen = viewpoints.Viewpoint(intrinsics=MATRIX, rotation=rotation, center=np.array([0, 0, 2.0]))
    assert seen.has_place
    assert seen.world_from_camera(np.zeros(3)).tolist() == [0, 0, 2]
    assert seen.world_from_camera(np.array([[1.0, 0.5, 4]])).tolist() == [[4, -1, 1.5]]


def test_without_its_place_there_is_no_world():
    with pytest.raises(ValueError, match="`camera` must be known, with rotation and center"):
        viewpoints.Viewpoint(intrinsics=MATRIX).world_from_camera(np.zeros(3))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: viewpoints.from_intrinsics(0, 1, 2, 3), "`intrinsics` must be [3, 3], pixels,"),
        (lambda: viewpoints.from_intrinsics(np.nan, 1, 2, 3), "`intrinsics` must be [3, 3], pix"),
        (lambda: viewpoints.from_intrinsics(1, 1, 2, 3, (1,) * 6), "`distortion` must be at most"),
        (lambda: viewpoints.from_intrinsics(1, 1, 2, 3, (np.inf,)), "`distortion` must be OpenCV"),
        (lambda: viewpoints.from_field_of_view(180, (9, 9)), "`fov` must be above 0 and at most"),
        (lambda: viewpoints.from_field_of_view(60, (0, 9)), "`image_size` must be width and"),
        (
            lambda: viewpoints.Viewpoint(intrinsics=MATRIX, center=np.zeros(3)),
            "`rotation and center` must be given together.",
        ),
    ],
)
def test_a_camera_that_cannot_be_is_refused_by_field(make, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()


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
    refusals.refused(f"`camera` must {rule} {known}", viewpoints.read, CALIBRATION, name)


def test_other_files_are_refused(tmp_path):
    refusals.refused("`calibration` must exist", viewpoints.read, tmp_path / "rig.docx")
    (tmp_path / "rig.pickle").touch()
    with pytest.raises(errors.RecordingError, match=r"`calibration` must end in \.toml.*a pickle"):
        viewpoints.read(tmp_path / "rig.pickle")
    refusals.refused("must be a file that exists", viewpoints.read, tmp_path / "rig.toml")


RIG = rigs_of_cameras.draw()


def placed(tmp_path, camera, scale=1.0):
    path = tmp_path / "calibration.toml"
    rig = RIG._replace(camera=camera._replace(center=scale * np.asarray(camera.center)))
    calibration_files.write_toml(path, rig)
    return path


@pytest.mark.parametrize("folder", ["calibration", "calib-2d"])
def test_a_session_of_pose2sim_and_its_inner_folder_are_calibrations(tmp_path, folder):
    with pytest.raises(errors.RecordingError, match=r"Calib\*.toml` must match exactly one file"):
        viewpoints.read(tmp_path, "cam_1")
    inner = tmp_path / folder
    inner.mkdir()
    calibration_files.write_toml(inner / "Calib_board.toml", RIG)
    for path in (tmp_path, inner):
        seen = viewpoints.read(path, "cam_2")
        np.testing.assert_allclose(seen.center, RIG.camera.center[1], rtol=1e-6)


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1e3), ("cm", 1e2), ("m", 1.0)])
def test_a_unit_may_be_told_and_one_that_cannot_be_is_refused(tmp_path, unit, scale):
    path = placed(tmp_path, RIG.camera, scale)
    seen = viewpoints.read(path, "cam_2", unit=unit)
    np.testing.assert_allclose(seen.center, RIG.camera.center[1], rtol=1e-6)
    if unit != "m":
        word = {"mm": "milli", "cm": "centi"}[unit]
        rule = rf"stand .* m apart; .*--unit.* looks like {word}meters read as meters"
        refusals.refused(rule, viewpoints.read, path, "cam_2")


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
