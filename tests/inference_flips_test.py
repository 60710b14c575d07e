import numpy as np
import pytest

from keras_mvlift import inference, numpy_networks, skeletons
from keras_mvlift.geometry import triangulation
from tests import tiny_studio

JOINTS = skeletons.H36M_17
RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(300, 700, (2, 3, 17, 2)).astype(np.float32)
CONFIDENCE = RNG.uniform(0.1, 1, (2, 3, 17)).astype(np.float32)
INTRINSICS = tiny_studio.INTRINSICS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained(), folder, is_mirrored=True)
    return inference.load_model(folder)


def mirrored(joints):
    """Exchanges the sides, a pair of joints at a time; the joints are the last axis but one."""
    result = joints.copy()
    for left, right in zip(JOINTS.left, JOINTS.right, strict=True):
        result[..., left, :], result[..., right, :] = joints[..., right, :], joints[..., left, :]
    return result


def mirrored_view():
    keypoints_2d = mirrored(KEYPOINTS)
    keypoints_2d[..., 0] = 2 * 510 - keypoints_2d[..., 0]
    return keypoints_2d, mirrored(CONFIDENCE[..., np.newaxis])[..., 0]


def test_a_flipped_lift_is_the_mean_of_both(model):
    flipped = model.lift(KEYPOINTS, CONFIDENCE, camera=INTRINSICS, flip=True)
    plain = model.lift(KEYPOINTS, CONFIDENCE, camera=INTRINSICS)
    other = model.lift(*mirrored_view(), camera=INTRINSICS)
    back = mirrored(other.root_relative_pose) * [-1, 1, 1]
    mean = (plain.root_relative_pose + back) / 2
    np.testing.assert_allclose(flipped.root_relative_pose, mean, atol=1e-5)
    view = (KEYPOINTS, CONFIDENCE, np.broadcast_to(INTRINSICS, (*CONFIDENCE.shape[:-1], 3, 3)))
    flip = inference.averaged_with_mirrored(model._run, model.joint_names)
    rays = numpy_networks.seen_rays(*view)
    root = triangulation.root_in_view(mean, rays, CONFIDENCE, flip(*view)[1])
    np.testing.assert_allclose(flipped.root_position, root, atol=1e-5)
    np.testing.assert_allclose(flipped.pose_camera, mean + root[..., np.newaxis, :], atol=1e-5)
    assert np.abs(flipped.root_relative_pose - plain.root_relative_pose).max() > 1e-3


def test_a_flipped_lift_of_the_mirror_image_is_the_mirrored_pose(model):
    first = model.lift(KEYPOINTS, CONFIDENCE, camera=INTRINSICS, flip=True)
    other = model.lift(*mirrored_view(), camera=INTRINSICS, flip=True)
    expected = mirrored(first.pose_camera) * [-1, 1, 1]
    np.testing.assert_allclose(other.pose_camera, expected, atol=1e-5)


def test_a_model_that_saw_nobody_mirrored_lifts_no_mirror_images(tmp_path):
    tiny_studio.save(tiny_studio.trained(), tmp_path / "saved")
    model = inference.load_model(tmp_path / "saved")
    rule = r"`flip` must be False for a model .* mirrored people \(`flip_augmentation`\)\. .*True\."
    with pytest.raises(ValueError, match=rule):
        model.lift(KEYPOINTS, CONFIDENCE, camera=INTRINSICS, flip=True)


def test_a_model_of_which_nobody_noted_it_warns(model):
    about = {key: told for key, told in model.description.items() if key != "is_mirrored"}
    older = inference.Lifter(model.path, about)
    with pytest.warns(UserWarning, match="trained on mirrored people is not known") as told:
        lifted = older.lift(KEYPOINTS, CONFIDENCE, camera=INTRINSICS, flip=True)
    assert told[0].filename == __file__
    expected = model.lift(KEYPOINTS, CONFIDENCE, camera=INTRINSICS, flip=True)
    np.testing.assert_array_equal(lifted.pose_camera, expected.pose_camera)


def test_a_lift_that_is_right_on_both_sides_stays_as_it_is():
    def run(keypoints_2d, confidence, intrinsics):
        """What a mirror image turns around: rays and twice the confidences."""
        rays = (keypoints_2d - intrinsics[..., np.newaxis, :2, 2]) / 1000
        pose = np.concatenate([rays, 2 * confidence[..., np.newaxis]], axis=-1)
        return pose, pose[..., 0, :]

    intrinsics = np.broadcast_to(INTRINSICS, (2, 3, 3, 3))
    averaged = inference.averaged_with_mirrored(run, JOINTS.joints)
    *results, apart = averaged(KEYPOINTS, CONFIDENCE, intrinsics)
    np.testing.assert_allclose(apart, np.zeros_like(CONFIDENCE), atol=1e-6)
    for value, expected in zip(results, run(KEYPOINTS, CONFIDENCE, intrinsics), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-6)
