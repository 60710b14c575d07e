import pathlib
import re

import numpy as np
import pytest

from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.lifting import viewpoints

CALIBRATION = pathlib.Path(pose2sim.demo_root(), "calibration", "Calib.qca.txt")
MATRIX = np.array([[1100.0, 0, 510], [0, 1120, 490], [0, 0, 1]])


def test_intrinsics_are_opencvs_numbers():
    seen = viewpoints.from_intrinsics(1100, 1120, 510, 490, (-0.2, 0.1))
    np.testing.assert_array_equal(seen.intrinsics, MATRIX)
    assert seen.distortion.tolist() == [-0.2, 0.1, 0, 0, 0]
    assert viewpoints.from_intrinsics(1100, 1120, 510, 490).distortion is None


def test_a_right_angle_across_the_image_is_half_its_width():
    # tan(45 degrees) = 1.
    seen = viewpoints.from_field_of_view(90.0, (640, 480))
    np.testing.assert_allclose(seen.intrinsics, [[320, 0, 320], [0, 320, 240], [0, 0, 1]])
    assert (seen.image_size, seen.has_place) == ((640, 480), False)


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
        (
            lambda: viewpoints.from_field_of_view(60, (0, 9)),
            "`image_size` must be width and",
        ),
        (
            lambda: viewpoints.Viewpoint(intrinsics=MATRIX, center=np.zeros(3)),
            "`rotation` and `center` must be given together.",
        ),
    ],
)
def test_a_camera_that_cannot_be_is_refused_by_field(make, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()
