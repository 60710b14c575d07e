import json

import cv2
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files
from tests.datasets.rigs import rigs_of_cameras
from tests.untrusted import damage


def put(storage, rig, index, *, vector=False):
    """Writes a camera as OpenCV itself does."""
    intrinsics, rotation, center = (value[index] for value in rig.camera)
    storage.write("image_width", int(rig.image_sizes[index, 0]))
    storage.write("image_height", int(rig.image_sizes[index, 1]))
    storage.write("camera_matrix", intrinsics)
    storage.write("distortion_coefficients", rig.distortion[index : index + 1])
    storage.write("rvec" if vector else "R", cv2.Rodrigues(rotation)[0] if vector else rotation)
    storage.write("tvec" if vector else "T", (-rotation @ center)[:, np.newaxis])


@pytest.mark.parametrize("suffix", ["yml", "yaml", "json"])
@pytest.mark.parametrize("vector", [False, True])
def test_a_folder_of_files_that_opencv_wrote_is_read(tmp_path, suffix, vector):
    rig = rigs_of_cameras.draw()
    for index, name in enumerate(rig.names):
        storage = cv2.FileStorage(str(tmp_path / f"{name}.{suffix}"), cv2.FILE_STORAGE_WRITE)
        put(storage, rig, index, vector=vector)
        storage.release()
    (tmp_path / "notes.txt").write_text("not a camera")
    rigs_of_cameras.assert_same(calibration_files.read_opencv(tmp_path), rig, atol=1e-9)


@pytest.mark.parametrize("suffix", ["yml", "json"])
def test_one_file_of_all_cameras_that_opencv_wrote_is_read(tmp_path, suffix):
    rig = rigs_of_cameras.draw()
    path = tmp_path / f"rig.{suffix}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("calibration_time", "today")
    for index, name in enumerate(rig.names):
        storage.startWriteStruct(name, cv2.FILE_NODE_MAP)
        put(storage, rig, index)
        storage.endWriteStruct()
    storage.release()
    rigs_of_cameras.assert_same(calibration_files.read_opencv(path), rig, atol=1e-9)


def test_one_file_of_one_camera_is_called_like_the_file(tmp_path):
    rig = rigs_of_cameras.draw()
    storage = cv2.FileStorage(str(tmp_path / "left.yml"), cv2.FILE_STORAGE_WRITE)
    put(storage, rig, 0)
    storage.release()
    read = calibration_files.read_opencv(tmp_path / "left.yml", errors.MILLIMETERS)
    assert read.names == ("left",)
    np.testing.assert_allclose(read.camera.center, rig.camera.center[:1] / 1000, atol=1e-9)


INFO = """
image_width: 640
image_height: 480
camera_name: left
camera_matrix:
  rows: 3
  cols: 3
  data: [500, 0, 320, 0, 500, 240, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -1e-2, 0, 0, 0]
"""


def test_ros_camera_info_is_read_without_a_place(tmp_path):
    path = tmp_path / "left.yaml"
    path.write_text(INFO)
    read = calibration_files.read_opencv(path)
    assert not read.has_extrinsics
    assert read.distortion.tolist() == [[0.1, -0.01, 0, 0, 0]]
    assert read.image_sizes.tolist() == [[640, 480]]


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("plumb_bob", "equidistant", "left/distortion_model", "be one of plumb_bob.*equidistant"),
        ("plumb_bob", "rational_polynomial", "left/distortion_model", "another lens is not read"),
        ("camera_name: left", "fisheye_model: 1", "left/fisheye_model", "a fisheye lens"),
        ("rows: 3", "rows: 4", "left/camera_matrix", "be a matrix of `rows` by `cols`"),
        ("  cols: 3\n", "", "left/camera_matrix", "be a matrix.*no `cols`"),
        (
            "camera_matrix",
            "other_matrix",
            "cameras",
            "hold a matrix of each.*: image_wi",
        ),
        ("data: [500", "data: [many", "left/camera_matrix", "Received: 'many'"),
        (
            "image_width: 640",
            "width: !!python/object:os.system {x: 1}",
            "calibration",
            "be plain YAML",
        ),
    ],
)
def test_a_file_that_is_not_a_calibration_is_refused(tmp_path, old, new, field, message):
    path = tmp_path / "left.yaml"
    path.write_text(INFO.replace(old, new))
    with pytest.raises(errors.RecordingError, match=message) as caught:
        calibration_files.read_opencv(path)
    assert (caught.value.path, caught.value.field) == (path, field)


def test_a_list_is_no_calibration(tmp_path):
    path = tmp_path / "rig.json"
    path.write_text(json.dumps([1, 2]))
    with pytest.raises(errors.RecordingError, match=r"hold a matrix of each.*Received: 1, 2"):
        calibration_files.read_opencv(path)


def test_two_files_of_one_camera_are_refused(tmp_path):
    for suffix in ("yaml", "yml"):
        (tmp_path / f"left.{suffix}").write_text(INFO)
    with pytest.raises(errors.RecordingError, match=r"be each camera's own. Received: left"):
        calibration_files.read_opencv(tmp_path)


@pytest.mark.parametrize("suffix", ["yml", "json"])
def test_damaged_files_end_in_our_error(tmp_path, suffix):
    path = tmp_path / f"left.{suffix}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    put(storage, rigs_of_cameras.draw(), 0)
    storage.release()
    data = path.read_bytes()
    assert (
        damage.assert_only_our_errors(
            lambda: calibration_files.read_opencv(path), path, data, count=200
        )
        > 60
    )


def parts(rig, index):
    """Returns a camera's matrix, lens, rotation and translation as lists."""
    intrinsics, rotation, center = (np.asarray(value)[index] for value in rig.camera)
    numbers = intrinsics, rig.distortion[index], rotation, -rotation @ center
    return [value.tolist() for value in numbers]


def easymocap(folder, rig):
    for name, keys in (("intri", ("K", "dist")), ("extri", ("Rot", "T"))):
        storage = cv2.FileStorage(str(folder / f"{name}.yml"), cv2.FILE_STORAGE_WRITE)
        storage.write("names", " ".join(rig.names))
        for index, camera in enumerate(rig.names):
            known = dict(zip(("K", "dist", "Rot", "T"), parts(rig, index), strict=True))
            for key in keys:
                storage.write(f"{key}_{camera}", np.array(known[key], np.float64))
        storage.release()
    return folder


def listed(folder, rig, keys, below=None):
    cameras = [
        dict(zip(keys, parts(rig, index), strict=True)) | {"name": name}
        for index, name in enumerate(rig.names)
    ]
    path = folder / "rig.json"
    path.write_text(json.dumps({below: cameras} if below else cameras))
    return path


def kalibr(folder, rig):
    """Each camera stands in the frame of the one before; the first one's is the world."""
    told, former = {}, np.eye(4)
    for index, name in enumerate(rig.names):
        (row, lens, rotation, translation), pose = parts(rig, index), np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, translation
        focal = [row[0][0], row[1][1], row[0][2], row[1][2]]
        told[name] = {"intrinsics": focal, "distortion_coeffs": lens, "camera_model": "pinhole"}
        if index:
            told[name]["T_cn_cnm1"] = (pose @ np.linalg.inv(former)).tolist()
        former = pose
    path = folder / "camchain.yaml"
    path.write_text(json.dumps(told))
    return path


FORMS = {
    "easymocap": easymocap,
    "aistpp": lambda folder, rig: listed(
        folder, rig, ("matrix", "distortions", "rotation", "translation")
    ),
    "panoptic": lambda folder, rig: listed(folder, rig, ("K", "distCoef", "R", "t"), "cameras"),
    "kalibr": kalibr,
}


@pytest.mark.parametrize("form", FORMS)
def test_rigs_of_other_programs_are_read(tmp_path, form):
    rig = rigs_of_cameras.draw()._replace(image_sizes=np.zeros((3, 2)))
    if form == "kalibr":
        first = rig.camera._replace(rotation=np.array(rig.camera.rotation))
        first.rotation[0], first.center[0] = np.eye(3), 0.0
        rig = rig._replace(camera=first)
    read = calibration_files.read_opencv(FORMS[form](tmp_path, rig))
    rigs_of_cameras.assert_same(read, rig, atol=1e-9)


MATRIX = [[500, 0, 320], [0, 510, 240], [0, 0, 1]]
XML = """<?xml version="1.0"?><opencv_storage><camera_matrix type_id="opencv-matrix">
<rows>3</rows><cols>3</cols><dt>d</dt><data>500 0 320 0 510 240 0 0 1</data></camera_matrix>
<image_width>640</image_width><image_height>480</image_height></opencv_storage>"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("left.json", json.dumps({"mtx": MATRIX, "dist": [[0, 0, 0, 0, 0]]})),
        ("left.yaml", f"K: {np.ravel(MATRIX).tolist()}\nD: []\ndistortion_model: plumb_bob\n"),
        ("left.json", json.dumps({"camera_matrix": MATRIX})),
        ("left.xml", XML),
        ("intri.yml", json.dumps({"K_left": MATRIX})),
    ],
)
def test_a_camera_alone_is_read_and_a_lens_of_which_nothing_is_said_bends_nothing(
    tmp_path, name, text
):
    (tmp_path / name).write_text(text)
    read = calibration_files.read_opencv(tmp_path / name)
    assert (read.names, read.has_extrinsics) == (("left",), False)
    np.testing.assert_array_equal(read.camera.intrinsics[0], MATRIX)
    assert not read.distortion.any()


def test_what_is_known_by_half_is_refused_by_the_name_of_what_it_is(tmp_path):
    path = tmp_path / "extri.yml"
    path.write_text(json.dumps({"R_1": [1, 2, 3], "T_1": [1, 2, 3]}))
    with pytest.raises(errors.RecordingError, match="of EasyMocap's extri without its intri"):
        calibration_files.read_opencv(path)
