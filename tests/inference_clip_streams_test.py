"""Temporal models in use: whole clips, and frame by frame to the same poses."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import keras_mvlift
from keras_mvlift import inference
from tests import temporal_networks, tiny_studio

OTHER = np.array([[900, 0, 480], [0, 910, 520], [0, 0, 1]], np.float32)
FIELDS = ("root_relative_pose", "root_position", "pose_camera")
BOTH = pytest.mark.parametrize("is_causal", [False, True])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for is_causal, frame_step in itertools.product((False, True), (1, 3)):
        folder = tmp_path_factory.mktemp("models") / "saved"
        temporal_networks.save(folder, is_causal=is_causal, frame_step=frame_step)
        made[is_causal, frame_step] = folder
    return made


@pytest.fixture
def load(folders):
    return lambda is_causal=False, frame_step=1: keras_mvlift.load_model(
        folders[is_causal, frame_step]
    )


def stack(poses, field):
    return np.stack([getattr(pose, field) for pose in poses], axis=-3 if "pose" in field else -2)


def streamed(model, keypoints_2d, confidence, camera):
    """Lifts `[..., T, 17, 2]` frame by frame; gives a list of poses."""
    stream = model.stream()
    frames = zip(np.moveaxis(keypoints_2d, -3, 0), np.moveaxis(confidence, -2, 0), strict=True)
    given = [stream.push(*frame, camera) for frame in frames]
    assert all(pose is None for pose in given[: stream.delay])
    assert None not in given[stream.delay :]
    return [pose for pose in given if pose is not None] + stream.finish()


def test_a_temporal_model_says_what_it_sees(load):
    model = load(True, 3)
    assert isinstance(model, inference.ClipLifter)
    assert (model.num_frames, model.is_causal, model.frame_step) == (9, True, 3)
    assert model.stream().delay == 0
    assert load(False, 3).stream().delay == 12


@BOTH
def test_a_lifted_clip_is_what_the_signature_gives(load, is_causal):
    model = load(is_causal)
    keypoints_2d, confidence = temporal_networks.film(20, 2, 3)
    lifted = model.lift(keypoints_2d, confidence, OTHER)
    signature = tf.saved_model.load(str(model.path)).signatures["lift_clip"]
    expected = signature(
        keypoints_2d=tf.constant(keypoints_2d.reshape(6, 20, 17, 2)),
        confidence=tf.constant(confidence.reshape(6, 20, 17)),
        intrinsics=tf.constant(np.tile(OTHER, (6, 20, 1, 1))),
    )
    assert lifted.joint_names == model.joint_names
    for name in FIELDS:
        given = getattr(lifted, name)
        assert given.shape[:3] == (2, 3, 20)
        np.testing.assert_allclose(given.reshape(expected[name].shape), expected[name], atol=1e-5)


@BOTH
@pytest.mark.parametrize("frame_step", [1, 3])
@pytest.mark.parametrize("num_frames", [1, 2, 5, 40])
def test_frame_by_frame_gives_the_poses_of_the_whole_clip(load, is_causal, frame_step, num_frames):
    model = load(is_causal, frame_step)
    keypoints_2d, confidence = temporal_networks.film(num_frames)
    # Nobody is seen for a while.
    confidence[20:22] = 0
    lifted = model.lift(keypoints_2d, confidence, OTHER)
    poses = streamed(model, keypoints_2d, confidence, OTHER)
    assert len(poses) == num_frames
    for field in FIELDS:
        np.testing.assert_allclose(stack(poses, field), getattr(lifted, field), atol=1e-4)


def test_several_people_and_clip_after_clip_go_through_one_stream(load):
    model = load()
    stream = model.stream()
    for seed in (0, 1):
        keypoints_2d, confidence = temporal_networks.film(12, 2, seed=seed)
        lifted = model.lift(keypoints_2d, confidence, OTHER)
        given = [
            stream.push(keypoints_2d[:, frame], confidence[:, frame], OTHER) for frame in range(12)
        ]
        poses = [pose for pose in given if pose is not None] + stream.finish()
        np.testing.assert_allclose(
            stack(poses, "root_relative_pose"), lifted.root_relative_pose, atol=1e-4
        )


def test_frames_a_step_apart_are_lifted_as_clips_of_their_own(load):
    model, steps = load(frame_step=3), load(frame_step=3)
    steps.frame_step = 1
    keypoints_2d, confidence = temporal_networks.film(20)
    lifted = model.lift(keypoints_2d, confidence, OTHER)
    for start in range(3):
        alone = steps.lift(keypoints_2d[start::3], confidence[start::3], OTHER)
        np.testing.assert_allclose(lifted.pose_camera[start::3], alone.pose_camera, atol=1e-6)
    together = steps.lift(keypoints_2d, confidence, OTHER)
    assert np.abs(together.pose_camera - lifted.pose_camera).max() > 1e-3


def test_without_a_camera_there_is_no_position_of_those_frames(load):
    model = load()
    keypoints_2d, confidence = temporal_networks.film(10)
    with pytest.warns(UserWarning, match="`camera` was left out"):
        lifted = model.lift(keypoints_2d, confidence)
    assert (lifted.root_position, lifted.pose_camera) == (None, None)
    expected = model.lift(keypoints_2d, confidence, tiny_studio.INTRINSICS)
    np.testing.assert_allclose(lifted.root_relative_pose, expected.root_relative_pose, atol=1e-6)
    stream, poses = model.stream(), []
    for frame in range(10):
        if frame == 6:
            with pytest.warns(UserWarning, match="`camera` was left out"):
                poses.append(stream.push(keypoints_2d[frame], confidence[frame]))
        else:
            poses.append(stream.push(keypoints_2d[frame], confidence[frame], OTHER))
    poses = [pose for pose in poses if pose is not None] + stream.finish()
    assert [frame for frame in range(10) if poses[frame].root_position is None] == [6]


def test_no_frames_give_no_poses(load):
    lifted = load(frame_step=3).lift(np.zeros((2, 0, 17, 2)), camera=OTHER)
    assert lifted.pose_camera.shape == (2, 0, 17, 3)
    assert load().stream().finish() == []


def test_a_frame_alone_is_no_clip(load):
    rule = r"`keypoints_2d` must have shape \[\.\.\., T, 17, 2\].* Received: \[17, 2\]"
    with pytest.raises(ValueError, match=rule):
        load().lift(np.zeros((17, 2)), camera=OTHER)


def test_a_frame_that_is_pushed_is_checked(load):
    with pytest.raises(ValueError, match=r"`confidence` must lie in \[0, 1\]"):
        load().stream().push(np.full((17, 2), 300.0), np.full(17, 2.0), OTHER)
