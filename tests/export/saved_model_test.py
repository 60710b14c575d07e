import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_mvlift import inference, skeletons
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.export import saved_model
from keras_mvlift.geometry import cameras
from keras_mvlift.training import lifters
from tests import temporal_networks, tiny_studio
from tests.export import served_views

SIGNATURES = ("serving_default", "lift_camera", "lift_world", "serving_examples")
TOLERANCE = 1e-5

# Calls all signatures where nothing but TensorFlow can be imported.
ELSEWHERE = """
import sys
BLOCKED = {"keras_mvlift", "tensorflow_graphics", "tensorflow_addons", "tfx", "tfx_bsl"}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
import numpy as np
import tensorflow as tf
folder, inputs, records, outputs = sys.argv[1:]
model = tf.saved_model.load(folder)
views = {name: tf.constant(value) for name, value in np.load(inputs).items()}
records = tf.constant(list(tf.data.TFRecordDataset(records, "GZIP").as_numpy_iterator()))
results = {}
for size in (1, 7):
    first = {name: value[:size] for name, value in views.items()}
    placed = ("rotation", "center")
    for name, output in {
        "lift_world": model.signatures["lift_world"](**first),
        "lift_camera": model.signatures["lift_camera"](
            **{key: value for key, value in first.items() if key not in placed}),
        "serving_default": model.signatures["serving_default"](
            keypoints_2d=first["keypoints_2d"], confidence=first["confidence"]),
        "serving_examples": model.signatures["serving_examples"](examples=records[:size]),
    }.items():
        results |= {f"{size}/{name}/{key}": value.numpy() for key, value in output.items()}
np.savez(outputs, **results)
"""


@pytest.fixture(scope="module")
def lifter():
    return tiny_studio.trained(dropout=0.5)


@pytest.fixture(scope="module")
def folder(lifter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "1"
    tiny_studio.save(lifter, folder)
    return folder


@pytest.fixture(scope="module")
def columns():
    table = tiny_studio.prepare(tiny_studio.film(missing_rate=0.2)).test_views
    return {name: values[:7] for name, values in table.items()}


def view_of(columns, intrinsics=None):
    fields = ("keypoints_2d", "confidence", "intrinsics", "rotation", "center")
    keypoints_2d, confidence, *camera = (columns[name].astype(np.float32) for name in fields)
    if intrinsics is not None:
        camera[0] = np.tile(intrinsics, (len(confidence), 1, 1))
    camera = cameras.Camera(*camera)
    return tf.nest.map_structure(tf.constant, views.View(keypoints_2d, confidence, camera))


@pytest.fixture(scope="module")
def elsewhere(folder, columns, tmp_path_factory):
    """What the signatures gave in a process without our packages."""
    root = tmp_path_factory.mktemp("elsewhere")
    names = ("keypoints_2d", "confidence", "intrinsics", "rotation", "center")
    inputs, outputs = str(root / "inputs.npz"), str(root / "outputs.npz")
    np.savez(inputs, **{name: columns[name].astype(np.float32) for name in names})
    records = tiny_studio.write(root / "records.gz", columns)
    arguments = [sys.executable, "-c", ELSEWHERE, str(folder), inputs, records, outputs]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    return dict(np.load(outputs))


def test_a_process_without_our_packages_calls_all_signatures(elsewhere):
    assert {key.split("/")[1] for key in elsewhere} == {*SIGNATURES}


@pytest.mark.parametrize("size", [1, 7])
def test_lift_camera_gives_what_the_networks_give(elsewhere, lifter, columns, size):
    results = elsewhere
    pose, root = (value[:size] for value in lifter.lift(view_of(columns)))
    expected = {
        "root_relative_pose": pose,
        "root_position": root,
        "pose_camera": pose + root[:, tf.newaxis],
    }
    # Poses of the size of people, so that the tolerance says something.
    assert np.abs(pose).max() > 0.1
    given = {key.split("/")[2] for key in results if key.startswith(f"{size}/lift_camera/")}
    assert given == {*expected}
    for name, value in expected.items():
        result = results[f"{size}/lift_camera/{name}"]
        np.testing.assert_allclose(result, value, atol=TOLERANCE)


@pytest.mark.parametrize("size", [1, 7])
def test_lift_world_moves_poses_to_where_the_cameras_are(elsewhere, columns, size):
    results = elsewhere
    given = {name.split("/")[2]: results[name] for name in results if f"{size}/lift_world" in name}
    pose_world = given.pop("pose_world")
    for name, value in given.items():
        np.testing.assert_array_equal(value, results[f"{size}/lift_camera/{name}"])
    assert set(given) == {"root_relative_pose", "root_position", "pose_camera"}
    rotation, center = columns["rotation"][:size], columns["center"][:size]
    back = np.einsum("bij,bkj->bki", rotation, pose_world - center[:, np.newaxis])
    np.testing.assert_allclose(back, given["pose_camera"], atol=TOLERANCE)
    assert np.abs(pose_world - given["pose_camera"]).max() > 0.5


@pytest.mark.parametrize("size", [1, 7])
def test_serving_default_takes_the_camera_of_the_description(elsewhere, lifter, columns, size):
    results = elsewhere
    pose = lifter(view_of(columns, tiny_studio.INTRINSICS)).root_relative_pose[:size]
    result = results[f"{size}/serving_default/root_relative_pose"]
    np.testing.assert_allclose(result, pose, atol=TOLERANCE)
    assert np.abs(result - results[f"{size}/lift_camera/root_relative_pose"]).max() > 1e-3


@pytest.mark.parametrize("size", [1, 7])
def test_serving_examples_gives_flat_poses_of_records_of_test_views(
    elsewhere, lifter, columns, size
):
    results = elsewhere
    pose = lifter(view_of(columns)).root_relative_pose[:size]
    result = results[f"{size}/serving_examples/root_relative_pose"]
    assert result.shape == (size, 51)
    np.testing.assert_allclose(result, np.reshape(pose, (size, 51)), atol=TOLERANCE)


def test_where_a_joint_that_was_not_seen_lies_does_not_matter(folder):
    lift = tf.saved_model.load(str(folder)).signatures["lift_camera"]
    served_views.assert_blind_to_places(
        lambda given: lift(**{name: tf.constant(value) for name, value in given.items()})
    )


def test_dropout_and_batch_statistics_rest_when_served(folder, columns):
    lift = tf.saved_model.load(str(folder)).signatures["serving_examples"]
    records = tf.constant(tfrecords.encode(columns))
    first, second = (lift(examples=records)["root_relative_pose"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    alone = lift(examples=records[:1])["root_relative_pose"]
    np.testing.assert_allclose(alone, first[:1], atol=TOLERANCE)


def test_nothing_of_keras_is_saved(folder):
    message = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    nodes = message.meta_graphs[0].object_graph_def.nodes
    assert not [node for node in nodes if "keras" in node.user_object.identifier]
    assert not (folder / "keras_metadata.pb").exists()


def test_the_training_code_reads_it_back(folder, lifter):
    again, about = lifters.load(folder / lifters.FOLDER, lifter.objective)
    assert tiny_studio.same(tiny_studio.weights(again), tiny_studio.weights(lifter))
    assert (about["rig_distance"], about["intrinsics"]) == (5.0, tiny_studio.INTRINSICS.tolist())


def test_the_description_names_the_joints_and_their_parents(folder):
    about = json.loads((folder / lifters.FOLDER / lifters.DESCRIPTION).read_text())
    skeleton = skeletons.H36M_17
    assert about["skeleton"] == skeleton.name
    assert (about["joints"], about["parents"]) == ([*skeleton.joints], [*skeleton.parents])


def test_what_learned_in_half_precision_lifts_in_single(tmp_path, lifter, columns, folder):
    half = tiny_studio.lifter(precision="mixed_bfloat16")
    lifters.copy_weights(lifter, half)
    tiny_studio.save(half, tmp_path)
    seen = {name: columns[name].astype(np.float32) for name in ("keypoints_2d", "confidence")}
    poses = []
    for path in (tmp_path, folder):
        lift = tf.saved_model.load(str(path)).signatures["serving_default"]
        tensors = {name: tf.constant(value) for name, value in seen.items()}
        poses.append(lift(**tensors)["root_relative_pose"])
    np.testing.assert_array_equal(*poses)


NUM_FRAMES = 9
BOTH = pytest.mark.parametrize("is_causal", [False, True])


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


REFUSES = tf.errors.InvalidArgumentError
KEYPOINTS, CONFIDENCE = np.full((2, 3, 17, 2), 500.0), np.ones((2, 3, 17))
INTRINSICS = np.tile(tiny_studio.INTRINSICS, (2, 3, 1, 1))
TURNED = np.array([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]] * 2, np.float32)
CENTER = np.ones((2, 3), np.float32)


def tensors(*arrays):
    return [tf.constant(array, tf.float32) for array in arrays]


def changed(array, value, index):
    array = np.array(array)
    array[index] = value
    return array


def test_what_is_good_comes_out_as_it_came():
    given = tensors(KEYPOINTS, CONFIDENCE, INTRINSICS)
    seen = saved_model.check_keypoints(*given[:2], None, None)
    camera = saved_model.check_camera(given[2], given[0], None, None)
    place = saved_model.check_place(*tensors(TURNED, CENTER), given[0])
    expected = [KEYPOINTS, CONFIDENCE, INTRINSICS, KEYPOINTS, TURNED, CENTER]
    for value, same in zip([*seen, *camera, *place], expected, strict=True):
        np.testing.assert_array_equal(value, same)


def test_nobody_at_all_is_good():
    seen = saved_model.check_keypoints(*tensors(KEYPOINTS[:0], CONFIDENCE[:0]), None, None)
    assert seen[0].shape == (0, 3, 17, 2)


@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0])
def test_a_joint_at_no_place_was_not_seen(value):
    nowhere = changed(KEYPOINTS, value, (1, 2, 3))
    _, seen = saved_model.check_keypoints(*tensors(nowhere, CONFIDENCE), None, None)
    np.testing.assert_array_equal(seen, changed(CONFIDENCE, 0.0, (1, 2, 3)))


def test_keypoints_are_not_infinite_where_they_are_read():
    unseen = changed(CONFIDENCE, 0.0, (1, 2, 3))
    for value in (np.inf, 1e30, -1.1e6):
        bad = changed(KEYPOINTS, value, (1, 2, 3, 1))
        with pytest.raises(REFUSES, match="`keypoints_2d` must be finite, within 1000000 pixels"):
            saved_model.check_keypoints(*tensors(bad, CONFIDENCE), None, None)
    saved_model.check_keypoints(*tensors(bad, unseen), None, None)


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_confidence_lies_between_0_and_1(value):
    bad = changed(CONFIDENCE, value, (1, 2, 3))
    with pytest.raises(REFUSES, match=r"`confidence` must lie in \[0, 1\]"):
        saved_model.check_keypoints(*tensors(KEYPOINTS, bad), None, None)


@pytest.mark.parametrize("frames", [1, 2])
def test_every_view_has_a_confidence_and_a_camera(frames):
    with pytest.raises(REFUSES, match="`confidence` must be of as many views"):
        saved_model.check_keypoints(*tensors(KEYPOINTS, CONFIDENCE[:, :frames]), None, None)
    with pytest.raises(REFUSES, match="`intrinsics` must be of as many views"):
        saved_model.check_camera(*tensors(INTRINSICS[:, :frames], KEYPOINTS), None, None)


@pytest.mark.parametrize(
    ("value", "index"),
    [
        *((0.0, (0, 0)), (-1.0, (1, 1)), (np.nan, (0, 2)), (1.0, (2, 1)), (5.0, (0, 1))),
        (-5.0, (1, 0)),
    ],
)
def test_intrinsics_are_those_of_a_camera(value, index):
    bad = changed(INTRINSICS, value, (1, 1, *index))
    with pytest.raises(REFUSES, match="`intrinsics` must be finite, with positive focal"):
        saved_model.check_camera(*tensors(bad, KEYPOINTS), None, None)


@pytest.mark.parametrize("factor", [1.02, -1.0, np.nan])
def test_a_rotation_is_one(factor):
    with pytest.raises(REFUSES, match="`rotation` must be a rotation"):
        saved_model.check_place(*tensors(factor * TURNED, CENTER, KEYPOINTS))


@pytest.mark.parametrize("name", ["rotation", "center"])
def test_every_person_has_a_place(name):
    given = {"rotation": TURNED, "center": CENTER}
    given[name] = given[name][:1]
    with pytest.raises(REFUSES, match=f"`{name}` must be of as many views"):
        saved_model.check_place(*tensors(given["rotation"], given["center"], KEYPOINTS))


def test_a_center_is_finite():
    with pytest.raises(REFUSES, match="`center` must be finite"):
        saved_model.check_place(*tensors(TURNED, np.inf * CENTER, KEYPOINTS))


def test_another_shape_than_was_promised_is_refused_by_name():
    @tf.function(input_signature=[tf.TensorSpec([None, 17], tf.float32)])
    def promised(value):
        return saved_model.check_shape("confidence", value, None, 17)

    graph = promised.get_concrete_function().graph
    names = [operation.name for operation in graph.get_operations()]
    assert "confidence_must_have_the_stated_shape" in names
    with pytest.raises(REFUSES, match=r"\[2,3,17\] is not compatible with .* \[\?,17\]"):
        saved_model.check_shape("confidence", *tensors(CONFIDENCE), None, 17)


RNG = np.random.default_rng(0)


def test_a_saved_model_predicts_what_the_model_does_and_one_without_has_no_such_signature(tmp_path):
    view = views.View(
        tf.constant(RNG.uniform(300, 700, (3, 17, 2)), tf.float32),
        tf.constant(RNG.uniform(0.1, 1, (3, 17)), tf.float32),
        cameras.Camera(
            tf.constant(np.tile(tiny_studio.INTRINSICS, (3, 1, 1))), tf.eye(3), tf.zeros(3)
        ),
    )
    model = tiny_studio.trained_uncertainty()
    tiny_studio.save(model, tmp_path / "with", uncertainty=True)
    loaded = tf.saved_model.load(str(tmp_path / "with"))
    found = loaded.signatures["joint_uncertainty"](
        keypoints_2d=view.keypoints_2d,
        confidence=view.confidence,
        intrinsics=view.camera.intrinsics,
    )["joint_uncertainty"]
    np.testing.assert_allclose(found, model.uncertainty(view), rtol=1e-5)
    assert np.std(found, axis=0).min() > 1e-5
    tiny_studio.save(tiny_studio.trained(), tmp_path / "without")
    without = tf.saved_model.load(str(tmp_path / "without"))
    assert "joint_uncertainty" not in without.signatures


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips") / "1"
    temporal_networks.save(folder, is_causal=True)
    return folder


def arrays(request):
    return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}


def signature_names(folder):
    return {*tf.saved_model.load(str(folder)).signatures}


def test_records_are_logs_of_requests_where_the_server_looks(folder):
    logs = served_views.logs_in(folder)
    assert {log.WhichOneof("log_type") for log in logs} == {"predict_log"}
    assert 0 < len(logs) <= 1000


@pytest.mark.parametrize("kind", ["folder", "clip_folder"])
def test_every_signature_is_warmed_up_by_every_batch_size(kind, request):
    folder = request.getfixturevalue(kind)
    warmed = {
        (each.model_spec.signature_name, len(next(iter(arrays(each).values()))))
        for each in served_views.requests_in(folder)
    }
    sizes = saved_model.BATCH_SIZES
    assert warmed == {(name, size) for name in signature_names(folder) for size in sizes}


@pytest.mark.parametrize("kind", ["folder", "clip_folder"])
def test_requests_are_of_people_and_windows_that_the_model_here_lifts(kind, request):
    folder = request.getfixturevalue(kind)
    model = inference.load_model(folder)
    wanted = "lift_clip" if isinstance(model, inference.ClipLifter) else "lift_camera"
    (found,) = [
        arrays(each)
        for each in served_views.requests_in(folder)
        if each.model_spec.signature_name == wanted
        and each.inputs["confidence"].tensor_shape.dim[0].size == 1
    ]
    pose = model.lift(found["keypoints_2d"], found["confidence"], found["intrinsics"])
    frames = (NUM_FRAMES,) if wanted == "lift_clip" else ()
    assert pose.pose_camera.shape == (1, *frames, 17, 3)
    assert np.isfinite(pose.pose_camera).all()
    camera = found["intrinsics"].reshape(-1, 3, 3)[0]
    np.testing.assert_array_equal(camera[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1])
    joints = found["keypoints_2d"].reshape(-1, 17, 2)[0]
    assert len(np.unique(joints, axis=0)) == 17
    assert ((joints > 0) & (joints < [1920, 1080])).all()


def test_text_that_is_no_record_is_refused(tmp_path):
    module = tf.Module()
    name = tf.TensorSpec([None], tf.string, "name")
    module.greet = tf.function(lambda name: {"greeting": name}, input_signature=[name])
    tf.saved_model.save(module, str(tmp_path), signatures={"greet": module.greet})
    with pytest.raises(ValueError, match=r"must take records as `examples`\. Received: `name`"):
        saved_model.write_warm_up(tmp_path)
