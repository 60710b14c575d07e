import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import rig
from tests.datasets.human36m import releases


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    return releases.write(tmp_path_factory.mktemp("release"), formats=("cdf",))["S1_Directions_1"]


def found(take):
    """What a camera saw, every joint of it."""
    return take.exact_2d[0]


def test_poses_are_given_back_in_double_precision(take):
    checked = rig.check_pose("file", "field", take.pose_world.astype(np.float32), "m")
    assert checked.dtype == np.float64
    np.testing.assert_allclose(checked, take.pose_world, atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pose: pose / 1000, "be in mm, of people of human size.*a torso of 0.0"),
        (lambda pose: pose * 1000, "be in mm, of people of human size"),
        (lambda pose: pose + np.array([8, 0, 0]), "be in mm and the world frame, within 6.0 m"),
        (lambda pose: pose[:, :16], r"have shape \(T, 17, 3\). Received: \(8, 16, 3\)"),
        (lambda pose: pose[:0], r"have shape \(T, 17, 3\). Received: \(0, 17, 3\)"),
        (lambda pose: pose.astype(complex), "be an array of real numbers. Received: complex"),
        (lambda pose: pose.tolist(), "be an array of real numbers. Received: list"),
        (lambda pose: np.where(np.arange(8)[:, None, None] == 3, np.nan, pose), "frame 3"),
    ],
)
def test_poses_that_cannot_be_are_refused(take, spoil, message):
    with pytest.raises(errors.RecordingError, match=message) as caught:
        rig.check_pose("file", "field", spoil(take.pose_world), "mm")
    assert (caught.value.path, caught.value.field) == ("file", "field")


def test_without_confidence_a_joint_is_sure_unless_it_is_at_zero(take):
    keypoints_2d = found(take).copy()
    keypoints_2d[2, 3] = 0.0
    keypoints_2d[4, 5] = [0.0, 7.0]
    seen = rig.check_detections("file", "field", keypoints_2d)
    assert np.argwhere(seen.confidence == 0).tolist() == [[2, 3]]
    assert seen.confidence.max() == 1.0
    np.testing.assert_array_equal(seen.keypoints_2d, keypoints_2d)


def test_joints_without_confidence_are_put_to_zero_and_those_at_zero_are_not_seen(take):
    confidence = np.full((8, 17), 0.5)
    confidence[1, 2] = 0.0
    keypoints_2d = found(take).copy()
    keypoints_2d[3, 4] = 0.0
    seen = rig.check_detections("file", "field", keypoints_2d, confidence)
    assert np.argwhere(seen.confidence == 0).tolist() == [[1, 2], [3, 4]]
    assert not seen.keypoints_2d[1, 2].any()


@pytest.mark.parametrize(("value", "expected"), [(1.2, 1.0), (-0.05, 0.0), (0.3, 0.3)])
def test_confidences_a_little_off_are_cut(take, value, expected):
    confidence = np.full((8, 17), 0.5)
    confidence[0, skeletons.ROOT] = value
    seen = rig.check_detections("file", "field", found(take), confidence)
    assert seen.confidence[0, skeletons.ROOT] == expected


@pytest.mark.parametrize("value", [1.21, -0.06, 95.0, np.nan])
def test_confidences_far_off_are_refused(take, value):
    confidence = np.full((8, 17), 0.5)
    confidence[0, 0] = value
    with pytest.raises(errors.RecordingError, match=r"lie in \[0, 1\]|be finite") as caught:
        rig.check_detections("file", "field", found(take), confidence)
    assert caught.value.field == "field confidence"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda keypoints: keypoints / 500 - 1, "be in pixels of images of 1002 x 1002"),
        (lambda keypoints: keypoints / 1000, "be in pixels.*half of the joints within 0"),
        (lambda keypoints: keypoints + np.array([2000, 0]), "be in pixels.*around"),
        (lambda keypoints: keypoints[..., :1], r"have shape \(T, 17, 2\)"),
        (lambda keypoints: np.where(keypoints > 500, np.nan, keypoints), "be finite"),
    ],
)
def test_keypoints_that_cannot_be_are_refused(take, spoil, message):
    with pytest.raises(errors.RecordingError, match=message):
        rig.check_detections("file", "field", spoil(found(take)))


def test_confidences_of_another_length_are_refused(take):
    with pytest.raises(errors.RecordingError, match=r"as many frames as the keypoints, 8.*: 7"):
        rig.check_detections("file", "field", found(take), np.ones((7, 17)))


def test_a_take_in_which_nobody_is_seen_is_no_mistake():
    seen = rig.check_detections("file", "field", np.zeros((3, 17, 2)))
    assert not seen.confidence.any()


def test_exchanged_cameras_are_told_with_the_order_that_fits(take):
    camera, seen = rig.camera("S1"), np.ones(take.exact_2d.shape[:-1])
    rig.require_agreement("file", take.pose_world, take.exact_2d, seen, camera)
    # The motion capture of some takes is shifted.
    shifted = take.pose_world + np.array([0.0, 0.0, 0.2])
    rig.require_agreement("file", shifted, take.exact_2d, seen, camera)
    with pytest.raises(errors.RecordingError, match="in the order 2, 1, 3, 4"):
        rig.require_agreement("file", take.pose_world, take.exact_2d[[1, 0, 2, 3]], seen, camera)


def test_other_joints_are_told(take):
    camera, seen = rig.camera("S1"), np.ones(take.exact_2d.shape[:-1])
    turned = take.exact_2d[:, :, ::-1]
    with pytest.raises(errors.RecordingError, match=r"within 30 px.*other joints"):
        rig.require_agreement("file", take.pose_world, turned, seen, camera)
