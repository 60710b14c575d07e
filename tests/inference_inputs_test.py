"""The rules themselves; how models apply them is in `inference_lift_test`."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from keras_mvlift import inference, skeletons

JOINTS = skeletons.H36M_17.joints
MEAN = np.diag([1000.0, 1000.0, 1.0]).astype(np.float32)
DOUBLE = np.diag([2.0, 2.0, 1.0]).astype(np.float32)


def test_keypoints_of_a_clip_have_frames():
    assert inference.check_keypoints_2d(np.zeros((17, 2)), JOINTS).dtype == np.float32
    assert inference.check_keypoints_2d(np.zeros((5, 17, 2)), JOINTS, is_clip=True).shape[0] == 5
    with pytest.raises(ValueError, match=r"must have shape \[\.\.\., T, 17, 2\]"):
        inference.check_keypoints_2d(np.zeros((17, 2)), JOINTS, is_clip=True)


def test_confidence_that_is_left_out_is_one():
    np.testing.assert_array_equal(inference.check_confidence(None, (2, 17)), np.ones((2, 17)))
    for wrong, rule in ((np.ones(17), "have shape"), (np.full((2, 17), 1.5), "lie in")):
        with pytest.raises(ValueError, match=f"`confidence` must {rule}"):
            inference.check_confidence(wrong, (2, 17))


def test_a_camera_is_given_to_each_view():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = inference.check_intrinsics(SimpleNamespace(intrinsics=MEAN * DOUBLE), (4, 3), MEAN)
    assert given.shape == (4, 3, 3, 3)
    assert (given[..., 0, 0] == 2000).all()
    with pytest.warns(UserWarning, match="focal length 1000 px"):
        assert (inference.check_intrinsics(None, (4,), MEAN)[..., 0, 0] == 1000).all()
    with pytest.raises(ValueError, match="positive focal lengths"):
        inference.check_intrinsics(-MEAN, (), MEAN)
