import pathlib
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import inference, skeletons
from tests import tiny_studio

OTHER = np.array([[900, 0, 480], [0, 910, 520], [0, 0, 1]], np.float32)
RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(300, 700, (2, 3, 17, 2))
CONFIDENCE = RNG.uniform(0.1, 1, (2, 3, 17))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained(), folder)
    return inference.load_model(folder)


def signature(model, name, **inputs):
    """Calls a signature on a batch, past all of `lift`."""
    inputs = {key: tf.constant(value, tf.float32) for key, value in inputs.items()}
    outputs = tf.saved_model.load(str(model.path)).signatures[name](**inputs)
    return {key: value.numpy() for key, value in outputs.items()}


@pytest.mark.parametrize("index", [(0, 0), (0,), ()], ids=["[17,2]", "[T,17,2]", "[2,T,17,2]"])
def test_leading_axes_stay_as_they_are(model, index):
    keypoints, confidence = KEYPOINTS[index], CONFIDENCE[index]
    lifted = model.lift(keypoints, confidence, camera=OTHER)
    leading = keypoints.shape[:-2]
    assert lifted.joint_names == model.joint_names
    assert lifted.root_relative_pose.shape == (*leading, 17, 3)
    assert lifted.root_position.shape == (*leading, 3)
    assert lifted.pose_camera.shape == (*leading, 17, 3)
    # Nothing is mixed up on the way: each pose is the one of its own view.
    everything = model.lift(KEYPOINTS, CONFIDENCE, camera=OTHER)
    for field in ("root_relative_pose", "root_position", "pose_camera"):
        np.testing.assert_allclose(
            getattr(lifted, field), getattr(everything, field)[index], atol=1e-5
        )


def test_a_lifted_pose_is_what_the_signature_gives(model):
    lifted = model.lift(KEYPOINTS[0], CONFIDENCE[0], camera=OTHER)
    inputs = {"keypoints_2d": KEYPOINTS[0], "confidence": CONFIDENCE[0]}
    expected = signature(model, "lift_camera", **inputs, intrinsics=np.tile(OTHER, (3, 1, 1)))
    assert len(expected) == 3
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(lifted, name), value, atol=1e-4)
    moved = lifted.root_relative_pose + lifted.root_position[:, np.newaxis]
    np.testing.assert_allclose(lifted.pose_camera, moved, atol=1e-6)


def test_poses_are_brought_to_where_a_detector_sees_joints(model, monkeypatch):
    coco = RNG.uniform(300, 700, (4, 17, 2))
    plain = model.lift(coco, camera=OTHER, skeleton="coco_17")
    mix = np.eye(17, dtype=np.float32)
    mix[3, 3], mix[3, 2] = 0.75, 0.25
    monkeypatch.setattr(model, "joint_mixes", {"coco_17": mix})
    mixed = model.lift(coco, camera=OTHER, skeleton="coco_17")
    expected = mix @ plain.root_relative_pose
    np.testing.assert_allclose(mixed.root_relative_pose, expected, atol=1e-5)
    assert np.abs(mixed.root_relative_pose - plain.root_relative_pose).max() > 0.01
    moved = mixed.root_relative_pose + mixed.root_position[:, np.newaxis]
    np.testing.assert_allclose(mixed.pose_camera, moved, atol=1e-6)
    # Joints that were converted before are told by name; the model's own stay.
    converted = skeletons.Converter(skeletons.COCO_17.joints).keypoints(coco)
    told = model.lift(converted, camera=OTHER, detected_as="coco_17")
    np.testing.assert_allclose(told.pose_camera, mixed.pose_camera, atol=1e-4)
    own = model.lift(converted, camera=OTHER)
    np.testing.assert_allclose(own.root_relative_pose, plain.root_relative_pose, atol=1e-4)


def test_left_out_confidence_means_that_all_was_seen(model):
    first, second = (model.lift(KEYPOINTS, seen, OTHER) for seen in (None, np.ones((2, 3, 17))))
    np.testing.assert_array_equal(first.pose_camera, second.pose_camera)
    partly = np.ones((2, 3, 17))
    partly[..., 5] = 0
    assert np.any(model.lift(KEYPOINTS, partly, OTHER).pose_camera != first.pose_camera)


def test_where_a_joint_that_was_not_seen_lies_does_not_matter(model):
    confidence, elsewhere = CONFIDENCE.copy(), KEYPOINTS.copy()
    confidence[..., 5], elsewhere[..., 5, :] = 0, -1000
    first, second = (model.lift(place, confidence, OTHER) for place in (KEYPOINTS, elsewhere))
    np.testing.assert_array_equal(first.pose_camera, second.pose_camera)


@pytest.mark.parametrize(
    "camera",
    [
        OTHER.tolist(),
        tf.constant(OTHER),
        SimpleNamespace(intrinsics=OTHER),
        np.tile(OTHER, (2, 3, 1, 1)),
        SimpleNamespace(intrinsics=np.tile(OTHER, (2, 3, 1, 1))),
    ],
    ids=["list", "tensor", "object", "per frame", "object per frame"],
)
def test_a_camera_is_its_intrinsics_however_they_come(model, camera):
    expected = model.lift(KEYPOINTS, CONFIDENCE, OTHER)
    lifted = model.lift(KEYPOINTS, CONFIDENCE, camera)
    np.testing.assert_allclose(lifted.pose_camera, expected.pose_camera, atol=1e-5)


def test_each_frame_may_have_a_camera_of_its_own(model):
    each = np.stack([OTHER, tiny_studio.INTRINSICS, OTHER])
    lifted = model.lift(KEYPOINTS[0], CONFIDENCE[0], each)
    for index, intrinsics in enumerate(each):
        alone = model.lift(KEYPOINTS[0, index], CONFIDENCE[0, index], intrinsics)
        np.testing.assert_allclose(lifted.pose_camera[index], alone.pose_camera, atol=1e-5)
    assert (
        np.abs(
            lifted.pose_camera[1] - model.lift(KEYPOINTS[0, 1], CONFIDENCE[0, 1], OTHER).pose_camera
        ).max()
        > 1e-3
    )


def test_without_a_camera_that_of_training_is_taken_and_no_position_given(model):
    with pytest.warns(UserWarning, match=r"`camera` was left out: .* focal length 1100 px") as seen:
        lifted = model.lift(KEYPOINTS[0], CONFIDENCE[0])
    # The warning points at the line that left the camera out.
    assert pathlib.Path(seen[0].filename) == pathlib.Path(__file__)
    assert (lifted.root_position, lifted.pose_camera) == (None, None)
    inputs = {"keypoints_2d": KEYPOINTS[0], "confidence": CONFIDENCE[0]}
    expected = signature(model, "serving_default", **inputs)["root_relative_pose"]
    np.testing.assert_allclose(lifted.root_relative_pose, expected, atol=1e-5)


@pytest.mark.parametrize("camera", [OTHER, np.zeros((0, 3, 3))], ids=["one", "per frame"])
def test_no_frames_give_no_poses(model, camera):
    lifted = model.lift(np.zeros((0, 17, 2)), np.zeros((0, 17)), camera)
    assert lifted.pose_camera.shape == (0, 17, 3)


def changed(array, index, value):
    array = np.array(array, np.float64)
    array[index] = value
    return array


GOOD = {"keypoints_2d": KEYPOINTS[0], "confidence": CONFIDENCE[0], "camera": OTHER}
REFUSED = {
    "joint count": (
        {"keypoints_2d": np.zeros((3, 26, 2))},
        r"`keypoints_2d` must have shape \[\.\.\., 17, 2\], the joints being pelvis, right_hip,"
        r".*; for those of halpe_26 give skeleton=\"halpe_26\"\. Received: \[3, 26, 2\]",
    ),
    "one axis": ({"keypoints_2d": np.zeros(34)}, r"`keypoints_2d` must .* Received: \[34\]"),
    "three coordinates": (
        {"keypoints_2d": np.zeros((17, 3))},
        r"`keypoints_2d` must .* Received: \[17, 3\]",
    ),
    "infinity": (
        {"keypoints_2d": changed(KEYPOINTS[0], (0, 4, 0), np.inf)},
        r"`keypoints_2d` must be finite.* Received: 1 of 102 .* the first at \[0, 4, 0\]",
    ),
    "far off": (
        {"keypoints_2d": changed(KEYPOINTS[0], (2, 4, 1), -1e30)},
        r"`keypoints_2d` must be .* within 1,000,000 pixels.* the first at \[2, 4, 1\]",
    ),
    "masked": (
        {"keypoints_2d": np.ma.masked_greater(KEYPOINTS[0], 600)},
        r"`keypoints_2d` must .*; fill what is masked.* Received: \d+ of 102 masked, the first at",
    ),
    "masked confidence": (
        {"confidence": np.ma.masked_less(CONFIDENCE[0], 0.2)},
        r"`confidence` must .*; fill what is masked.* Received: \d+ of 51 masked, the first at",
    ),
    "words": (
        {"keypoints_2d": [["left", "right"]] * 17},
        r"`keypoints_2d` must be an array of numbers\. Received: .*'left'",
    ),
    "ragged": (
        {"keypoints_2d": [[1.0, 2.0]] * 16 + [[1.0]]},
        r"`keypoints_2d` must be an array of numbers\. Received: ",
    ),
    "confidence per view": (
        {"confidence": np.ones(17)},
        r"`confidence` must have shape \[3, 17\]\. Received: \[17\]",
    ),
    "confidence in percent": (
        {"confidence": changed(np.ones((3, 17)), (0, 0), 100)},
        r"`confidence` must lie in \[0, 1\]\. Received: 1\.0 to 100\.0",
    ),
    "negative confidence": (
        {"confidence": changed(np.ones((3, 17)), (0, 0), -1)},
        r"`confidence` must lie in \[0, 1\]\. Received: -1\.0 to 1\.0, the first at \[0, 0\]",
    ),
    "nan confidence": (
        {"confidence": changed(np.ones((3, 17)), (0, 0), np.nan)},
        r"`confidence` must lie in \[0, 1\]\. Received: nan",
    ),
    "focal lengths alone": (
        {"camera": [1000.0, 1000.0]},
        r"`camera` must have intrinsics of shape \[3, 3\] or \[3, 3, 3\]\. Received: \[2\]",
    ),
    "cameras of fewer frames": (
        {"camera": np.tile(OTHER, (2, 1, 1))},
        r"`camera` must have intrinsics of shape .* Received: \[2, 3, 3\]",
    ),
    "no focal length": (
        {"camera": np.zeros((3, 3))},
        r"`camera` must have positive focal lengths and .*\. Received: ",
    ),
    "mirrored": (
        {"camera": changed(OTHER, (1, 1), -900)},
        r"`camera` must have positive focal lengths and .*\. Received: .*-900",
    ),
    "skewed": (
        {"camera": changed(np.tile(OTHER, (3, 1, 1)), (1, 0, 1), 5.0)},
        r"`camera` must have .* no skew.* Received: .* 5\.0, .*, the first at \[1\]",
    ),
    "skewed the other way": (
        {"camera": changed(OTHER, (1, 0), -5.0)},
        r"`camera` must have .* no skew.* Received: .*-5\.0",
    ),
    "nan camera": (
        {"camera": changed(OTHER, (0, 2), np.nan)},
        r"`camera` must be finite.* Received: 1 of 9 .* the first at \[0, 2\]",
    ),
    "a camera's name": (
        {"camera": "left"},
        r"`camera` must be an array of numbers\. Received: .*'left'",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_says_what_was_expected_and_what_came(model, change, message):
    with pytest.raises(ValueError, match=message):
        model.lift(**GOOD | change)
