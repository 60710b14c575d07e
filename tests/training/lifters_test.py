import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import view_windows
from keras_mvlift.networks import residual, temporal
from keras_mvlift.training import lifters, multi_view_lifter, objectives
from tests import tiny_studio

MODEL = {"backbone": "res_linear", "width": 8, "layers_per_block": 1, "dropout": 0.5}
OBJECTIVE = objectives.TransformReprojection()
RAYS = np.random.default_rng(0).normal(0, 0.2, (4, 17, 2)).astype(np.float32)


def build(rig_distance=5.0, **model):
    return lifters.build(configs.ModelConfig(**MODEL | model), OBJECTIVE, rig_distance)


def layers(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


@pytest.mark.parametrize(
    ("backbone", "layers_per_block", "num_layers"),
    # One in, one out, and between them four or two blocks.
    [("paper", 2, 1 + 4 * 2 + 1), ("paper", 1, 1 + 4 * 1 + 1), ("res_linear", 2, 1 + 2 * 2 + 1)],
)
def test_both_networks_have_the_backbone_of_the_config(backbone, layers_per_block, num_layers):
    lifter = build(backbone=backbone, layers_per_block=layers_per_block, width=9)
    for network, num_outputs in ((lifter.lifting_network, 51), (lifter.root_network, 3)):
        units = [layer.units for layer in layers(network, keras.layers.Dense)]
        assert units == [9] * (num_layers - 1) + [num_outputs]
        assert {layer.rate for layer in layers(network, residual.Dropout)} == {0.5}


@pytest.mark.parametrize("recipe", configs.RECIPES)
def test_the_recipe_of_the_config_decides_root_head_and_join(recipe):
    lifter = build(recipe=recipe, rig_distance=3.5)
    assert getattr(lifter.root_head, "rig_distance", None) == (None if recipe == "paper" else 3.5)
    assert lifter.objective is OBJECTIVE
    assert lifter.recipe is multi_view_lifter.RECIPES[recipe]


def starts(seed):
    """What each network begins with that is drawn: its kernels, and the states of its masks."""
    lifter = build(seed=seed)
    for network in (lifter.lifting_network, lifter.root_network):
        kernels = [layer.kernel for layer in layers(network, keras.layers.Dense)]
        masks = [layer.generator.state for layer in layers(network, residual.Dropout)]
        yield [value.numpy() for value in (*kernels, *masks)]


def test_nothing_starts_like_anything_else_whatever_the_seeds_and_networks():
    drawn = [value.tobytes() for seed in range(3) for start in starts(seed) for value in start]
    assert len(set(drawn)) == len(drawn) == 3 * 2 * (4 + 3)


def test_the_lifting_networks_variables_come_first():
    lifter = build()
    expected = [*lifter.lifting_network.variables, *lifter.root_network.variables]
    assert [*map(id, lifters.weights_of(lifter))] == [*map(id, expected)]


def description(**model):
    config = configs.ModelConfig(**MODEL | model)
    return {"model": json.loads(config.to_json()), "rig_distance": 3.5, "note": "told"}


@pytest.mark.parametrize("recipe", configs.RECIPES)
def test_a_saved_model_comes_back_as_it_was(tmp_path, recipe):
    lifter = build(recipe=recipe, rig_distance=3.5)
    for weight in lifters.weights_of(lifter):
        weight.assign_add(tf.random.stateless_uniform(weight.shape, [1, 2]))
    lifters.save(lifter, description(recipe=recipe), tmp_path / "new" / "folder")
    again, about = lifters.load(tmp_path / "new" / "folder", objectives.Consistency())
    has_free_root = recipe != "solved_root"
    assert about == description(recipe=recipe) | {"has_free_root": has_free_root}
    assert again.objective == objectives.Consistency()
    assert again.recipe is lifter.recipe
    assert tiny_studio.same(tiny_studio.weights(again), tiny_studio.weights(lifter))
    for network in ("lifting_network", "root_network"):
        outputs = [getattr(one, network)(RAYS) for one in (again, lifter)]
        np.testing.assert_array_equal(*outputs)
    heads = [one.root_head((tf.ones([4, 3]), RAYS)) for one in (again, lifter)]
    np.testing.assert_array_equal(*heads)


def test_the_description_is_json_that_people_can_read(tmp_path):
    lifters.save(build(), description(), tmp_path)
    text = (tmp_path / lifters.DESCRIPTION).read_text()
    expected = description() | {"has_free_root": False}
    assert json.loads(text) == expected
    assert text == json.dumps(expected, indent=2, sort_keys=True) + "\n"


@pytest.mark.parametrize("recipe", ["paper", "ray_root"])
def test_a_model_whose_root_joint_was_pinned_is_refused(tmp_path, recipe):
    lifters.save(build(recipe=recipe), description(recipe=recipe), tmp_path)
    path = tmp_path / lifters.DESCRIPTION
    path.write_text(json.dumps(description(recipe=recipe)))
    rule = rf"model\.json: `has_free_root` must be true for recipe '{recipe}'. Received: None"
    with pytest.raises(ValueError, match=rule):
        lifters.load(tmp_path, OBJECTIVE)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"model\.json: no model of keras_mvlift lies there"
    ):
        lifters.load(tmp_path, OBJECTIVE)


@pytest.mark.parametrize("recipe", configs.RECIPES)
def test_networks_and_root_head_come_back_from_their_configs(recipe):
    lifter = build(recipe=recipe, rig_distance=3.5)
    for network in (lifter.lifting_network, lifter.root_network):
        again = keras.Model.from_config(network.get_config())
        assert again.get_config() == network.get_config()
        again.set_weights(network.get_weights())
        np.testing.assert_array_equal(again(RAYS), network(RAYS))
    head = keras.layers.deserialize(keras.layers.serialize(lifter.root_head))
    assert head.get_config() == lifter.root_head.get_config()
    outputs = tf.ones([4, 3])
    np.testing.assert_array_equal(head((outputs, RAYS)), lifter.root_head((outputs, RAYS)))


def test_networks_that_see_the_screen_keep_the_mean_camera(tmp_path):
    config = configs.ModelConfig(**MODEL, network_input="screen")
    intrinsics = tiny_studio.INTRINSICS.tolist()
    lifter = lifters.build(config, OBJECTIVE, 3.5, intrinsics)
    about = description(network_input="screen") | {"intrinsics": intrinsics}
    lifters.save(lifter, about, tmp_path)
    again, _ = lifters.load(tmp_path, OBJECTIVE)
    view = tiny_studio.random_pair().source
    np.testing.assert_array_equal(again(view).root_relative_pose, lifter(view).root_relative_pose)
    other = lifters.build(config, OBJECTIVE, 3.5, 0.5 * tiny_studio.INTRINSICS)
    pose, position = other(view)
    assert np.any(pose != lifter(view).root_relative_pose)
    # What the networks see has twice the size now; the root is still near its ray.
    np.testing.assert_allclose(position[:, :2] / position[:, 2:], view.rays[:, 0], atol=0.1)


TEMPORAL = {"backbone": "temporal_dilated", "filter_widths": (3, 5), "is_causal": True}


def test_temporal_networks_have_the_filters_of_the_config():
    lifter = build(**TEMPORAL, frame_step=2)
    for network, num_outputs in ((lifter.lifting_network, 51), (lifter.root_network, 3)):
        assert (temporal.filter_widths(network), temporal.is_causal(network)) == ((3, 5), True)
        assert network.input_shape == (None, 15, 17, 2)
        units = [layer.units for layer in layers(network, keras.layers.Dense)]
        assert units == [8] * 3 + [num_outputs]
        assert {layer.rate for layer in layers(network, residual.Dropout)} == {0.5}
    config = configs.ModelConfig(**MODEL | TEMPORAL, frame_step=2)
    assert lifters.window_of(config) == view_windows.Windows(15, is_causal=True, step=2)
    assert lifters.window_of(configs.ModelConfig()) is None
    assert lifters.window_of(configs.ModelConfig(backbone="temporal_dilated")).num_frames == 243


def test_a_saved_temporal_model_comes_back_as_it_was(tmp_path):
    lifter = build(**TEMPORAL)
    for weight in lifters.weights_of(lifter):
        weight.assign_add(tf.random.stateless_uniform(weight.shape, [1, 2]))
    lifters.save(lifter, description(**TEMPORAL), tmp_path)
    again, _ = lifters.load(tmp_path, OBJECTIVE)
    seen = tf.random.stateless_uniform([2, 15, 17, 2], [3, 4])
    np.testing.assert_array_equal(again.lifting_network(seen), lifter.lifting_network(seen))
    assert again.network_input is residual.window_input


def test_copied_weights_give_the_same_poses_and_stay_apart():
    source, target = build(), build()
    first = source.lifting_network.trainable_variables[0]
    first.assign_add(tf.ones_like(first))
    lifters.copy_weights(source, target)
    for copied, given in zip(lifters.weights_of(target), lifters.weights_of(source), strict=True):
        np.testing.assert_array_equal(copied, given)
    copied = lifters.weights_of(target)[0].numpy()
    first.assign_add(tf.ones_like(first))
    np.testing.assert_array_equal(lifters.weights_of(target)[0], copied)


def test_weights_of_other_networks_are_refused():
    with pytest.raises(ValueError, match="shape"):
        lifters.copy_weights(build(), build(width=9))


def in_half(backbone="res_linear", **model):
    if backbone == configs.TEMPORAL:
        model |= {"filter_widths": (3, 3)}
    config = configs.ModelConfig(**MODEL | {"backbone": backbone} | model)
    return [
        lifters.build(config, OBJECTIVE, 5.0, precision=precision)
        for precision in ("mixed_bfloat16", "float32")
    ]


@pytest.mark.parametrize("backbone", configs.BACKBONES)
def test_layers_in_half_precision_learn_in_single(backbone):
    lifter, exact = in_half(backbone)
    assert keras.mixed_precision.global_policy().name == "float32"
    for network, other in (
        (lifter.lifting_network, exact.lifting_network),
        (lifter.root_network, exact.root_network),
    ):
        assert {weight.dtype for weight in network.trainable_variables} == {tf.float32}
        dense = [layer.compute_dtype for layer in layers(network, keras.layers.Dense)]
        # What comes in is told apart by less than half precision holds, and what goes out.
        assert [dense[0], dense[-1]] == ["float32", "float32"]
        assert set(dense[1:-1]) == {"bfloat16"}
        shape = [4, *network.input_shape[1:]]
        seen = tf.random.stateless_normal(shape, [0, 0], stddev=0.2)
        found, expected = network(seen), other(seen)
        assert found.dtype == tf.float32
        scale = np.abs(expected).max()
        assert 0 < np.abs(found - expected).max() < 0.03 * scale


def test_weights_learned_in_half_precision_are_read_in_any(tmp_path):
    lifter, _ = in_half()
    lifters.save(lifter, description(), tmp_path)
    exact, _ = lifters.load(tmp_path, OBJECTIVE)
    half, _ = lifters.load(tmp_path, OBJECTIVE, precision="mixed_bfloat16")
    for loaded, dtype in ((exact, "float32"), (half, "bfloat16")):
        assert tiny_studio.same(tiny_studio.weights(loaded), tiny_studio.weights(lifter))
        assert layers(loaded.lifting_network, keras.layers.ReLU)[-1].compute_dtype == dtype


def test_other_precisions_are_refused():
    with pytest.raises(ValueError, match=r"`precision` must be one of .*Received: 'float16'"):
        lifters.build(configs.ModelConfig(**MODEL), OBJECTIVE, 5.0, precision="float16")
