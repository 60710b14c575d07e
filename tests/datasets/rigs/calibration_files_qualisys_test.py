import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests.datasets import recordings
from tests.untrusted import damage


def written(tmp_path, **options):
    camera = random_scenes.camera(np.random.default_rng(0), 3)
    path = tmp_path / "Calib.qca.txt"
    path.write_text(recordings.calibration(camera, **options))
    return path, camera


def test_golden(tmp_path):
    # A camera 2 m up that looks along the world's y: x right, y down = -z, z forward = y. In the
    # file y and z of the camera are flipped: up = z and backward = -y. 640 / 64 = 10 pixels.
    path = tmp_path / "Calib.qca.txt"
    path.write_text(
        "<calibration><cameras><camera serial='7'>"
        "<fov_video left='3' top='4' right='90' bottom='90'/>"
        "<transform x='0' y='-3000' z='2000' r11='1' r12='0' r13='0' r21='0' r22='0' r23='1'"
        " r31='0' r32='-1' r33='0'/>"
        "<intrinsic focalLengthU='640' focalLengthV='1280' centerPointU='3200'"
        " centerPointV='6400' radialDistortion1='1' radialDistortion2='2' radialDistortion3='3'"
        " tangentalDistortion1='4' tangentalDistortion2='5'/></camera></cameras></calibration>"
    )
    names, camera, distortion, image_sizes = calibration_files.read_qualisys(path)
    assert names == ("7",)
    np.testing.assert_allclose(camera.intrinsics, [[[10, 0, 47], [0, 20, 96], [0, 0, 1]]])
    np.testing.assert_allclose(camera.rotation, [[[1, 0, 0], [0, 0, -1], [0, 1, 0]]])
    np.testing.assert_allclose(camera.center, [[0, -3, 2]])
    # Pixels 3 to 90 and 4 to 90.
    np.testing.assert_array_equal(image_sizes, [[88, 87]])
    # OpenCV's order: k1, k2, p1, p2, k3.
    np.testing.assert_allclose(distortion, [[1, 2, 4, 5, 3]])
    # 1 m to the right, 3 m ahead and 1 m below the camera.
    seen = cameras.camera_from_world(np.array([[1.0, 0.0, 1.0]]), camera)
    np.testing.assert_allclose(seen, [[[1, 1, 3]]])


def test_what_was_written_is_read_back(tmp_path):
    distortion = (0.1, -0.2, 0.003, -0.004, 0.05)
    path, camera = written(tmp_path, distortion=distortion, corner=(17, 42))
    names, read, read_distortion, image_sizes = calibration_files.read_qualisys(path)
    assert names == ("cam_01", "cam_02", "cam_03")
    for field, expected in zip(read, camera, strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-9)
    np.testing.assert_allclose(read_distortion, [distortion] * 3)
    np.testing.assert_array_equal(image_sizes, [recordings.SIZE] * 3)


def test_cameras_without_a_serial_are_numbered(tmp_path):
    path, _ = written(tmp_path)
    path.write_text(path.read_text().replace('serial="cam_02"', ""))
    assert calibration_files.read_qualisys(path).names == ("cam_01", "2", "cam_03")


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("</cameras>", "", "calibration", "be XML"),
        ("<?xml version='1.0'?>", "?", "calibration", "be XML"),
        ("camera ", "lens ", "camera", "exist. Received: no such element"),
        ("fov_video", "video", "cam_01/fov_video/left", "be a finite number. Received: None"),
        (" r22=", " r0=", "cam_01/transform/r22", "be a finite number. Received: None"),
        (' x="', ' x="a', "cam_01/transform/x", "be a finite number. Received: a"),
        (' y="', ' y="nan" b="', "cam_01/transform/y", "be a finite number. Received: nan"),
        ("Distortion3", "3", "cam_01/intrinsic/radialDistortion3", "be a finite number"),
        (' focalLengthV="', ' focalLengthV="-1" b="', "cam_01/intrinsic", "have positive focal"),
        ('serial="cam_02"', 'serial="cam_01"', "serial", "own. Received: cam_01, cam_01, cam_03"),
        (' r11="', ' r11="9.0" b="', "cam_01/transform", r"hold a rotation.*Received: \[9.0, "),
    ],
)
def test_a_file_that_is_not_a_calibration_is_refused(tmp_path, old, new, field, message):
    path, _ = written(tmp_path)
    text = path.read_text().replace(old, new)
    path.write_text(text.replace("</camera>", "</lens>") if "<lens" in text else text)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        calibration_files.read_qualisys(path)
    assert (caught.value.path, caught.value.field) == (path, field)


def test_a_mirrored_camera_is_refused(tmp_path):
    path, camera = written(tmp_path)
    mirrored = camera._replace(rotation=camera.rotation * [-1, 1, 1])
    path.write_text(recordings.calibration(mirrored))
    with pytest.raises(errors.RecordingError, match=r"`cam_01/transform` must hold a rotation"):
        calibration_files.read_qualisys(path)


def test_damaged_files_end_in_our_error(tmp_path):
    path, _ = written(tmp_path)
    data = path.read_bytes()
    assert (
        damage.assert_only_our_errors(lambda: calibration_files.read_qualisys(path), path, data)
        > 30
    )
