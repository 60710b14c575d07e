import pathlib
import warnings

import cv2
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibrations
from tests import random_scenes
from tests.datasets.rigs import rigs_of_cameras

PATH = pathlib.Path("calib")
VECTOR = np.array([0.3, -1.2, 2.0])
ENTRY = calibrations.Entry(
    name="left",
    intrinsics=[[1000, 0, 500], [0, 1100, 400], [0, 0, 1]],
    distortion=[0.1, 0.2, 0.3, 0.4],
    rotation=VECTOR.tolist(),
    translation=[1000, 2000, 3000],
    image_size=[640, 480],
)


def build(**changes):
    return calibrations.build(PATH, [ENTRY._replace(**changes)], errors.MILLIMETERS)


AXES = {"x": [1, 0, 0], "y": [0, 1, 0], "z": [0, 0, 1]}


def test_a_rotation_vector_is_opencvs_and_the_translation_is_not_the_center():
    rig = build()
    rotation = cv2.Rodrigues(VECTOR)[0]
    np.testing.assert_allclose(rig.camera.rotation, [rotation], atol=1e-12)
    # The center is where the camera frame has its origin.
    np.testing.assert_allclose(rotation @ rig.camera.center[0] + [1, 2, 3], 0, atol=1e-12)
    np.testing.assert_array_equal(rig.distortion, [[0.1, 0.2, 0.3, 0.4, 0.0]])
    assert (rig.names, rig.image_sizes.tolist()) == (("left",), [[640, 480]])
    assert rig.has_extrinsics


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)])
def test_vectors_may_be_columns_or_rows(shape):
    vector, translation = VECTOR.reshape(shape), np.reshape(ENTRY.translation, shape)
    rigs_of_cameras.assert_same(build(rotation=vector, translation=translation), build())


def test_a_rotation_matrix_is_taken_as_it_is():
    matrix = cv2.Rodrigues(VECTOR)[0]
    np.testing.assert_array_equal(build(rotation=matrix.tolist()).camera.rotation[0], matrix)


@pytest.mark.parametrize("length", [5, 8, 12, 14])
def test_coefficients_beyond_the_fifth_may_be_there_if_they_are_zero(length):
    given = [0.1, 0.2, 0.3, 0.4, 0.5] + [0.0] * (length - 5)
    assert build(distortion=[given]).distortion.tolist() == [[0.1, 0.2, 0.3, 0.4, 0.5]]


def test_a_camera_whose_place_is_unknown_is_read_without():
    rig = build(rotation=None, translation=None, image_size=None)
    assert not rig.has_extrinsics
    assert np.isnan(rig.camera.rotation).all()
    assert np.isnan(rig.camera.center).all()
    assert rig.image_sizes.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"intrinsics": None}, "left/matrix", "be there. Received: nothing"),
        ({"intrinsics": np.eye(2).tolist()}, "left/matrix", "be 3 by 3"),
        ({"intrinsics": np.diag([1000.0, -1, 1]).tolist()}, "left/matrix", "positive focal"),
        ({"intrinsics": np.diag([1000.0, 1000, 2]).tolist()}, "left/matrix", "0, 0, 1 as last"),
        ({"intrinsics": [[1000, 9, 5], [0, 1000, 4], [0, 0, 1]]}, "left/matrix", "no skew"),
        ({"intrinsics": "many"}, "left/matrix", "hold numbers"),
        ({"intrinsics": [[float("nan")] * 3] * 3}, "left/matrix", "be finite"),
        ({"intrinsics": [[1, 2], [3]]}, "left/matrix", "hold numbers"),
        ({"distortion": None}, "left/distortions", "be there"),
        ({"distortion": [0.1, 0.2]}, "left/distortions", "4 or 5 coefficients"),
        ({"distortion": [0.1] * 8}, "left/distortions", "rational.*not read"),
        ({"rotation": None}, "left/rotation", "together.*Received: no rotation"),
        ({"translation": None}, "left/rotation", "together.*Received: no translation"),
        ({"rotation": [1, 2, 3, 4]}, "left/rotation", "be a rotation vector or a 3 by 3"),
        ({"rotation": np.diag([1, 1, -1])}, "left/rotation", "hold a rotation"),
        ({"rotation": 2 * np.eye(3)}, "left/rotation", "hold a rotation"),
        ({"translation": [1, 2]}, "left/translation", "hold 3 numbers"),
        ({"translation": {"x": 1}}, "left/translation", "hold numbers"),
        ({"image_size": [640]}, "left/size", "width and height"),
        ({"image_size": [640, -1]}, "left/size", "width and height"),
    ],
)
def test_a_camera_that_cannot_be_is_refused_by_name(changes, field, message):
    with pytest.raises(errors.RecordingError, match=message) as caught:
        build(**changes)
    assert (caught.value.path, caught.value.field) == (PATH, field)


def test_a_file_without_cameras_or_with_one_name_twice_is_refused():
    with pytest.raises(errors.RecordingError, match=r"`cameras` must be there. Received: none"):
        calibrations.build(PATH, [], errors.METERS)
    with pytest.raises(errors.RecordingError, match=r"`name` must be each camera's own.*left"):
        calibrations.build(PATH, [ENTRY, ENTRY], errors.METERS)


@pytest.mark.parametrize(
    ("names", "expected", "is_told"),
    [
        (["cam_1", "cam_2", "cam_3"], ("cam_1", "cam_2", "cam_3"), False),
        (["CAM01", "cam-02", "camera 3"], ("CAM01", "cam-02", "camera 3"), False),
        (["cam03"], ("cam_1", "cam_2", "cam03"), True),
        (["cam2", "cam02", "cam1_3"], ("cam_1", "cam_2", "cam_3"), False),
        (["view1", "1", "cam10", "cam_0"], ("cam_1", "cam_2", "cam_3"), False),
    ],
)
def test_cameras_are_called_as_others_call_them_where_that_is_one_to_one(names, expected, is_told):
    rig = rigs_of_cameras.draw()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert rig.called(PATH, names) == rig._replace(names=expected)
    assert [str(each.message) for each in told] == [
        f"{PATH}: cameras are joined by name: cam_3 is cam03." for _ in range(is_told)
    ]


def test_cameras_are_selected_in_the_order_asked_for():
    rig = rigs_of_cameras.draw()
    chosen = rig.select(["cam_3", "cam_1"])
    assert chosen.names == ("cam_3", "cam_1")
    for field, whole in zip(chosen.camera, rig.camera, strict=True):
        np.testing.assert_array_equal(field, whole[[2, 0]])
    np.testing.assert_array_equal(chosen.distortion, rig.distortion[[2, 0]])
    np.testing.assert_array_equal(chosen.image_sizes, rig.image_sizes[[2, 0]])
    with pytest.raises(ValueError, match=r"be some of cam_1, cam_2, cam_3. Received: 'cam_9'"):
        rig.select(["cam_1", "cam_9"])


@pytest.mark.parametrize("up", calibrations.UP_AXES)
def test_the_axis_that_points_up_becomes_z(up):
    axis = np.array(AXES[up[-1]], float) * (-1 if up[0] == "-" else 1)
    np.testing.assert_array_equal(calibrations.turn_points(axis, up), [0, 0, 1])


@pytest.mark.parametrize("up", calibrations.UP_AXES)
def test_a_world_is_turned_not_mirrored_and_cameras_see_the_same(up):
    rng = np.random.default_rng(0)
    camera, points = random_scenes.camera(rng, 3), random_scenes.points(rng, 5)
    turned, moved = calibrations.turn_camera(camera, up), calibrations.turn_points(points, up)
    assert (np.linalg.det(turned.rotation) > 0).all()
    for view in range(3):
        expected = random_scenes.move(points, random_scenes.one(camera, view))
        seen = random_scenes.move(moved, random_scenes.one(turned, view))
        np.testing.assert_allclose(seen, expected, atol=1e-12)
    np.testing.assert_allclose(calibrations.turn_points_back(moved, up), points)
    for field, original in zip(calibrations.turn_camera_back(turned, up), camera, strict=True):
        np.testing.assert_allclose(field, original, atol=1e-12)


def test_y_up_is_turned_as_opensims():
    # Its (x, y, z) is our (y, z, x).
    np.testing.assert_array_equal(
        calibrations.turn_points(np.array([1.0, 2.0, 3.0]), "y"), [3, 1, 2]
    )
