import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_mvlift import skeletons
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.geometry import cameras
from keras_mvlift.training import lifters
from tests import tiny_studio

SIGNATURES = ("serving_default", "lift_camera", "lift_world", "serving_examples")
TOLERANCE = 1e-5

# Calls all signatures where nothing but TensorFlow can be imported.
ELSEWHERE = """
import json, sys
BLOCKED = {"keras_mvlift", "tensorflow_graphics", "tensorflow_addons", "tfx", "tfx_bsl"}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
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
message = saved_model_pb2.SavedModel.FromString(open(folder + "/saved_model.pb", "rb").read())
graph = message.meta_graphs[0].graph_def
functions = {function.signature.name for function in graph.library.function}
nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
unknown = {node.op for node in nodes} - functions
print(json.dumps(sorted(op for op in unknown if not hasattr(tf.raw_ops, op))))
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
    """What the signatures gave in a process without our packages; operations it did not know."""
    root = tmp_path_factory.mktemp("elsewhere")
    names = ("keypoints_2d", "confidence", "intrinsics", "rotation", "center")
    inputs, outputs = str(root / "inputs.npz"), str(root / "outputs.npz")
    np.savez(inputs, **{name: columns[name].astype(np.float32) for name in names})
    records = tiny_studio.write(root / "records.gz", columns)
    arguments = [sys.executable, "-c", ELSEWHERE, str(folder), inputs, records, outputs]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    return dict(np.load(outputs)), json.loads(done.stdout)


def test_a_process_without_our_packages_calls_all_signatures(elsewhere):
    results, _ = elsewhere
    assert {key.split("/")[1] for key in results} == {*SIGNATURES}


def test_all_operations_are_tensorflows_own(elsewhere):
    _, unknown = elsewhere
    assert unknown == []


@pytest.mark.parametrize("size", [1, 7])
def test_lift_camera_gives_what_the_networks_give(elsewhere, lifter, columns, size):
    results, _ = elsewhere
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
    results, _ = elsewhere
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
    results, _ = elsewhere
    pose = lifter(view_of(columns, tiny_studio.INTRINSICS)).root_relative_pose[:size]
    result = results[f"{size}/serving_default/root_relative_pose"]
    np.testing.assert_allclose(result, pose, atol=TOLERANCE)
    assert np.abs(result - results[f"{size}/lift_camera/root_relative_pose"]).max() > 1e-3


@pytest.mark.parametrize("size", [1, 7])
def test_serving_examples_gives_flat_poses_of_records_of_test_views(
    elsewhere, lifter, columns, size
):
    results, _ = elsewhere
    pose = lifter(view_of(columns)).root_relative_pose[:size]
    result = results[f"{size}/serving_examples/root_relative_pose"]
    assert result.shape == (size, 51)
    np.testing.assert_allclose(result, np.reshape(pose, (size, 51)), atol=TOLERANCE)


@pytest.mark.parametrize("value", [1e4, np.nan])
def test_where_a_joint_that_was_not_seen_lies_does_not_matter(folder, columns, value):
    lift = tf.saved_model.load(str(folder)).signatures["lift_camera"]
    view = view_of(columns)
    confidence, keypoints_2d = view.confidence.numpy(), view.keypoints_2d.numpy()
    confidence[:, 4] = 0.0
    poses = []
    for place in (0.0, value):
        keypoints_2d[:, 4] = place
        inputs = {"keypoints_2d": keypoints_2d, "confidence": confidence}
        inputs["intrinsics"] = view.camera.intrinsics
        poses.append(lift(**{name: tf.constant(array) for name, array in inputs.items()}))
    for name in poses[0]:
        np.testing.assert_array_equal(poses[0][name], poses[1][name])


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
