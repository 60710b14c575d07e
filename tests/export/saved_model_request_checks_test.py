"""The checks alone; what a server says with them is in `tests/serving/bad_requests_test.py`."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.export import saved_model
from tests import tiny_studio

REFUSES = tf.errors.InvalidArgumentError
KEYPOINTS, CONFIDENCE = np.full((2, 3, 17, 2), 500.0), np.ones((2, 3, 17))
INTRINSICS = np.tile(tiny_studio.INTRINSICS, (2, 3, 1, 1))
TURNED = np.array([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]] * 2, np.float32)
CENTER = np.ones((2, 3), np.float32)


def tensors(*arrays):
    return [tf.constant(array, tf.float32) for array in arrays]


def changed(array, value, index):
    array = np.array(array)
    array[index] = value
    return array


def test_what_is_good_comes_out_as_it_came():
    given = tensors(KEYPOINTS, CONFIDENCE, INTRINSICS)
    seen = saved_model.check_keypoints(*given[:2], None, None)
    camera = saved_model.check_camera(given[2], given[0], None, None)
    place = saved_model.check_place(*tensors(TURNED, CENTER), given[0])
    expected = [KEYPOINTS, CONFIDENCE, INTRINSICS, KEYPOINTS, TURNED, CENTER]
    for value, same in zip([*seen, *camera, *place], expected, strict=True):
        np.testing.assert_array_equal(value, same)


def test_nobody_at_all_is_good():
    seen = saved_model.check_keypoints(*tensors(KEYPOINTS[:0], CONFIDENCE[:0]), None, None)
    assert seen[0].shape == (0, 3, 17, 2)


@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0])
def test_a_joint_at_no_place_was_not_seen(value):
    nowhere = changed(KEYPOINTS, value, (1, 2, 3))
    _, seen = saved_model.check_keypoints(*tensors(nowhere, CONFIDENCE), None, None)
    np.testing.assert_array_equal(seen, changed(CONFIDENCE, 0.0, (1, 2, 3)))


def test_keypoints_are_not_infinite_where_they_are_read():
    unseen = changed(CONFIDENCE, 0.0, (1, 2, 3))
    for value in (np.inf, 1e30, -1.1e6):
        bad = changed(KEYPOINTS, value, (1, 2, 3, 1))
        with pytest.raises(REFUSES, match="`keypoints_2d` must be finite, within 1000000 pixels"):
            saved_model.check_keypoints(*tensors(bad, CONFIDENCE), None, None)
    saved_model.check_keypoints(*tensors(bad, unseen), None, None)


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_confidence_lies_between_0_and_1(value):
    bad = changed(CONFIDENCE, value, (1, 2, 3))
    with pytest.raises(REFUSES, match=r"`confidence` must lie in \[0, 1\]"):
        saved_model.check_keypoints(*tensors(KEYPOINTS, bad), None, None)


@pytest.mark.parametrize("frames", [1, 2])
def test_every_view_has_a_confidence_and_a_camera(frames):
    with pytest.raises(REFUSES, match="`confidence` must be of as many views"):
        saved_model.check_keypoints(*tensors(KEYPOINTS, CONFIDENCE[:, :frames]), None, None)
    with pytest.raises(REFUSES, match="`intrinsics` must be of as many views"):
        saved_model.check_camera(*tensors(INTRINSICS[:, :frames], KEYPOINTS), None, None)


@pytest.mark.parametrize(
    ("value", "index"),
    [
        (0.0, (0, 0)),
        (-1.0, (1, 1)),
        (np.nan, (0, 2)),
        (1.0, (2, 1)),
        (5.0, (0, 1)),
        (-5.0, (1, 0)),
    ],
)
def test_intrinsics_are_those_of_a_camera(value, index):
    bad = changed(INTRINSICS, value, (1, 1, *index))
    with pytest.raises(REFUSES, match="`intrinsics` must be finite, with positive focal"):
        saved_model.check_camera(*tensors(bad, KEYPOINTS), None, None)


@pytest.mark.parametrize("factor", [1.02, -1.0, np.nan])
def test_a_rotation_is_one(factor):
    with pytest.raises(REFUSES, match="`rotation` must be a rotation"):
        saved_model.check_place(*tensors(factor * TURNED, CENTER, KEYPOINTS))


@pytest.mark.parametrize("name", ["rotation", "center"])
def test_every_person_has_a_place(name):
    given = {"rotation": TURNED, "center": CENTER}
    given[name] = given[name][:1]
    with pytest.raises(REFUSES, match=f"`{name}` must be of as many views"):
        saved_model.check_place(*tensors(given["rotation"], given["center"], KEYPOINTS))


def test_a_center_is_finite():
    with pytest.raises(REFUSES, match="`center` must be finite"):
        saved_model.check_place(*tensors(TURNED, np.inf * CENTER, KEYPOINTS))


def test_another_shape_than_was_promised_is_refused_by_name():
    @tf.function(input_signature=[tf.TensorSpec([None, 17], tf.float32)])
    def promised(value):
        return saved_model.check_shape("confidence", value, None, 17)

    graph = promised.get_concrete_function().graph
    names = [operation.name for operation in graph.get_operations()]
    assert "confidence_must_have_the_stated_shape" in names
    with pytest.raises(REFUSES, match=r"\[2,3,17\] is not compatible with .* \[\?,17\]"):
        saved_model.check_shape("confidence", *tensors(CONFIDENCE), None, 17)
