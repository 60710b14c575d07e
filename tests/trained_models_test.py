import json
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_mvlift import errors, inference, skeletons, trained_models
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import people, synthetic
from tests import tiny_studio


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained(), folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


@pytest.fixture
def older(folder):
    """A model of before there were arrays beside the SavedModel."""
    for path in (folder / trained_models.DESCRIPTION.parent).glob("*.npz"):
        path.unlink()
    return folder


def test_what_is_whole_is_read(whole):
    assert len(trained_models.read_description(whole)["joints"]) == 17
    assert "lift_camera" in trained_models.open_model(whole).signatures


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "`file` must be JSON. Received: no name in double quotes"),
        (b"\xff\xfe", "`file` must be JSON"),
        (b"[]", "`file` must be a JSON object. Received: list"),
        (b"{}", "`joints` must be a list of names. Received: None"),
        ({"joints": ["pelvis", 3]}, "`joints` must be a list of names"),
        ({"parents": [0]}, "`parents` must be 17 whole numbers"),
        ({"parents": [17] * 17}, "`parents` must be numbers of 17 joints"),
        ({"joints": ["pelvis"] * 17}, "`joints` must be names, each once"),
        ({"is_mirrored": "yes"}, "`is_mirrored` must be true or false. Received: yes"),
        ({"folded": {"root": {}}}, "`folded` must hold layers_per_block, network_input and"),
        (
            {"folded": {"layers_per_block": 2, "network_input": "rays", "root": {"a": 1}}},
            "`folded` must hold layers_per_block, network_input and the numbers of root",
        ),
        ({"intrinsics": "wide"}, "`intrinsics` must be an array of numbers"),
        ({"intrinsics": [1.0]}, r"`intrinsics` must be \[3, 3\], pixels. Received: shape \[1\]"),
        ({"joint_mixes": []}, "`joint_mixes` must be a JSON object. Received: list"),
        ({"joint_mixes": {"coco_17": [[1.0]]}}, r"`joint_mixes` .* Received: coco_17: \[1, 1\]"),
        ({"joint_mixes": {"coco_17": ["a"]}}, "`joint_mixes` must hold 17 by 17 numbers"),
        (
            {"joint_mixes": {"coco_17": (np.eye(17) + np.eye(17, k=1)).tolist()}},
            r"`joint_mixes` must leave the root, .* Received: coco_17: \[1.0, 0.0",
        ),
        ({"joint_mixes": {"mine": np.eye(17).tolist()}}, "`joint_mixes` .* Received: mine"),
        ({"window": {}}, "`window` must hold num_frames, is_causal, frame_step"),
    ],
)
def test_a_damaged_description_is_refused_by_name(folder, content, message):
    path = folder / trained_models.DESCRIPTION
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content).encode()
    path.write_bytes(content)
    with pytest.raises(trained_models.ModelFileError, match=f"model.json: {message}"):
        inference.load_model(folder)


def test_a_missing_description_is_no_model_of_ours(folder):
    (folder / trained_models.DESCRIPTION).unlink()
    with pytest.raises(FileNotFoundError, match="no model of keras_mvlift"):
        inference.load_model(folder)


@pytest.mark.parametrize("damage", ["empty", "cut", "junk", "no variables", "cut variables"])
def test_a_damaged_savedmodel_is_one_sentence(older, damage):
    file = older / trained_models.SAVED_MODEL
    (data,) = (older / "variables").glob("*data*")
    if damage == "no variables":
        shutil.rmtree(older / "variables")
    elif damage == "cut variables":
        data.write_bytes(data.read_bytes()[:100])
    else:
        kept = {"empty": b"", "cut": file.read_bytes()[:5000], "junk": b"\xff\x00junk"}
        file.write_bytes(kept[damage])
    with pytest.raises(trained_models.ModelFileError, match="must be a whole SavedModel") as caught:
        inference.load_model(older)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{older}: `saved_model.pb`")


@pytest.mark.parametrize("path", [None, 3])
def test_what_is_no_path_is_refused_by_name(path):
    with pytest.raises(ValueError, match="`path` must be a folder's path"):
        inference.load_model(path)


def reads_a_file(name):
    return tf.strings.length(tf.io.read_file(name))


def writes_a_file(name):
    tf.io.write_file(name, "x")
    return 0


def prints_to_a_file(name):
    tf.print("x", output_stream="file:///tmp/never-written")
    return 0


def runs_in_a_loop(name):
    return tf.while_loop(lambda i: i < 1, lambda i: [i + reads_a_file(name)], [0])[0]


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (reads_a_file, "ReadFile"),
        (writes_a_file, "WriteFile"),
        (prints_to_a_file, "PrintV2"),
        (runs_in_a_loop, "ReadFile"),
        (lambda name: tf.raw_ops.MatchingFiles(pattern=name), "MatchingFiles"),
        (
            lambda name: tf.raw_ops.RestoreV2(
                prefix=name, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
            )[0],
            "RestoreV2",
        ),
    ],
)
def test_operations_that_reach_out_are_refused_unless_asked_for(
    older, tmp_path, function, operation
):
    module = tf.Module()
    module.lift = tf.function(function, input_signature=[tf.TensorSpec([], tf.string)])
    shutil.rmtree(older / "variables")
    (older / trained_models.SAVED_MODEL).unlink()
    tf.saved_model.save(module, str(older))
    with pytest.raises(
        trained_models.ModelFileError, match=f"keeps to itself.*Received: {operation}"
    ):
        inference.load_model(older)
    assert hasattr(trained_models.open_model(older, is_trusted=True), "lift")


def test_what_tensorflow_saves_with_is_not_to_be_called(older):
    file = older / trained_models.SAVED_MODEL
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    save = next(each for each in functions if "traced_save" in each.signature.name)
    lift = next(each for each in functions if "lift_camera" in each.signature.name)
    lift.node_def[0].attr["f"].func.name = save.signature.name
    file.write_bytes(saved.SerializeToString())
    with pytest.raises(trained_models.ModelFileError, match="Received: __inference__traced_save"):
        inference.load_model(older)


def test_a_file_that_would_be_read_instead_is_refused(older):
    (older / "saved_model.cpb").touch()
    with pytest.raises(trained_models.ModelFileError, match=r"Received: saved_model.cpb"):
        inference.load_model(older)


JOINTS = skeletons.H36M_17.joints
MEAN = np.diag([1000.0, 1000.0, 1.0]).astype(np.float32)
DOUBLE = np.diag([2.0, 2.0, 1.0]).astype(np.float32)
CLIP = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=4).read("S01_walking_01")


def seen_as(name):
    """Returns the joints of a set, `[4, K, 2]`, pixels, as the studio's first camera sees them."""
    camera = cameras.Camera(*(np.asarray(field)[0] for field in CLIP.camera))
    points = people.body_joints(np.asarray(CLIP.pose_world), skeletons.by_name(name))
    points = cameras.camera_from_world(points, camera)
    return cameras.project(points, camera.intrinsics)


def checked(keypoints_2d, confidence=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return trained_models.check_joints(keypoints_2d, confidence, JOINTS, **options)


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
        trained_models.check_joints(seen_as("coco_17"), None, JOINTS)
    with pytest.warns(errors.InputWarning, match="look like body_25's"):
        trained_models.check_joints(seen_as("body_25"), None, JOINTS, "body_25b")
    with pytest.raises(ValueError, match=r"`skeleton` must be one of .*; did you mean coco_17"):
        trained_models.check_joints(seen_as("coco_17"), None, JOINTS, "coco17")


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (2, -1)], ids=["[0, 1]", "[-1, 1]"])
def test_shares_of_an_image_are_no_pixels(scale, shift):
    keypoints = scale * seen_as("h36m_17") / 1000 + shift
    points, seen = checked(keypoints)
    with pytest.raises(errors.ArgumentError, match=r"must be pixels; .* within [01]\.\d+ px of"):
        trained_models.require_pixels(points, seen, MEAN)
    # A camera whose pixel is the image may see them so.
    trained_models.require_pixels(points, seen, np.diag([1.1, 1.1, 1.0]))
    trained_models.require_pixels(*checked(seen_as("h36m_17")), MEAN)


def test_poses_that_miss_what_they_are_lifted_from_are_warned_about():
    camera = cameras.Camera(*(np.asarray(field)[0] for field in CLIP.camera))
    pose = cameras.camera_from_world(np.asarray(CLIP.pose_world), camera)
    keypoints, seen = checked(seen_as("h36m_17"))
    intrinsics = np.broadcast_to(camera.intrinsics, (4, 3, 3))
    missed = inference.reprojection_errors(pose, keypoints, seen, intrinsics)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inference.warn_of_misses(missed) == []
    missed = inference.reprojection_errors(pose + 0.8, keypoints, seen, intrinsics)
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
    found = inference.reprojection_errors(*given)
    np.testing.assert_allclose(found, [5 / 50, np.nan, np.nan])
    assert inference.warn_of_misses(found[1:]) == []


def test_a_camera_is_given_to_each_view():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = trained_models.check_intrinsics(
            SimpleNamespace(intrinsics=MEAN * DOUBLE), (4, 3), MEAN
        )
    assert given.shape == (4, 3, 3, 3)
    assert (given[..., 0, 0] == 2000).all()
    with pytest.warns(errors.InputWarning, match="focal length 1000 px"):
        assert (trained_models.check_intrinsics(None, (4,), MEAN)[..., 0, 0] == 1000).all()
    with pytest.raises(ValueError, match="positive focal lengths"):
        trained_models.check_intrinsics(-MEAN, (), MEAN)
