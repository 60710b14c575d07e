import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs, inference, trained_models
from keras_mvlift.export import compact, saved_model, tflite
from keras_mvlift.networks import residual
from keras_mvlift.training import adaptation, lifters, objectives
from tests import temporal_networks, tiny_studio
from tests.export import served_views


@pytest.mark.parametrize("network_input", ["rays", "centered"])
@pytest.mark.parametrize("recipe", ["paper", "solved_root"])
def test_a_folded_model_lifts_alike(recipe, network_input):
    lifter = tiny_studio.trained(recipe=recipe, network_input=network_input)
    view = tiny_studio.random_pair().source
    found, expected = compact.fold(lifter)(view), lifter(view)
    assert np.abs(expected.root_relative_pose).max() > 0.1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)


def test_weights_are_kept_by_the_names_of_the_networks():
    lifter = tiny_studio.trained()
    weights = saved_model.ServingModule(lifter, tiny_studio.INTRINSICS).folded
    assert [*weights] == [lifter.lifting_network.name, lifter.root_network.name]
    assert [len(arrays) for arrays in weights.values()] == [8, 8]
    assert weights["root_network"][-1].shape == (3,)
    assert all(isinstance(weight, tf.Variable) for weight in weights["lifting_network"])


def test_the_notes_tell_how_to_use_them():
    notes = compact.notes(tiny_studio.lifter(), "rays")
    numbers = {"a": 0.7, "b": 0.1, "z_rig": tiny_studio.RIG_DISTANCE}
    expected = {"layers_per_block": 1, "network_input": "rays", "root": numbers}
    assert notes == expected | {"has_free_root": False}
    of_paper = compact.notes(tiny_studio.lifter("paper"), "screen")
    assert (of_paper["root"], of_paper["has_free_root"]) == ({}, True)


@pytest.mark.parametrize("is_causal", [False, True])
def test_folded_layers_give_what_the_network_gives(is_causal):
    model = temporal_networks.trained(is_causal=is_causal)
    arrays = compact.fold_temporal(model)
    windows = temporal_networks.clip(45, 4)

    def layer(x, number):
        return np.maximum(x @ arrays[f"kernel_{number}"] + arrays[f"bias_{number}"], 0)

    x = layer(windows.reshape(4, 15, 3 * 34), 0)
    for block, size in ((1, 5), (2, 3)):
        taps = x.reshape(4, -1, size, 16)
        shortcut = taps[:, :, -1 if is_causal else size // 2]
        stacked = taps.reshape(4, -1, size * 16)
        x = shortcut + layer(layer(stacked, 2 * block - 1), 2 * block)
    outputs = x[:, 0] @ arrays["kernel_outputs"] + arrays["bias_outputs"]
    np.testing.assert_allclose(outputs, model(windows), atol=1e-5)


@pytest.mark.parametrize("is_causal", [False, True])
def test_they_say_what_network_it_is(is_causal):
    arrays = compact.fold_temporal(temporal_networks.trained(is_causal=is_causal))
    assert arrays["filter_widths"].tolist() == [3, 5, 3]
    assert bool(arrays["is_causal"]) is is_causal


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
    layer = compact.LastLayer(model)
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
    layer = compact.LastLayer(model)
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
    signatures = trained_models.open_model(both[1].path).signatures
    assert {*signatures} == {*trained_models.open_model(both[0].path).signatures}
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
    layer = compact.LastLayer(whole)
    layer.write(adaptation.mixed(layer.weights, MIX), {}, tmp_path / "1")
    tflite.write(inference.load_model(tmp_path / "1"), tmp_path / "lifter.tflite")
    lifter = tf.lite.Interpreter(str(tmp_path / "lifter.tflite"))
    found = lifter.get_signature_runner(tflite.SIGNATURE)(**served_views.inputs())
    expected = mixed(lift(whole).root_relative_pose)
    np.testing.assert_allclose(found["root_relative_pose"], expected, atol=ROUNDED)


def test_notes_stand_beside_what_the_model_was(both):
    first, second = (model.description for model in both)
    # Mixes are of the old layer; the shipped model has some.
    kept = {name: value for name, value in first.items() if name != trained_models.JOINT_MIXES}
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
    layer = compact.LastLayer(whole)
    with pytest.raises(FileExistsError, match="is there already"):
        layer.write(layer.weights, {}, tmp_path)


def test_a_model_of_windows_is_refused(tmp_path):
    temporal_networks.save(tmp_path / "1")
    with pytest.raises(ValueError, match=r"`model` must be one of single frames.*windows"):
        compact.LastLayer(inference.load_model(tmp_path / "1"))


SHAPES = [(4, 2), (2, 1), (1, 3)]


def trained(num_blocks, layers_per_block):
    """Builds a network of which weights and statistics are any numbers."""
    model = residual.residual(
        51,
        name="net",
        seed=0,
        width=16,
        num_blocks=num_blocks,
        layers_per_block=layers_per_block,
        output_stddev=0.1,
    )
    for seed, variable in enumerate(model.variables):
        if variable.dtype.is_floating:
            low = 0.5 if "variance" in variable.name or "gamma" in variable.name else -0.1
            noise = tf.random.stateless_uniform(variable.shape, [seed, 0], low, low + 0.2)
            variable.assign_add(noise)
    return model


def joints(num_views):
    return np.random.default_rng(0).normal(0.0, 0.3, (num_views, 17, 2)).astype(np.float32)


@pytest.mark.parametrize(("num_blocks", "layers_per_block"), SHAPES)
def test_it_gives_what_the_network_gives(num_blocks, layers_per_block):
    model = trained(num_blocks, layers_per_block)
    folded = compact.FoldedResidual(model)
    assert folded.layers_per_block == layers_per_block
    expected = model(joints(5)).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(folded(joints(5)), expected, rtol=1e-4, atol=1e-5)


def test_no_batch_norm_is_left():
    folded = compact.FoldedResidual(trained(2, 1))
    shapes = [tuple(weight.shape) for weight in folded.weights]
    square = [(16, 16), (16,)]
    assert shapes == [(34, 16), (16,), *square, *square, (16, 51), (51,)]
    graph = tf.function(folded).get_concrete_function(tf.TensorSpec([None, 17, 2])).graph
    operations = {operation.type for operation in graph.get_operations()}
    assert not {"Rsqrt", "Sub", "Mul"} & operations


def test_it_does_not_train():
    with pytest.raises(ValueError, match="`training` must be False"):
        compact.FoldedResidual(trained(2, 1))(joints(1), training=True)


@pytest.mark.parametrize(("num_blocks", "layers_per_block"), SHAPES)
def test_folded_weights_are_put_back_to_be_trained_on(num_blocks, layers_per_block):
    folded = compact.FoldedResidual(trained(num_blocks, layers_per_block))
    again = residual.residual(
        51, name="net", seed=7, width=16, num_blocks=num_blocks, layers_per_block=layers_per_block
    )
    compact.unfold(again, [weight.numpy() for weight in folded.weights])
    np.testing.assert_allclose(again(joints(5)), folded(joints(5)), rtol=1e-4, atol=1e-5)
    # Nothing is lost by folding it anew.
    for one, other in zip(compact.FoldedResidual(again).weights, folded.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_batch_norms_that_saw_what_is_trained_on_change_little_in_training():
    folded = compact.FoldedResidual(trained(2, 2))
    weights = [weight.numpy() for weight in folded.weights]
    seen, expected = joints(200), folded(joints(200)).numpy()
    shape = {"width": 16, "num_blocks": 2, "layers_per_block": 2, "dropout": 0.0}
    blind, again = (residual.residual(51, name="net", seed=7, **shape) for _ in range(2))
    compact.unfold(blind, weights)
    compact.unfold(again, weights, seen)
    np.testing.assert_allclose(again(seen), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again(seen, training=True), expected, rtol=1e-3, atol=1e-4)
    assert np.abs(blind(seen, training=True) - expected).max() > 0.5


# Meters, of poses several times the size of people.
TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def whole_lifters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "1"
    return served_views.saved(folder, layers_per_block=2), folder


@pytest.fixture(scope="module")
def half(whole_lifters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("half") / "1"
    about = json.loads((whole_lifters[1] / lifters.FOLDER / lifters.DESCRIPTION).read_text())
    about = {name: about[name] for name in ("model", "rig_distance", "intrinsics")}
    saved_model.save(whole_lifters[0], about, folder, half_precision=True)
    return folder


def test_every_signature_gives_what_the_whole_model_gives(whole_lifters, half):
    given = {name: tf.constant(value) for name, value in served_views.inputs().items()}
    model = tf.saved_model.load(str(half))
    assert {*model.signatures} == {*saved_model.SIGNATURES}
    found = {name: x.numpy() for name, x in model.signatures["lift_camera"](**given).items()}
    apart = served_views.differences(found, served_views.lifted(whole_lifters[0], given))
    # Rounded, and not by more.
    assert all(1e-7 < difference < TOLERANCE for difference in apart.values()), apart


@pytest.mark.parametrize("size", [1, 5])
def test_it_is_loaded_like_any_model(whole_lifters, half, size):
    given = served_views.first(served_views.inputs(), size)
    camera = given.pop("intrinsics")
    first, second = (
        inference.load_model(folder).lift(**given, camera=camera)
        for folder in (whole_lifters[1], half)
    )
    np.testing.assert_allclose(second.pose_camera, first.pose_camera, atol=TOLERANCE)


def test_weights_take_two_bytes_each_in_both_forms(whole_lifters, half):
    numbers = sum(
        np.prod(weight.shape)
        for network in (whole_lifters[0].lifting_network, whole_lifters[0].root_network)
        for layer in network.layers
        for weight in layer.weights[:2]
        if "dense" in layer.name
    )
    variables = sum(path.stat().st_size for path in half.glob("variables/*.data*"))
    assert 2 * numbers < variables < 2 * numbers + 10_000
    arrays = sum(path.stat().st_size for path in half.glob(f"{lifters.FOLDER}/*.npz"))
    assert 2 * numbers < arrays < 2 * numbers + 20_000
    assert not [*half.rglob("*.h5")]


def test_rounded_weights_cannot_be_trained(whole_lifters):
    network = compact.FoldedResidual(whole_lifters[0].lifting_network, tf.float16)
    with pytest.raises(ValueError, match=r"`training` must be False: .* Received: True"):
        network(tf.zeros([1, 17, 2]), training=True)
    assert network.trainable_variables == ()


def test_it_is_reopened_and_saved_anew_without_a_change(half, tmp_path):
    model = inference.load_model(half)
    lifter = compact.reopened(model, objectives.TransformReprojection())
    assert lifter.lifting_network.trainable_variables
    about = {name: value for name, value in model.description.items() if name != "folded"}
    saved_model.save(lifter, about, tmp_path / "2", half_precision=True)
    again = inference.load_model(tmp_path / "2")
    assert again.description == model.description
    given = served_views.first(served_views.inputs(), 5)
    camera = given.pop("intrinsics")
    one, other = (each.lift(**given, camera=camera).pose_camera for each in (model, again))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"uncertainty": True}, "predicts uncertainties"),
        ({"backbone": "temporal_dilated", "filter_widths": (3, 3)}, "sees windows of frames"),
    ],
)
def test_what_cannot_be_halved_is_refused(tmp_path, settings, what):
    lifter = tiny_studio.lifter(**settings)
    config = configs.ModelConfig(**tiny_studio.TINY | settings)
    about = {"model": dataclasses.asdict(config), "rig_distance": 5.0, "intrinsics": np.eye(3)}
    rule = rf"`half_precision` must be False for a model that {what}\. Received: True"
    with pytest.raises(ValueError, match=rule):
        saved_model.save(lifter, about, tmp_path / "1", half_precision=True)
    assert not (tmp_path / "1").exists()
