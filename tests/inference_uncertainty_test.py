import re

import numpy as np
import pytest

from keras_mvlift import errors, inference, skeletons
from tests import temporal_networks, tiny_studio

RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(300, 700, (2, 3, 17, 2))
CONFIDENCE = RNG.uniform(0.1, 1, (2, 3, 17))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained_uncertainty(), folder, uncertainty=True)
    return inference.load_model(folder)


@pytest.mark.parametrize("index", [(0, 0), (0,), ()], ids=["[17,2]", "[T,17,2]", "[2,T,17,2]"])
def test_each_joint_has_its_own_whatever_the_leading_axes(model, index):
    camera = tiny_studio.INTRINSICS
    everything = model.lift(KEYPOINTS, CONFIDENCE, camera).joint_uncertainty
    found = model.lift(KEYPOINTS[index], CONFIDENCE[index], camera).joint_uncertainty
    assert found.shape == CONFIDENCE[index].shape
    np.testing.assert_allclose(found, everything[index], rtol=1e-5)
    assert everything.std(axis=(0, 1)).min() > 1e-5
    assert everything.min() > 0


def test_a_model_that_predicts_none_gives_none(model_folder):
    plain = inference.load_model(model_folder)
    assert plain.lift(KEYPOINTS, CONFIDENCE, tiny_studio.INTRINSICS).joint_uncertainty is None


# What a model tells of itself, whether it predicts uncertainties or not.


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    built = tiny_studio.lifter(output_stddev=0.02)
    tiny_studio.stand(built)
    tiny_studio.save(built, folder, is_mirrored=True)
    return inference.load_model(folder)


def stand(*leading):
    """Draws keypoints of somebody who stands."""
    aside = RNG.uniform(-5, 5, (*leading, 17, 2))
    return 500 + 200 * tiny_studio.STANDING[:, :2] + aside


def without(*joints):
    confidence = np.full(17, 0.9)
    confidence[[skeletons.H36M_17.joints.index(joint) for joint in joints]] = 0.0
    return confidence


@pytest.mark.parametrize(
    ("lost", "unsure"),
    [
        ((), ()),
        (("left_wrist", "right_knee"), ()),
        (("left_wrist", "left_elbow"), ("left_wrist", "left_elbow")),
        (("left_knee", "left_ankle", "nose"), ("left_knee", "left_ankle")),
    ],
)
def test_joints_that_were_not_seen_beside_others_are_a_guess(plain, lost, unsure):
    lifted = plain.lift(stand(), without(*lost), tiny_studio.INTRINSICS)
    assert lifted.reprojection_error < inference.LARGE_REPROJECTION_ERROR
    names = np.array(skeletons.H36M_17.joints)
    assert set(names[~lifted.is_sure]) == {*unsure}


def test_nobody_and_hardly_anybody_come_back_as_unsure(plain):
    confidence = np.zeros((4, 17))
    confidence[1, 0], confidence[2, : inference.MIN_JOINTS - 1] = 0.9, 0.9
    confidence[3, : inference.MIN_JOINTS] = 0.9
    lifted = plain.lift(stand(4), confidence, tiny_studio.INTRINSICS, flip=True)
    assert not lifted.is_sure[:3].any()
    assert lifted.is_sure[3, : inference.MIN_JOINTS].all()
    assert np.isinf(lifted.joint_uncertainty[:3]).all()
    assert np.isfinite(lifted.joint_uncertainty[3]).all()
    assert np.isnan(lifted.reprojection_error[:2]).all()
    assert np.isfinite(lifted.root_relative_pose).all()


def test_poses_that_miss_their_joints_are_unsure(plain):
    views = np.stack([stand(), 1000 - stand()])
    with pytest.warns(errors.InputWarning, match="Poses lie"):
        lifted = plain.lift(views, None, tiny_studio.INTRINSICS)
    assert lifted.is_sure.tolist() == [[True] * 17, [False] * 17]
    without_camera = plain.lift(views[0], None)
    assert without_camera.pose_camera is None
    assert without_camera.reprojection_error < inference.LARGE_REPROJECTION_ERROR
    assert without_camera.is_sure.all()


def test_the_mirrored_person_tells_how_sure_joints_are(plain):
    view = (stand(3), np.tile(without("left_wrist"), (3, 1)), tiny_studio.INTRINSICS)
    assert plain.lift(*view).joint_uncertainty is None
    flipped = plain.lift(*view, flip=True)
    order = [*skeletons.mirror_images(skeletons.H36M_17.joints)]
    mirrored = view[0][:, order] * [-1, 1] + [2 * tiny_studio.INTRINSICS[0, 2], 0]
    other = plain.lift(mirrored, view[1][:, order], view[2]).root_relative_pose
    apart = other[:, order] * [-1, 1, 1] - plain.lift(*view).root_relative_pose
    misfit = np.linalg.norm(apart, axis=-1) ** 0.1 * flipped.reprojection_error[:, None] ** 0.3
    expected = np.linalg.norm(flipped.root_relative_pose, axis=-1) ** (1 / 3) * misfit
    kinds = [joint.split("_")[-1] for joint in skeletons.H36M_17.joints]
    expected *= [inference._MIRROR_SCALES.get(kind, 0.0) for kind in kinds]
    expected[:, skeletons.H36M_17.joints.index("left_wrist")] *= 1.6
    np.testing.assert_allclose(flipped.joint_uncertainty, expected, rtol=1e-2, atol=1e-3)
    assert flipped.joint_uncertainty[:, 1:].min() > 0.001


def test_a_models_own_uncertainty_goes_before_the_mirrored_persons(model):
    model.description["is_mirrored"] = True
    view = (KEYPOINTS, CONFIDENCE, tiny_studio.INTRINSICS)
    own = model.lift(*view).joint_uncertainty
    np.testing.assert_array_equal(model.lift(*view, flip=True).joint_uncertainty, own)


def test_unseen_joints_are_less_sure_those_beside_others_least_and_wrists_less_than_hips():
    pose, apart = np.full((5, 3), 0.5), np.full(5, 0.01)
    told = np.array([True, True, True, False, True])
    names = ("left_hip", "left_hip", "left_hip", "left_hip", "left_wrist")
    seen = np.array([1, 0.1, 0, 0, 1])
    found = inference._mirror_uncertainty(pose, apart, np.array(0.02), seen > 0, told, names)
    np.testing.assert_allclose(found / found[0], [1, 1, 1.6, 2.1, 0.64 / 0.23], rtol=1e-5)


# How tall people are known to be.


@pytest.mark.parametrize("height", [1.2, [1.2, 1.5, 1.9]])
def test_a_known_height_scales_pose_and_place_alike(plain, height):
    view = (stand(3), None, tiny_studio.INTRINSICS)
    own, scaled = plain.lift(*view, flip=True), plain.lift(*view, flip=True, height=height)
    names = skeletons.H36M_17.joints
    np.testing.assert_allclose(
        skeletons.stature(scaled.root_relative_pose, names), np.full(3, height), rtol=1e-5
    )
    scale = np.array(height) / skeletons.stature(own.root_relative_pose, names)
    np.testing.assert_allclose(scaled.root_position, scale[:, None] * own.root_position, rtol=1e-3)
    np.testing.assert_allclose(
        scaled.joint_uncertainty, scale[:, None] * own.joint_uncertainty, rtol=1e-5
    )
    # The image stays.
    np.testing.assert_allclose(scaled.reprojection_error, own.reprojection_error, atol=1e-4)


@pytest.mark.parametrize(
    ("height", "told"),
    [
        (175, "`height` must be 0.4 to 2.8 meters. Received: 175.0."),
        ([1.7, np.nan, 1.7], "`height` must be 0.4 to 2.8 meters. Received: nan."),
        ([1.7, 1.8], "`height` must be one number or of shape [3]. Received: shape [2]."),
        ("tall", "`height` must be"),
    ],
)
def test_heights_of_nobody_are_refused(plain, height, told):
    with pytest.raises(errors.ArgumentError, match=re.escape(told)):
        plain.lift(stand(3), None, tiny_studio.INTRINSICS, height=height)


def test_a_clip_has_one_scale(tmp_path):
    temporal_networks.save(tmp_path / "saved")
    clips = inference.load_model(tmp_path / "saved")
    view = (*temporal_networks.film(12, 2), tiny_studio.INTRINSICS)
    own = clips.lift(*view).root_relative_pose
    scaled = clips.lift(*view, height=[1.2, 1.9]).root_relative_pose
    scale = [1.2, 1.9] / np.median(skeletons.stature(own, skeletons.H36M_17.joints), axis=1)
    np.testing.assert_allclose(scaled, scale[:, None, None, None] * own, rtol=1e-4, atol=1e-6)
    assert clips.lift(*(part[:, :0] for part in view[:2]), view[2], height=1.7).is_sure.size == 0
