import functools
import pathlib
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import inference, skeletons, trained_models
from keras_mvlift.geometry import triangulation
from keras_mvlift.training import lifters
from tests import tiny_studio

# Lifts a pose where nothing that training needs can be imported.
ELSEWHERE = """
import sys
import keras_mvlift
loaded = keras_mvlift.load_model
FOREIGN = {"tensorflow", "keras", "tfx", "apache_beam", "scipy", "jinja2", "onnxruntime"}
OURS = ("keras_mvlift.training", "keras_mvlift.networks", "keras_mvlift.datasets")
imported = set(sys.modules)
assert not FOREIGN & imported, FOREIGN & imported
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FOREIGN or name.startswith(OURS):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Block())
import numpy as np
pose = loaded(sys.argv[1]).lift(np.zeros((17, 2)), camera=np.diag([1000.0, 1000.0, 1.0]))
assert pose.pose_camera.shape == (17, 3)
print(*sorted(name for name in sys.modules if name.startswith("keras_mvlift")))
"""


def put(folder, *places):
    for place in places:
        shutil.copytree(folder, place)


OTHER = np.array([[900, 0, 480], [0, 910, 520], [0, 0, 1]], np.float32)
RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(300, 700, (2, 3, 17, 2))
CONFIDENCE = RNG.uniform(0.1, 1, (2, 3, 17))


@pytest.fixture(scope="module")
def model(model_folder):
    return inference.load_model(model_folder)


def signature(model, name, **inputs):
    """Calls a signature on a batch, past all of `lift`."""
    inputs = {key: tf.constant(value, tf.float32) for key, value in inputs.items()}
    outputs = tf.saved_model.load(str(model.path)).signatures[name](**inputs)
    return {key: value.numpy() for key, value in outputs.items()}


JOINTS = skeletons.H36M_17
SINGLE_KEYPOINTS = RNG.uniform(300, 700, (2, 3, 17, 2)).astype(np.float32)
SINGLE_CONFIDENCE = RNG.uniform(0.1, 1, (2, 3, 17)).astype(np.float32)
INTRINSICS = tiny_studio.INTRINSICS


@pytest.fixture(scope="module")
def mirror_model(tmp_path_factory):
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
    keypoints_2d = mirrored(SINGLE_KEYPOINTS)
    keypoints_2d[..., 0] = 2 * 510 - keypoints_2d[..., 0]
    return keypoints_2d, mirrored(SINGLE_CONFIDENCE[..., np.newaxis])[..., 0]


def test_the_model_says_what_it_is(model_folder):
    model = inference.load_model(model_folder)
    assert model.path == model_folder
    assert model.joint_names == skeletons.H36M_17.joints
    assert model.parents == skeletons.H36M_17.parents
    np.testing.assert_array_equal(model.intrinsics, tiny_studio.INTRINSICS)
    assert model.description["rig_distance"] == tiny_studio.RIG_DISTANCE


def test_a_version_is_loaded_by_its_own_folder(model_folder, tmp_path):
    put(model_folder, tmp_path / "7")
    assert inference.load_model(str(tmp_path / "7")).path == tmp_path / "7"


def test_of_a_folder_of_versions_the_newest_number_is_loaded(model_folder, tmp_path):
    # As text, 9 comes behind 10, and names behind both.
    put(model_folder, tmp_path / "9", tmp_path / "10", tmp_path / "latest", tmp_path / "11.partial")
    (tmp_path / "12").mkdir()
    (tmp_path / "13").write_text("no folder")
    assert inference.load_model(tmp_path).path == tmp_path / "10"


def test_of_a_pipelines_output_the_newest_pushed_version_is_loaded(model_folder, tmp_path):
    served = tmp_path / "serving" / "mvlift"
    put(model_folder, served / "1700000000", served / "1700000001")
    assert inference.load_model(tmp_path).path == served / "1700000001"


@pytest.mark.parametrize("name", ["nowhere", "empty", "unnumbered"])
def test_where_no_model_lies_is_said(model_folder, tmp_path, name):
    (tmp_path / "empty").mkdir()
    put(model_folder, tmp_path / "unnumbered" / "latest")
    rule = rf"{name}: must be a SavedModel, .* or a pipeline's output folder; no saved_model\.pb"
    with pytest.raises(FileNotFoundError, match=rule):
        inference.load_model(tmp_path / name)


def test_a_saved_model_of_someone_elses_is_refused(model_folder, tmp_path):
    put(model_folder, tmp_path / "1")
    (tmp_path / "1" / lifters.FOLDER / lifters.DESCRIPTION).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"model\.json: not there; no model of keras_mvlift"
    ):
        inference.load_model(tmp_path)


def test_using_a_model_takes_numpy_alone(model_folder, tmp_path):
    arguments = [sys.executable, "-c", ELSEWHERE, str(model_folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours = [name.removeprefix("keras_mvlift") for name in done.stdout.split()]
    light = (
        ".inference",
        ".trained_models",
        ".skeletons",
        ".geometry",
        ".errors",
    )
    assert all(name == "" or name.startswith(light) for name in ours)
    assert ".inference" in ours


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
    with pytest.raises(ValueError, match=r"`detected_as` must be one of .* did you mean coco_17\?"):
        model.lift(converted, camera=OTHER, detected_as="coco17")


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
        functools.partial(tf.constant, OTHER),
        SimpleNamespace(intrinsics=OTHER),
        np.tile(OTHER, (2, 3, 1, 1)),
        SimpleNamespace(intrinsics=np.tile(OTHER, (2, 3, 1, 1))),
    ],
    ids=["list", "tensor", "object", "per frame", "object per frame"],
)
def test_a_camera_is_its_intrinsics_however_they_come(model, camera):
    expected = model.lift(KEYPOINTS, CONFIDENCE, OTHER)
    camera = camera() if callable(camera) else camera
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
    "complex": (
        {"keypoints_2d": KEYPOINTS[0] + 1j},
        r"`keypoints_2d` must be an array of numbers\. Received: ",
    ),
    "nothing": ({"keypoints_2d": None}, r"`keypoints_2d` must be an array of numbers\. Received: "),
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
    "another last row": (
        {"camera": changed(OTHER, (2, 0), 510.0)},
        r"`camera` must have positive focal lengths and .*\. Received: .*\[510\.0, 0\.0, 1\.0\]",
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


def test_a_flipped_lift_is_the_mean_of_both(mirror_model):
    flipped = mirror_model.lift(SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, camera=INTRINSICS, flip=True)
    plain = mirror_model.lift(SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, camera=INTRINSICS)
    other = mirror_model.lift(*mirrored_view(), camera=INTRINSICS)
    back = mirrored(other.root_relative_pose) * [-1, 1, 1]
    mean = (plain.root_relative_pose + back) / 2
    np.testing.assert_allclose(flipped.root_relative_pose, mean, atol=1e-5)
    view = (
        SINGLE_KEYPOINTS,
        SINGLE_CONFIDENCE,
        np.broadcast_to(INTRINSICS, (*SINGLE_CONFIDENCE.shape[:-1], 3, 3)),
    )
    rays = trained_models.seen_rays(*view)
    root = triangulation.root_in_view(
        mean, rays, SINGLE_CONFIDENCE, mirror_model._run_mirrored(*view)[1]
    )
    np.testing.assert_allclose(flipped.root_position, root, atol=1e-5)
    np.testing.assert_allclose(flipped.pose_camera, mean + root[..., np.newaxis, :], atol=1e-5)
    assert np.abs(flipped.root_relative_pose - plain.root_relative_pose).max() > 1e-3


def test_a_flipped_lift_of_the_mirror_image_is_the_mirrored_pose(mirror_model):
    first = mirror_model.lift(SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, camera=INTRINSICS, flip=True)
    other = mirror_model.lift(*mirrored_view(), camera=INTRINSICS, flip=True)
    expected = mirrored(first.pose_camera) * [-1, 1, 1]
    np.testing.assert_allclose(other.pose_camera, expected, atol=1e-5)


def test_a_model_that_saw_nobody_mirrored_lifts_no_mirror_images(model):
    rule = r"`flip` must be False for a model .* mirrored people \(`flip_augmentation`\)\. .*True\."
    with pytest.raises(ValueError, match=rule):
        model.lift(SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, camera=INTRINSICS, flip=True)
    with pytest.raises(ValueError, match=r"`flip` must be True or False\. Received: 'no'"):
        model.lift(SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, camera=INTRINSICS, flip="no")


def test_a_model_of_which_nobody_noted_it_warns(mirror_model):
    about = {key: told for key, told in mirror_model.description.items() if key != "is_mirrored"}
    older = inference.Lifter(mirror_model.path, about)
    with pytest.warns(UserWarning, match="trained on mirrored people is not known") as told:
        lifted = older.lift(SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, camera=INTRINSICS, flip=True)
    assert told[0].filename == __file__
    expected = mirror_model.lift(SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, camera=INTRINSICS, flip=True)
    np.testing.assert_array_equal(lifted.pose_camera, expected.pose_camera)


def test_a_lift_that_is_right_on_both_sides_stays_as_it_is(mirror_model, monkeypatch):
    def run(keypoints_2d, confidence, intrinsics):
        """What a mirror image turns around: rays and twice the confidences."""
        rays = (keypoints_2d - intrinsics[..., np.newaxis, :2, 2]) / 1000
        pose = np.concatenate([rays, 2 * confidence[..., np.newaxis]], axis=-1)
        return pose, pose[..., 0, :]

    intrinsics = np.broadcast_to(INTRINSICS, (2, 3, 3, 3))
    monkeypatch.setattr(mirror_model, "_run", run)
    given = SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, intrinsics
    *results, apart = mirror_model._run_mirrored(*given)
    np.testing.assert_allclose(apart, np.zeros_like(SINGLE_CONFIDENCE), atol=1e-6)
    for value, expected in zip(
        results, run(SINGLE_KEYPOINTS, SINGLE_CONFIDENCE, intrinsics), strict=True
    ):
        np.testing.assert_allclose(value, expected, atol=1e-6)
