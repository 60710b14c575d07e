import sys

import cv2
import numpy as np

from keras_mvlift.studio import calibration_files
from tests.datasets.rigs import rigs_of_cameras

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_opencv_reads_what_is_written_as_opencvs(tmp_path):
    rig = rigs_of_cameras.draw()
    calibration_files.WRITERS["opencv"](tmp_path, rig)
    for index, name in enumerate(rig.names):
        path = str(tmp_path / "intrinsics" / f"{name}.yml")
        storage = cv2.FileStorage(path, cv2.FILE_STORAGE_READ)
        read = {key: storage.getNode(key).mat() for key in ("camera_matrix", "R", "T")}
        np.testing.assert_allclose(read["camera_matrix"], rig.camera.intrinsics[index])
        np.testing.assert_allclose(read["R"], rig.camera.rotation[index], atol=1e-12)
        center = -read["R"].T @ read["T"][:, 0]
        np.testing.assert_allclose(center, rig.camera.center[index], atol=1e-12)
        assert storage.getNode("image_width").real() == rig.image_sizes[index, 0]
        storage.release()


def test_aniposes_translations_are_in_millimeters_as_its_manifest_says(tmp_path):
    rig = rigs_of_cameras.draw()
    described = calibration_files.WRITERS["anipose"](tmp_path, rig)
    assert described == {"file": "calibration.toml", "unit": "mm"}
    tables = tomllib.loads((tmp_path / "calibration.toml").read_text())
    translation = -rig.camera.rotation[0] @ rig.camera.center[0]
    np.testing.assert_allclose(tables["cam_0"]["translation"], 1000 * translation)
    rotation = cv2.Rodrigues(np.array(tables["cam_0"]["rotation"]))[0]
    np.testing.assert_allclose(rotation, rig.camera.rotation[0], atol=1e-12)
    assert tables["cam_0"]["name"] == "cam_1"


def test_caliscopes_file_has_a_camera_that_is_ignored(tmp_path):
    calibration_files.WRITERS["caliscope"](tmp_path, rigs_of_cameras.draw())
    tables = tomllib.loads((tmp_path / "camera_array.toml").read_text())
    assert list(tables["cameras"]) == ["0", "1", "2", "3"]
    assert tables["cameras"]["0"] == {"port": 0, "rotation_count": 0, "ignore": True}
