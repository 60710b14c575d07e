import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.export import saved_model
from tests import temporal_networks, tiny_studio

NUM_FRAMES = 9
BOTH = pytest.mark.parametrize("is_causal", [False, True])

# Calls a signature where nothing but TensorFlow can be imported.
ELSEWHERE = """
import sys
BLOCKED = {"keras_mvlift", "tensorflow_graphics", "tensorflow_addons", "tfx", "tfx_bsl"}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
import tensorflow as tf
lift = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
pose = lift(keypoints_2d=tf.zeros([2, 9, 17, 2]), confidence=tf.ones([2, 9, 17]))
print(*pose, *pose["root_relative_pose"].shape)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Lifter, SavedModel and its folder by whether it is causal."""
    made = {}
    for is_causal in (False, True):
        folder = tmp_path_factory.mktemp("models") / "saved"
        lifter = temporal_networks.save(folder, is_causal=is_causal)
        made[is_causal] = lifter, tf.saved_model.load(str(folder)), folder
    return made


def call(model, name, *arrays):
    names = ("keypoints_2d", "confidence", "intrinsics")
    inputs = {key: tf.constant(array) for key, array in zip(names, arrays, strict=False)}
    return {key: value.numpy() for key, value in model.signatures[name](**inputs).items()}


def along(num_frames):
    return np.tile(tiny_studio.INTRINSICS, (1, num_frames, 1, 1))


def test_a_temporal_model_has_signatures_of_its_own(models):
    assert set(models[False][1].signatures) == {*saved_model.CLIP_SIGNATURES}


@BOTH
def test_windows_are_lifted_as_in_training(models, is_causal):
    lifter, model, _ = models[is_causal]
    window = temporal_networks.window(*temporal_networks.film(20), is_causal)
    pose, root_position = lifter.lift(window)
    assert np.abs(pose).max() > 0.1
    parts = (window.window_keypoints_2d, window.window_confidence)
    # Confidence 0 tells a repetition in training; where it is served, a joint that is not seen.
    is_repeated = np.any(parts[0] != 0, axis=-1) & (parts[1] == 0)
    confidence = np.where(is_repeated, np.float32(1e-3), parts[1])
    given = call(model, "lift_window", parts[0], confidence, window.camera.intrinsics)
    np.testing.assert_allclose(given["root_relative_pose"], pose, atol=1e-4)
    np.testing.assert_allclose(given["root_position"], root_position, atol=1e-4)
    total = pose + root_position[:, tf.newaxis]
    np.testing.assert_allclose(given["pose_camera"], total, atol=1e-4)
    default = call(model, "serving_default", parts[0], confidence)
    np.testing.assert_allclose(default["root_relative_pose"], pose, atol=1e-4)


@BOTH
@pytest.mark.parametrize("num_frames", [1, 6, 30])
def test_a_clip_is_lifted_as_its_windows_are(models, is_causal, num_frames):
    lifter, model, _ = models[is_causal]
    keypoints_2d, confidence = temporal_networks.film(num_frames)
    pose, root_position = lifter.lift(temporal_networks.window(keypoints_2d, confidence, is_causal))
    given = call(model, "lift_clip", keypoints_2d[None], confidence[None], along(num_frames))
    np.testing.assert_allclose(given["root_relative_pose"][0], pose, atol=1e-4)
    np.testing.assert_allclose(given["root_position"][0], root_position, atol=1e-4)


def test_frames_with_nobody_repeat_those_with_somebody(models):
    _, model, _ = models[False]
    keypoints_2d, confidence = temporal_networks.film(20, 2)
    # The first clip lacks frames at its start and within, the second all but one.
    confidence[0, :2] = confidence[0, 7:9] = 0
    confidence[1, :11] = confidence[1, 12:] = 0
    filled = [[2, 2, 2, 3, 4, 5, 6, 6, 6, *range(9, 20)], [11] * 20]
    intrinsics = np.repeat(along(20), 2, axis=0)
    given = call(model, "lift_clip", keypoints_2d, confidence, intrinsics)
    parts = (array[np.arange(2)[:, np.newaxis], filled] for array in (keypoints_2d, confidence))
    expected = call(model, "lift_clip", *parts, intrinsics)
    for name, value in expected.items():
        np.testing.assert_array_equal(given[name], value)


def test_a_clip_with_nobody_at_all_gives_finite_poses(models):
    _, model, _ = models[True]
    nothing = np.zeros((1, 4, 17, 2), np.float32)
    given = call(model, "lift_clip", nothing, nothing[..., 0], along(4))
    assert all(np.isfinite(value).all() for value in given.values())


def test_windows_of_another_length_are_refused(models):
    _, model, _ = models[False]
    keypoints_2d, confidence = temporal_networks.film(8, 1)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="`T` must be 9, the frames of a window"
    ):
        call(model, "serving_default", keypoints_2d, confidence)


def test_the_signatures_need_tensorflow_alone(models):
    arguments = [sys.executable, "-c", ELSEWHERE, str(models[False][2])]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.stdout == "root_relative_pose 2 17 3\n", done.stderr
