"""One view alone is lifted by NumPy; it says what the same view says among others."""

import json
import multiprocessing
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import inference
from tests import tiny_studio

OTHER = np.array([[900, 0, 480], [0, 910, 520], [0, 0, 1]], np.float32)
RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(300, 700, (5, 17, 2))
CONFIDENCE = RNG.uniform(0.1, 1, (5, 17))
CONFIDENCE[1, 4], CONFIDENCE[2], CONFIDENCE[3, 0] = 0.0, 0.0, 0.0
KINDS = {
    "solved_root": {},
    "paper": {"recipe": "paper"},
    "paper's backbone": {"backbone": "paper", "layers_per_block": 3},
    "screen": {"recipe": "ray_root", "network_input": "screen"},
    "centered": {"network_input": "centered"},
    "centered paper": {"recipe": "paper", "network_input": "centered"},
}


def save(folder, **settings):
    built = tiny_studio.trained(**settings)
    tiny_studio.save(built, folder, **settings)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("models") / "saved")


class NoTensorFlow:
    def __getattr__(self, name):
        raise AssertionError(f"TensorFlow was asked for {name}.")


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS.keys())
def test_alone_a_view_says_what_it_says_among_others(settings, tmp_path):
    model = inference.load_model(save(tmp_path / "saved", **settings))
    together = model.lift(KEYPOINTS, CONFIDENCE, OTHER)
    for index, (keypoints, seen) in enumerate(zip(KEYPOINTS, CONFIDENCE, strict=True)):
        alone = model.lift(keypoints, seen, OTHER)
        for field in ("root_relative_pose", "root_position", "pose_camera"):
            expected = getattr(together, field)[index]
            assert getattr(alone, field).dtype == expected.dtype
            # Networks that nobody trained say kilometers, too.
            tolerance = 1e-5 * max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(getattr(alone, field), expected, atol=tolerance)
    assert np.abs(together.pose_camera).max() > 0.1


@pytest.mark.parametrize("leading", [(), (1,), (1, 1)])
def test_no_tensorflow_is_called(folder, leading, monkeypatch):
    model = inference.load_model(folder)
    model.lift(KEYPOINTS[0], CONFIDENCE[0], OTHER)
    monkeypatch.setattr(inference, "tf", NoTensorFlow())
    # The model's own functions are asked for none, either.
    monkeypatch.setattr(model._model, "signatures", {})
    keypoints = KEYPOINTS[0].reshape(*leading, 17, 2)
    lifted = model.lift(keypoints, CONFIDENCE[0].reshape(*leading, 17), OTHER)
    assert lifted.pose_camera.shape == (*leading, 17, 3)
    with pytest.raises(KeyError, match="lift_camera"):
        model.lift(KEYPOINTS, CONFIDENCE, OTHER)


def test_a_model_without_such_weights_lifts_by_tensorflow(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "older")
    path = tmp_path / "older" / inference.DESCRIPTION
    about = json.loads(path.read_text())
    about.pop("folded")
    path.write_text(json.dumps(about))
    model = inference.load_model(tmp_path / "older")
    expected = tf.saved_model.load(str(folder)).signatures["lift_camera"](
        keypoints_2d=tf.constant(KEYPOINTS[:1], tf.float32),
        confidence=tf.constant(CONFIDENCE[:1], tf.float32),
        intrinsics=tf.constant(OTHER[np.newaxis]),
    )
    lifted = model.lift(KEYPOINTS[:1], CONFIDENCE[:1], OTHER)
    np.testing.assert_array_equal(lifted.root_position, expected["root_position"])


def test_a_process_that_was_forked_off_lifts_too(folder):
    model = inference.load_model(folder)
    expected = model.lift(KEYPOINTS[0], CONFIDENCE[0], OTHER).pose_camera

    def lift_again():
        again = model.lift(KEYPOINTS[0], CONFIDENCE[0], OTHER).pose_camera
        np.testing.assert_array_equal(again, expected)
        # TensorFlow would hang.
        with pytest.raises(RuntimeError, match="`model` must be loaded in the process that lifts"):
            model.lift(KEYPOINTS, CONFIDENCE, OTHER)

    forked = multiprocessing.get_context("fork").Process(target=lift_again, daemon=True)
    forked.start()
    forked.join(timeout=30)
    assert forked.exitcode == 0
