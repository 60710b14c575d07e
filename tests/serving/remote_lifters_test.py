"""What is lifted by a server; `make test-serving SERVER=...` asks one of the user's."""

import numpy as np
import pytest

from keras_mvlift import inference, skeletons
from keras_mvlift.serving import clients, remote_lifters
from tests import temporal_networks, tiny_studio
from tests.serving import stand_in

RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(300, 700, (5, 17, 2)).astype(np.float32)
CONFIDENCE = RNG.uniform(0.1, 1, (5, 17)).astype(np.float32)
CONFIDENCE[:, 3] = 0


@pytest.fixture(scope="module")
def model(folder):
    return inference.load_model(folder)


@pytest.fixture(scope="module")
def remotes(addresses_served, model):
    return [remote_lifters.connect(each, model.description) for each in addresses_served]


def same(lifted, expected):
    assert np.abs(expected.root_relative_pose).max() > 0.1
    for field in ("root_relative_pose", "root_position", "pose_camera"):
        np.testing.assert_allclose(getattr(lifted, field), getattr(expected, field), atol=1e-4)


def test_a_served_model_lifts_as_the_model_here(remotes, model):
    expected = model.lift(KEYPOINTS, CONFIDENCE, tiny_studio.INTRINSICS)
    for remote in remotes:
        same(remote.lift(KEYPOINTS, CONFIDENCE, tiny_studio.INTRINSICS), expected)


def test_more_poses_than_a_request_may_hold_are_lifted_in_parts(remotes, model):
    many = np.tile(KEYPOINTS, (remote_lifters.MAX_AT_ONCE // 5 + 2, 1, 1))
    many += RNG.uniform(-1, 1, many.shape)
    expected = model.lift(many, camera=tiny_studio.INTRINSICS)
    same(remotes[0].lift(many, camera=tiny_studio.INTRINSICS), expected)


def test_a_camera_left_out_is_that_of_training_with_a_warning(remotes, model):
    with pytest.warns(UserWarning, match="mean camera of training"):
        expected = model.lift(KEYPOINTS)
    for remote in remotes:
        with pytest.warns(UserWarning, match="mean camera of training"):
            lifted = remote.lift(KEYPOINTS)
        np.testing.assert_allclose(
            lifted.root_relative_pose, expected.root_relative_pose, atol=1e-4
        )
        assert lifted.pose_camera is None


def test_without_a_description_a_camera_must_be_given(addresses_served):
    for address in addresses_served:
        remote = remote_lifters.connect(address)
        assert remote.joint_names == skeletons.H36M_17.joints
        with pytest.raises(ValueError, match="`camera` must be given, or the model's description"):
            remote.lift(KEYPOINTS)


def test_bad_input_is_refused_before_it_is_sent(remotes):
    for remote in remotes:
        with pytest.raises(ValueError, match=r"`keypoints_2d` must have shape \[..., 17, 2\]"):
            remote.lift(KEYPOINTS[:, :16], camera=tiny_studio.INTRINSICS)


def test_an_unknown_model_or_version_is_said_when_connecting(addresses_served):
    for address in addresses_served:
        there = clients.parse(address)
        for path in ("gone", f"{there.model}/versions/99"):
            asked = f"{there.scheme}://{there.target}/{path}"
            with pytest.raises(clients.ServerError, match="serve this model") as caught:
                remote_lifters.connect(asked)
            assert caught.value.code == "NOT_FOUND"


def test_a_description_of_other_joints_is_refused(addresses_served, model):
    other = model.description | {"joints": ["pelvis"], "parents": [-1]}
    with pytest.raises(ValueError, match=r"joints that the server has: 17\. Received: 1 joints"):
        remote_lifters.connect(addresses_served[0], other)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips") / "1"
    temporal_networks.save(folder, is_causal=False)
    with stand_in.serving({1: folder}) as (_, found):
        yield inference.load_model(folder), found


def test_clips_are_lifted_as_by_the_model_here(clips):
    model, found = clips
    keypoints, confidence = temporal_networks.film(12)
    expected = model.lift(keypoints, confidence, tiny_studio.INTRINSICS)
    for address in found.values():
        remote = remote_lifters.connect(address, model.description)
        assert isinstance(remote, inference.ClipLifter)
        assert remote.num_frames == 9
        same(remote.lift(keypoints, confidence, tiny_studio.INTRINSICS), expected)
        with pytest.raises(ValueError, match="`stream` must be asked of a model that runs here"):
            remote.stream()


def test_a_model_of_clips_needs_its_description(clips):
    with pytest.raises(ValueError, match="does not tell how far frames are apart"):
        remote_lifters.connect(clips[1]["grpc"])
