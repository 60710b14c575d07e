"""Every way out says what the Keras model says, where the root joint is free and views centered."""

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from components.bulk_inference import lift_file, readers
from keras_mvlift import inference
from keras_mvlift.datasets import tfrecords
from keras_mvlift.export import compact, onnx, tflite
from tests import temporal_networks, tiny_studio
from tests.components.bulk_inference import stored_views
from tests.export import served_views

# Meters.
TOLERANCE = 1e-4
MODELS = {
    "ray_root": {"recipe": "ray_root"},
    "paper, centered": {"recipe": "paper", "network_input": "centered"},
    "solved_root, centered": {"recipe": "solved_root", "network_input": "centered"},
}
FIELDS = ("root_relative_pose", "root_position", "pose_camera")


@pytest.fixture(scope="module", params=MODELS.values(), ids=[*MODELS])
def model(request, tmp_path_factory):
    """Settings, Keras model, and the folder that it was saved to."""
    folder = tmp_path_factory.mktemp("models") / "saved"
    return request.param, served_views.saved(folder, **request.param), folder


@pytest.fixture(scope="module")
def inputs():
    return served_views.inputs()


def assert_same(given, expected, fields=FIELDS):
    for name in fields:
        value = given[name] if isinstance(given, dict) else getattr(given, name)
        np.testing.assert_allclose(value, expected[name], atol=TOLERANCE)


def predicted_root(lifter, view):
    """The root position network's own opinion, `r`."""
    seen = lifter.network_input(view)
    outputs = lifter.root_network(seen.joints, training=False)
    return seen.back(lifter.root_head((outputs, seen.rays))[:, tf.newaxis])[:, 0].numpy()


def test_the_root_joint_is_off_the_predicted_root_where_it_is_free(model, inputs):
    _, lifter, _ = model
    view = served_views.view_of(inputs)
    off = lifter(view).root_position - predicted_root(lifter, view)
    distance = np.linalg.norm(off, axis=-1)
    if lifter.recipe.has_free_root:
        assert distance.min() > 100 * TOLERANCE
    else:
        assert distance.max() < TOLERANCE


def test_it_is_found_by_the_rays_where_they_tell_it(model, inputs):
    _, lifter, _ = model
    view = served_views.view_of(inputs)
    given = served_views.lifted(lifter, inputs)["root_position"]
    off = np.linalg.norm(given - lifter(view).root_position, axis=-1)
    assert off[:2].max() == 0
    assert np.median(off[2:]) > 100 * TOLERANCE


def test_signatures_say_where_it_is(model, inputs):
    _, lifter, folder = model
    served = tf.saved_model.load(str(folder)).signatures
    expected = served_views.lifted(lifter, inputs)
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    assert_same(served["lift_camera"](**tensors), expected)
    batch = len(inputs["confidence"])
    place = {"rotation": tf.eye(3, batch_shape=[batch]), "center": tf.ones([batch, 3])}
    world = served["lift_world"](**tensors, **place)
    assert_same(world, expected)
    np.testing.assert_allclose(world["pose_world"], expected["pose_camera"] + 1, atol=TOLERANCE)
    records = tf.constant(tfrecords.encode(inputs | _place(batch)))
    flat = served["serving_examples"](examples=records)["root_relative_pose"]
    poses = {"root_relative_pose": tf.reshape(flat, [-1, 17, 3])}
    assert_same(poses, expected, FIELDS[:1])
    view = {name: tensors[name] for name in ("keypoints_2d", "confidence")}
    mean = np.tile(tiny_studio.INTRINSICS, (batch, 1, 1))
    expected = served_views.lifted(lifter, inputs | {"intrinsics": mean})
    assert_same(served["serving_default"](**view), expected, FIELDS[:1])


def _place(batch):
    return {
        "rotation": np.tile(np.eye(3, dtype=np.float32), (batch, 1, 1)),
        "center": np.zeros((batch, 3), np.float32),
    }


def test_lift_says_where_it_is_of_one_view_and_of_many(model, inputs):
    _, lifter, folder = model
    loaded = inference.load_model(folder)
    expected = served_views.lifted(lifter, inputs)
    assert_same(loaded.lift(*inputs.values()), expected)
    first = {name: value[0] for name, value in inputs.items()}
    assert_same(loaded.lift(*first.values()), {name: x[0] for name, x in expected.items()})


def test_half_precision_says_where_it_is(model, inputs, tmp_path):
    settings, lifter, _ = model
    width = served_views.WIDTH
    tiny_studio.save(lifter, tmp_path / "half", half_precision=True, width=width, **settings)
    expected = served_views.lifted(compact.halved(lifter), inputs)
    assert_same(inference.load_model(tmp_path / "half").lift(*inputs.values()), expected)


def test_files_of_other_runtimes_say_where_it_is(model, inputs, tmp_path):
    _, lifter, folder = model
    loaded, expected = inference.load_model(folder), served_views.lifted(lifter, inputs)
    onnx.write(loaded, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    names = [output.name for output in session.get_outputs()]
    assert_same(dict(zip(names, session.run(None, inputs), strict=True)), expected)
    tflite.write(loaded, tmp_path / "model.tflite", "float32")
    interpreter = tf.lite.Interpreter(str(tmp_path / "model.tflite"))
    assert_same(interpreter.get_signature_runner(tflite.SIGNATURE)(**inputs), expected)


def test_bulk_inference_says_where_it_is(model):
    _, lifter, folder = model
    loaded, drawn = inference.load_model(folder), stored_views.columns(5)
    keys = {name: [None] * 5 for name in readers.KEYS}
    numbers = {name: drawn[name] for name in readers.NUMBERS}
    seen = readers.Views(numbers, np.zeros(5, bool), keys)
    table = lift_file.lift(loaded, seen, lift_file.schema(loaded))
    seen = {name: np.asarray(drawn[name], np.float32) for name in readers.REQUIRED}
    expected = served_views.lifted(lifter, seen)
    for name in FIELDS:
        found = np.array(table.column(name).to_pylist()).reshape(expected[name].shape)
        np.testing.assert_allclose(found, expected[name], atol=TOLERANCE)


@pytest.mark.parametrize(("recipe", "is_causal"), [("paper", False), ("ray_root", True)])
def test_clips_and_streams_say_where_it_is(recipe, is_causal, tmp_path):
    lifter = temporal_networks.save(tmp_path, is_causal=is_causal, recipe=recipe)
    loaded = inference.load_model(tmp_path)
    keypoints_2d, confidence = temporal_networks.film(20)
    # Of this one the rays do not tell where it is.
    confidence[4, 3:] = 0.0
    whole = loaded.lift(keypoints_2d, confidence, tiny_studio.INTRINSICS)
    window = temporal_networks.window(keypoints_2d, confidence, is_causal)
    off = lifter(window).root_position - predicted_root(lifter, window)
    assert np.linalg.norm(off, axis=-1).min() > 100 * TOLERANCE
    pose, root_position = lifter.lift(window)
    np.testing.assert_allclose(whole.root_relative_pose, pose, atol=TOLERANCE)
    np.testing.assert_allclose(whole.root_position, root_position, atol=TOLERANCE)
    stream = loaded.stream()
    frames = zip(keypoints_2d, confidence, strict=True)
    given = [stream.push(*frame, tiny_studio.INTRINSICS) for frame in frames] + stream.finish()
    streamed = [posed for posed in given if posed is not None]
    for name in FIELDS:
        found = np.stack([getattr(posed, name) for posed in streamed])
        np.testing.assert_allclose(found, getattr(whole, name), atol=TOLERANCE)
