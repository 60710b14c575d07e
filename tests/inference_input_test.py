import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from keras_mvlift import errors, inference, skeletons
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import synthetic
from tests import bodies

JOINTS = skeletons.H36M_17.joints
MEAN = np.diag([1000.0, 1000.0, 1.0]).astype(np.float32)
DOUBLE = np.diag([2.0, 2.0, 1.0]).astype(np.float32)
CLIP = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=4).read("S01_walking_01")


def seen_as(name):
    """Returns the joints of a set, `[4, K, 2]`, pixels, as the studio's first camera sees them."""
    camera = cameras.Camera(*(np.asarray(field)[0] for field in CLIP.camera))
    points = bodies.joints(np.asarray(CLIP.pose_world), skeletons.by_name(name))
    points = cameras.camera_from_world(points, camera)
    return cameras.project(points, camera.intrinsics)


def checked(keypoints_2d, confidence=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return skeletons.check_joints(keypoints_2d, confidence, JOINTS, **options)


def test_keypoints_of_a_clip_have_frames():
    assert checked(np.zeros((17, 2)))[0].dtype == np.float32
    assert checked(np.zeros((5, 17, 2)), is_clip=True)[1].shape == (5, 17)
    with pytest.raises(ValueError, match=r"must have shape \[\.\.\., T, 17, 2\]"):
        checked(np.zeros((17, 2)), is_clip=True)


def test_confidence_that_is_left_out_is_one():
    keypoints = seen_as("h36m_17")
    np.testing.assert_array_equal(checked(keypoints)[1], np.ones((4, 17)))
    for wrong, rule in ((np.ones(17), "have shape"), (np.full((4, 17), 1.5), "lie in")):
        with pytest.raises(ValueError, match=f"`confidence` must {rule}"):
            checked(keypoints, wrong)


@pytest.mark.parametrize("nowhere", [np.nan, 0.0, -1.0])
@pytest.mark.parametrize("score", [None, 0.0, 0.9, np.nan])
def test_a_joint_at_no_place_was_not_seen_whatever_its_score(nowhere, score):
    keypoints, confidence = seen_as("h36m_17"), None
    keypoints[1, 3] = nowhere
    if score is not None:
        confidence = np.ones((4, 17))
        confidence[1, 3] = score
    points, seen = checked(keypoints, confidence)
    assert np.argwhere(seen == 0).tolist() == [[1, 3]]
    assert points[1, 3].tolist() == [0, 0]


@pytest.mark.parametrize("name", skeletons.SKELETONS)
def test_joints_of_any_set_become_the_models(name):
    keypoints = seen_as(name)
    skeleton = skeletons.by_name(name)
    keypoints[2, skeleton.joints.index("left_hip")] = np.nan
    points, seen = checked(keypoints, skeleton=name)
    made = skeletons.Converter(skeleton.joints).keypoints(np.nan_to_num(keypoints))
    assert set(np.argwhere(seen == 0)[:, 0]) == {2}
    assert seen[2, JOINTS.index("left_hip")] == 0
    np.testing.assert_allclose(points, np.where(seen[..., np.newaxis] > 0, made, 0.0), rtol=1e-5)


def test_joints_in_the_order_of_another_set_are_warned_about():
    with pytest.warns(errors.InputWarning, match='look like coco_17.*skeleton="coco_17" reads'):
        skeletons.check_joints(seen_as("coco_17"), None, JOINTS)
    with pytest.warns(errors.InputWarning, match="look like body_25's"):
        skeletons.check_joints(seen_as("body_25"), None, JOINTS, "body_25b")
    with pytest.raises(ValueError, match=r"`skeleton` must be one of .*; did you mean coco_17"):
        skeletons.check_joints(seen_as("coco_17"), None, JOINTS, "coco17")


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (2, -1)], ids=["[0, 1]", "[-1, 1]"])
def test_shares_of_an_image_are_no_pixels(scale, shift):
    keypoints = scale * seen_as("h36m_17") / 1000 + shift
    points, seen = checked(keypoints)
    with pytest.raises(errors.ArgumentError, match=r"must be pixels; .* within [01]\.\d+ px of"):
        inference.require_pixels(points, seen, MEAN)
    # A camera whose pixel is the image may see them so.
    inference.require_pixels(points, seen, np.diag([1.1, 1.1, 1.0]))
    inference.require_pixels(*checked(seen_as("h36m_17")), MEAN)


def test_poses_that_miss_what_they_are_lifted_from_are_warned_about():
    camera = cameras.Camera(*(np.asarray(field)[0] for field in CLIP.camera))
    pose = cameras.camera_from_world(np.asarray(CLIP.pose_world), camera)
    keypoints, seen = checked(seen_as("h36m_17"))
    intrinsics = np.broadcast_to(camera.intrinsics, (4, 3, 3))
    missed = inference._reprojection_errors(pose, keypoints, seen, intrinsics)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inference.warn_of_misses(missed) == []
    missed = inference._reprojection_errors(pose + 0.8, keypoints, seen, intrinsics)
    with pytest.warns(errors.InputWarning, match=r"Poses lie \d\d% of a body's size off"):
        (told,) = inference.warn_of_misses(missed)
    assert told.startswith(f"Poses lie {np.median(missed):.0%} of a body's size")


def test_the_reprojection_error_is_a_share_of_the_bodys_size_in_the_image():
    # A box of 30 by 40 pixels; joints 5 pixels off in the mean of the two that were seen.
    keypoints = np.array([[500.0, 500.0], [530.0, 540.0], [0.0, 0.0]])
    pose = np.array([[0.0, 0.0, 1.0], [0.04, 0.04, 1.0], [9.0, 9.0, 1.0]])
    seen = np.array([[1, 0.2, 0], [0, 0.5, 0], [0, 0, 0]])
    eye = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])
    given = (np.tile(pose, (3, 1, 1)), np.tile(keypoints, (3, 1, 1)), seen, np.tile(eye, (3, 1, 1)))
    found = inference._reprojection_errors(*given)
    np.testing.assert_allclose(found, [5 / 50, np.nan, np.nan])
    assert inference.warn_of_misses(found[1:]) == []


def test_a_camera_is_given_to_each_view():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = inference.check_intrinsics(SimpleNamespace(intrinsics=MEAN * DOUBLE), (4, 3), MEAN)
    assert given.shape == (4, 3, 3, 3)
    assert (given[..., 0, 0] == 2000).all()
    with pytest.warns(errors.InputWarning, match="focal length 1000 px"):
        assert (inference.check_intrinsics(None, (4,), MEAN)[..., 0, 0] == 1000).all()
    with pytest.raises(ValueError, match="positive focal lengths"):
        inference.check_intrinsics(-MEAN, (), MEAN)
