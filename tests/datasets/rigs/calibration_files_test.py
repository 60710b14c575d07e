import json
import pathlib
import sys

import cv2
import hypothesis
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files, calibrations, pose2sim
from keras_mvlift.geometry import cameras
from keras_mvlift.lifting import viewpoints
from tests import random_scenes, refusals
from tests.datasets import recordings as rig_recordings
from tests.datasets.rigs import rigs_of_cameras, simulated_rigs
from tests.untrusted import damage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


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
        (("pose2sim", "inch"), "unit", "be one of , m, cm, mm. Received: .inch"),
        (("pose2sim", "m", "up"), "up", "be one of z, -z, y"),
        (("qualisys", "m"), "unit", "be mm, as in all Qualisys files. Received: m"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path, arguments, field, message):
    path = tmp_path / "Calib.toml"
    error = refusals.refused(message, calibration_files.read, path, *arguments)
    assert error.field == field


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


MATRIX = [[500, 0, 320], [0, 510, 240], [0, 0, 1]]
MATRIX_OF_ROS = np.ravel(MATRIX).astype(float).tolist()


def rostopic(path):
    """Writes what `ros2 topic echo --once /camera_info` prints."""
    told = {"height": 480, "width": 640, "distortion_model": "plumb_bob", "d": [0.1, 0, 0, 0, 0]}
    path.write_text(json.dumps(told | {"k": MATRIX_OF_ROS, "r": np.eye(3).ravel().tolist()}))


def savez(path):
    """Writes what OpenCV's tutorial has kept; places are those of its board."""
    matrix, boards = np.reshape(MATRIX_OF_ROS, (3, 3)), np.ones((9, 3, 1))
    lens = np.array([[0.1, 0, 0, 0, 0]])
    np.savez(path, mtx=matrix, dist=lens, rvecs=boards, tvecs=boards)


@pytest.mark.parametrize(("name", "write"), [("left.yaml", rostopic), ("left.npz", savez)])
def test_a_cameras_matrix_and_lens_are_read_as_programs_leave_them(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    read = calibration_files.read_opencv(path)
    np.testing.assert_array_equal(np.ravel(read.camera.intrinsics[0]), MATRIX_OF_ROS)
    assert read.distortion.tolist() == [[0.1, 0, 0, 0, 0]]
    assert not read.has_extrinsics
    assert viewpoints.read(path).distortion.tolist() == [0.1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("left.json", {"K": MATRIX_OF_ROS, "D": [0, [1], 0, 0]}, "left/distortion` .*lists of oth"),
        ("rig.json", [1, 2], "hold a matrix of each.*Received: 1, 2"),
        ("extri.yml", {"R_1": [1, 2, 3], "T_1": [1, 2, 3]}, "of EasyMocap's extri without its int"),
    ],
)
def test_what_is_known_by_half_is_refused(tmp_path, name, content, rule):
    (tmp_path / name).write_text(json.dumps(content))
    refusals.refused(rule, calibration_files.read_opencv, tmp_path / name)


def test_two_files_of_one_camera_are_refused(tmp_path):
    for suffix in ("yaml", "yml"):
        (tmp_path / f"left.{suffix}").write_text(INFO)
    with pytest.raises(errors.RecordingError, match=r"be each camera's own. Received: left"):
        calibration_files.read_opencv(tmp_path)


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


def written(tmp_path, **options):
    camera = random_scenes.camera(np.random.default_rng(0), 3)
    path = tmp_path / "Calib.qca.txt"
    path.write_text(rig_recordings.calibration(camera, **options))
    return path, camera


def test_qualisys_golden(tmp_path):
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


def test_a_qualisys_file_is_read_back(tmp_path):
    distortion = (0.1, -0.2, 0.003, -0.004, 0.05)
    path, camera = written(tmp_path, distortion=distortion, corner=(17, 42))
    names, read, read_distortion, image_sizes = calibration_files.read_qualisys(path)
    assert names == ("cam_01", "cam_02", "cam_03")
    for field, expected in zip(read, camera, strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-9)
    np.testing.assert_allclose(read_distortion, [distortion] * 3)
    np.testing.assert_array_equal(image_sizes, [rig_recordings.SIZE] * 3)


def test_cameras_without_a_serial_are_numbered(tmp_path):
    path, _ = written(tmp_path)
    path.write_text(path.read_text().replace('serial="cam_02"', ""))
    assert calibration_files.read_qualisys(path).names == ("cam_01", "2", "cam_03")


def test_a_mirrored_camera_is_refused(tmp_path):
    path, camera = written(tmp_path)
    mirrored = camera._replace(rotation=camera.rotation * [-1, 1, 1])
    path.write_text(rig_recordings.calibration(mirrored))
    with pytest.raises(errors.RecordingError, match=r"`cam_01/transform` must hold a rotation"):
        calibration_files.read_qualisys(path)


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


# Files that are none, and damaged ones.


def assert_refused(read, path, field, message):
    refusals.refused(message, read, path, at=(path, field))


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("plumb_bob", "equidistant", "left/distortion_model", "be one of plumb_bob.*equidistant"),
        ("plumb_bob", "rational_polynomial", "left/distortion_model", "another lens is not read"),
        ("camera_name: left", "fisheye_model: 1", "left/fisheye_model", "a fisheye lens"),
        ("rows: 3", "rows: 4", "left/camera_matrix", "be a matrix of `rows` by `cols`"),
        ("  cols: 3\n", "", "left/camera_matrix", "be a matrix.*no `cols`"),
        ("camera_matrix", "other_matrix", "cameras", "hold a matrix of each.*: image_wi"),
        ("data: [500", "data: [many", "left/camera_matrix", "Received: 'many'"),
        ("image_width: 640", "width: !!python/object:os.system {}", "calibration", "plain YAML"),
    ],
)
def test_a_file_that_is_not_a_calibration_is_refused(tmp_path, old, new, field, message):
    path = tmp_path / "left.yaml"
    path.write_text(INFO.replace(old, new))
    assert_refused(calibration_files.read_opencv, path, field, message)


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("[cam_0", "calibration", "be TOML. Received: no `]` at the end"),
        ("", "cameras", "be there. Received: none"),
        (f"[cam_0]\nfisheye = true\n{CAMERA}", "cam_0/fisheye", "a fisheye lens is not read"),
        ("[cam_0]\nsize = [1, 2]", "cam_0/matrix", "be there. Received: nothing"),
        ("[cameras]\nleft = 3", "cam_left", "be a table. Received: 3"),
    ],
)
def test_a_file_that_is_not_toml_of_cameras_is_refused(tmp_path, text, field, message):
    path = tmp_path / "Calib.toml"
    path.write_text(text)
    assert_refused(calibration_files.read_toml, path, field, message)


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("</cameras>", "", "calibration", "be XML"),
        ("<?xml version='1.0'", "?", "calibration", "be XML"),
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
def test_a_file_that_is_not_qualisys_is_refused(tmp_path, old, new, field, message):
    path, _ = written(tmp_path)
    text = path.read_text().replace(old, new)
    path.write_text(text.replace("</camera>", "</lens>") if "<lens" in text else text)
    assert_refused(calibration_files.read_qualisys, path, field, message)


@pytest.mark.parametrize(
    ("name", "read", "num_refused"),
    [
        ("left.yml", calibration_files.read_opencv, 60),
        ("left.json", calibration_files.read_opencv, 60),
        ("Calib.toml", calibration_files.read_toml, 60),
        ("Calib.qca.txt", calibration_files.read_qualisys, 30),
    ],
)
def test_damaged_files_end_in_our_error(tmp_path, name, read, num_refused):
    path = tmp_path / name
    if name.startswith("left"):
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
        put(storage, rigs_of_cameras.draw(), 0)
        storage.release()
    elif name == "Calib.toml":
        calibration_files.write_toml(path, rigs_of_cameras.draw())
    else:
        path, _ = written(tmp_path)
    refused = damage.assert_only_our_errors(lambda: read(path), path, count=200)
    assert refused > num_refused
