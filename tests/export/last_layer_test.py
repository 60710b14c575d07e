import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import inference, model_files
from keras_mvlift.export import last_layer, tflite
from keras_mvlift.training import adaptation, lifters, objectives
from tests import temporal_networks
from tests.export import served_views

# Meters: what is left of weights of 16 bits.
ROUNDED = 2e-3


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A model of full precision, whose pose's root is free."""
    folder = tmp_path_factory.mktemp("whole") / "1"
    served_views.saved(folder, recipe="paper")
    return inference.load_model(folder)


MIX = np.eye(17)
MIX[1:] += np.random.default_rng(0).normal(0.0, 0.05, (16, 17))


@pytest.fixture(scope="module", params=["whole", "studio"])
def both(request, tmp_path_factory):
    """A model, and the same with its joints mixed, as written and loaded."""
    is_whole = request.param == "whole"
    model = request.getfixturevalue("whole") if is_whole else inference.load_model("studio")
    layer = last_layer.LastLayer(model)
    folder = tmp_path_factory.mktemp("mixed") / "1"
    layer.write(adaptation.mixed(layer.weights, MIX), {"adapted": {"source": "rig"}}, folder)
    return model, inference.load_model(folder)


def lift(model, rows=slice(None)):
    given = {name: value[rows] for name, value in served_views.inputs().items()}
    return model.lift(given["keypoints_2d"], given["confidence"], given["intrinsics"])


def mixed(pose):
    return MIX @ pose


@pytest.mark.parametrize("name", ["whole", "studio"])
def test_features_and_weights_are_what_a_model_lifts_with(name, request):
    model = request.getfixturevalue(name) if name == "whole" else inference.load_model(name)
    layer = last_layer.LastLayer(model)
    hidden, rotation = layer.features(served_views.view_of(served_views.inputs()))
    pose = (hidden @ layer.weights).reshape(-1, 17, 3)
    pose = (pose - pose[:, :1]) @ rotation
    np.testing.assert_allclose(pose, lift(model).root_relative_pose, atol=1e-5)
    np.testing.assert_array_equal(hidden[:, -1], 1.0)
    # The shipped model sees turned cameras, the other one the real ones.
    identity = np.broadcast_to(np.eye(3), rotation.shape)
    assert np.allclose(rotation, identity, atol=1e-3) == (name == "whole")
    np.testing.assert_allclose(rotation @ rotation.swapaxes(-1, -2), identity, atol=1e-3)


def _arrays(path):
    with np.load(path) as arrays:
        return [arrays[name] for name in arrays.files]


@pytest.mark.parametrize("rows", [slice(None), slice(1)])
def test_a_written_model_lifts_with_the_new_layer_many_views_and_one(both, rows):
    first, second = (lift(model, rows) for model in both)
    expected = mixed(first.root_relative_pose)
    assert np.abs(expected - first.root_relative_pose).max() > 0.05
    np.testing.assert_allclose(second.root_relative_pose, expected, atol=ROUNDED)
    # Where the root is depends on the pose; what the root network says does not.
    root = lifters.FOLDER / "root_network.npz"
    for one, other in zip(*(_arrays(model.path / root) for model in both), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_signature_has_the_new_layer(both):
    given = {name: tf.constant(value) for name, value in served_views.inputs().items()}
    signatures = model_files.open_model(both[1].path).signatures
    assert {*signatures} == {*model_files.open_model(both[0].path).signatures}
    found = signatures["lift_camera"](**given)
    expected = mixed(lift(both[0]).root_relative_pose)
    np.testing.assert_allclose(found["root_relative_pose"], expected, atol=ROUNDED)
    placed = {"rotation": tf.eye(3, batch_shape=[24]), "center": tf.zeros([24, 3])}
    world = signatures["lift_world"](**given, **placed)["pose_world"]
    np.testing.assert_allclose(world, found["pose_camera"], atol=1e-5)
    without = signatures["serving_default"](
        keypoints_2d=given["keypoints_2d"], confidence=given["confidence"]
    )
    intrinsics = np.repeat(both[1].intrinsics[np.newaxis], 24, axis=0)
    same = signatures["lift_camera"](**given | {"intrinsics": tf.constant(intrinsics)})
    np.testing.assert_array_equal(without["root_relative_pose"], same["root_relative_pose"])


def test_an_export_has_the_new_layer(whole, tmp_path):
    layer = last_layer.LastLayer(whole)
    layer.write(adaptation.mixed(layer.weights, MIX), {}, tmp_path / "1")
    tflite.write(inference.load_model(tmp_path / "1"), tmp_path / "lifter.tflite")
    lifter = tf.lite.Interpreter(str(tmp_path / "lifter.tflite"))
    found = lifter.get_signature_runner(tflite.SIGNATURE)(**served_views.inputs())
    expected = mixed(lift(whole).root_relative_pose)
    np.testing.assert_allclose(found["root_relative_pose"], expected, atol=ROUNDED)


def test_notes_stand_beside_what_the_model_was(both):
    first, second = (model.description for model in both)
    # Mixes are of the old layer; the shipped model has some.
    kept = {name: value for name, value in first.items() if name != model_files.JOINT_MIXES}
    assert (kept != first) == (both[0].path.parts[-1] == "studio")
    assert second == kept | {"adapted": {"source": "rig"}}
    assert (both[1].path / "assets.extra" / "tf_serving_warmup_requests").is_file()


def test_what_can_be_trained_on_has_the_new_layer(both):
    if both[0].path.parts[-1] == "studio":
        assert not any((both[1].path / lifters.FOLDER).glob("*.h5"))
        return
    lifter, _ = lifters.load(both[1].path / lifters.FOLDER, objectives.TransformReprojection())
    found = served_views.lifted(lifter, served_views.inputs())["pose_camera"]
    np.testing.assert_allclose(found, lift(both[1]).pose_camera, atol=1e-4)


def test_the_model_that_it_starts_from_stays_as_it_was(both):
    again = inference.load_model(both[0].path)
    np.testing.assert_array_equal(lift(again).root_relative_pose, lift(both[0]).root_relative_pose)


def test_nothing_is_overwritten(whole, tmp_path):
    layer = last_layer.LastLayer(whole)
    with pytest.raises(FileExistsError, match="is there already"):
        layer.write(layer.weights, {}, tmp_path)


def test_a_model_of_windows_is_refused(tmp_path):
    temporal_networks.save(tmp_path / "1")
    with pytest.raises(ValueError, match=r"`model` must be one of single frames.*windows"):
        last_layer.LastLayer(inference.load_model(tmp_path / "1"))
