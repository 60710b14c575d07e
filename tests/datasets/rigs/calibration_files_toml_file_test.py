import pathlib
import sys

import hypothesis
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files, pose2sim
from tests.datasets.rigs import rigs_of_cameras
from tests.untrusted import damage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Each example writes the same file anew.
FIXTURE = [hypothesis.HealthCheck.function_scoped_fixture]


@hypothesis.settings(suppress_health_check=FIXTURE, deadline=None, max_examples=20)
@hypothesis.given(
    seed=hypothesis.strategies.integers(0, 2**32 - 1),
    num_cameras=hypothesis.strategies.integers(1, 6),
)
def test_what_was_written_is_read_back(tmp_path, seed, num_cameras):
    rig = rigs_of_cameras.draw(seed, num_cameras)
    calibration_files.write_toml(tmp_path / "Calib.toml", rig)
    rigs_of_cameras.assert_same(calibration_files.read_toml(tmp_path / "Calib.toml"), rig)


def test_it_is_written_in_pose2sims_form(tmp_path):
    rig = rigs_of_cameras.draw(lens=(0.1, 0.1, 0.1, 0.1, 0.0))
    calibration_files.write_toml(tmp_path / "Calib.toml", rig)
    tables = tomllib.loads((tmp_path / "Calib.toml").read_text())
    assert list(tables) == ["cam_01", "cam_02", "cam_03", "metadata"]
    keys = ["name", "size", "matrix", "distortions", "rotation", "translation", "fisheye"]
    assert list(tables["cam_01"]) == keys
    assert len(tables["cam_01"]["distortions"]) == 4
    assert tables["cam_01"]["fisheye"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["Calib.toml"]


def test_cameras_whose_place_is_unknown_are_written_without(tmp_path):
    rig = rigs_of_cameras.without_extrinsics(rigs_of_cameras.draw())
    calibration_files.write_toml(tmp_path / "Calib.toml", rig)
    assert "rotation" not in (tmp_path / "Calib.toml").read_text()
    read = calibration_files.read_toml(tmp_path / "Calib.toml")
    assert not read.has_extrinsics
    rigs_of_cameras.assert_same(read, rig)


def test_pose2sims_own_conversion_of_a_qualisys_file_is_the_same_rig():
    folder = pathlib.Path(pose2sim.demo_root()) / "calibration"
    converted = calibration_files.read_toml(folder / "Calib_qualisys.toml")
    original = calibration_files.read_qualisys(folder / "Calib.qca.txt")
    # Pose2Sim divides the coefficients by 64, too, and leaves out the fifth.
    rescaled = original.distortion / 64 * [1, 1, 1, 1, 0]
    rigs_of_cameras.assert_same(converted, original._replace(distortion=rescaled), atol=1e-9)


CAMERA = """
matrix = [[707.5, 0.0, 630.5], [0.0, 708.5, 373.5], [0.0, 0.0, 1.0]]
distortions = [0.19, -0.33, -0.003, -0.0015, 0.23]
rotation = [0.0, 0.0, 0.0]
translation = [0.0, 0.0, 1.5]
"""


def test_caliscopes_cameras_are_numbered_and_ignored_ones_left_out(tmp_path):
    path = tmp_path / "camera_array.toml"
    path.write_text(
        f"[cameras.0]\nport = 0\nignore = true\n[cameras.1]\nrotation_count = 1\n{CAMERA}"
        "[charuco]\ncolumns = 4\n"
    )
    rig = calibration_files.read_toml(path)
    assert rig.names == ("cam_1",)
    np.testing.assert_allclose(rig.camera.center, [[0, 0, -1.5]])


def test_older_caliscope_files_have_a_table_a_camera_and_matrices(tmp_path):
    path = tmp_path / "config.toml"
    matrix = "rotation = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]"
    text = CAMERA.replace("rotation = [0.0, 0.0, 0.0]", matrix)
    path.write_text(f"CreationDate = 2023-03-31T09:56:43\n[cam_0]\n{text}\n[capture_volume]\nx = 1")
    rig = calibration_files.read_toml(path)
    assert rig.names == ("cam_0",)
    np.testing.assert_allclose(rig.camera.rotation, [[[1, 0, 0], [0, 0, -1], [0, 1, 0]]])


def test_translations_are_read_in_the_unit_told(tmp_path):
    path = tmp_path / "calibration.toml"
    path.write_text(f"[cam_0]\nname = 'left'\n{CAMERA}")
    rig = calibration_files.read_toml(path, errors.MILLIMETERS)
    assert rig.names == ("left",)
    np.testing.assert_allclose(rig.camera.center, [[0, 0, -0.0015]])


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("[cam_0", "calibration", "be TOML. Received: TOMLDecodeError"),
        ("", "cameras", "be there. Received: none"),
        (f"[cam_0]\nfisheye = true\n{CAMERA}", "cam_0/fisheye", "a fisheye lens is not read"),
        ("[cam_0]\nsize = [1, 2]", "cam_0/matrix", "be there. Received: nothing"),
        ("[cameras]\nleft = 3", "cam_left", "be a table. Received: 3"),
    ],
)
def test_a_file_that_is_not_a_calibration_is_refused(tmp_path, text, field, message):
    path = tmp_path / "Calib.toml"
    path.write_text(text)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        calibration_files.read_toml(path)
    assert (caught.value.path, caught.value.field) == (path, field)


def test_damaged_files_end_in_our_error(tmp_path):
    path = tmp_path / "Calib.toml"
    calibration_files.write_toml(path, rigs_of_cameras.draw())
    data = path.read_bytes()
    assert (
        damage.assert_only_our_errors(
            lambda: calibration_files.read_toml(path), path, data, count=300
        )
        > 60
    )
