import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files, calibrations
from tests.datasets.rigs import rigs_of_cameras, simulated_rigs


@pytest.mark.parametrize("up", ["z", "-y"])
@pytest.mark.parametrize("file_format", calibration_files.FORMATS)
def test_every_format_gives_the_same_rig(tmp_path, file_format, up):
    rig = rigs_of_cameras.draw()
    turned = rig._replace(camera=calibrations.turn_camera_back(rig.camera, up))
    described = simulated_rigs.CALIBRATION_WRITERS[file_format](tmp_path, turned)
    path = tmp_path / described["file"]
    read = calibration_files.read(path, file_format, described.get("unit", ""), up)
    rigs_of_cameras.assert_same(read, rig, atol=1e-9)
    calibration_files.check_usable(path, read)


@pytest.mark.parametrize(
    ("arguments", "field", "message"),
    [
        (("vicon",), "format", "be one of pose2sim, anipose, caliscope, opencv, qualisys"),
        (("pose2sim", "inch"), "unit", "be one of , m, cm, mm. Received: inch"),
        (("pose2sim", "m", "up"), "up", "be one of z, -z, y"),
        (("qualisys", "m"), "unit", "be mm, as in all Qualisys files. Received: m"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path, arguments, field, message):
    with pytest.raises(errors.RecordingError, match=message) as caught:
        calibration_files.read(tmp_path / "Calib.toml", *arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("written", "told", "message"),
    [
        ("m", "mm", "looks like meters read as millimeters"),
        ("mm", "m", "looks like millimeters read as meters"),
    ],
)
def test_a_unit_that_puts_cameras_absurdly_far_or_near_is_told(tmp_path, written, told, message):
    path = tmp_path / "Calib.toml"
    rig = rigs_of_cameras.draw()
    scale = {"m": 1, "mm": 1000}[written]
    calibration_files.write_toml(
        path, rig._replace(camera=rig.camera._replace(center=scale * rig.camera.center))
    )
    read = calibration_files.read(path, "pose2sim", told)
    with pytest.raises(errors.RecordingError, match=f"set the calibration's `unit`.*{message}"):
        calibration_files.check_usable(path, read)
    calibration_files.check_usable(path, calibration_files.read(path, "pose2sim", written))


def test_a_rig_that_cannot_be_trained_on_says_why(tmp_path):
    rig = rigs_of_cameras.draw()
    with pytest.raises(errors.RecordingError, match=r"be two or more. Received: cam_2"):
        calibration_files.check_usable(tmp_path, rig.select(["cam_2"]))
    rig.camera.center[1] = np.nan
    message = "run `keras-mvlift calibrate` to estimate them. Received: none of cam_2"
    with pytest.raises(errors.RecordingError, match=message):
        calibration_files.check_usable(tmp_path, rig)
