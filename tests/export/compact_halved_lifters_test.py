import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs, inference
from keras_mvlift.export import compact, saved_model
from keras_mvlift.networks import folded
from keras_mvlift.training import lifters, objectives
from tests import tiny_studio
from tests.export import served_views

# Meters, of poses several times the size of people.
TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "1"
    return served_views.saved(folder, layers_per_block=2), folder


@pytest.fixture(scope="module")
def half(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("half") / "1"
    about = json.loads((whole[1] / lifters.FOLDER / lifters.DESCRIPTION).read_text())
    about = {name: about[name] for name in ("model", "rig_distance", "intrinsics")}
    saved_model.save(whole[0], about, folder, half_precision=True)
    return folder


def test_every_signature_gives_what_the_whole_model_gives(whole, half):
    given = {name: tf.constant(value) for name, value in served_views.inputs().items()}
    model = tf.saved_model.load(str(half))
    assert {*model.signatures} == {*saved_model.SIGNATURES}
    found = {name: x.numpy() for name, x in model.signatures["lift_camera"](**given).items()}
    apart = served_views.differences(found, served_views.lifted(whole[0], given))
    # Rounded, and not by more.
    assert all(1e-7 < difference < TOLERANCE for difference in apart.values()), apart


@pytest.mark.parametrize("size", [1, 5])
def test_it_is_loaded_like_any_model(whole, half, size):
    given = served_views.first(served_views.inputs(), size)
    camera = given.pop("intrinsics")
    first, second = (
        inference.load_model(folder).lift(**given, camera=camera) for folder in (whole[1], half)
    )
    np.testing.assert_allclose(second.pose_camera, first.pose_camera, atol=TOLERANCE)


def test_weights_take_two_bytes_each_in_both_forms(whole, half):
    numbers = sum(
        np.prod(weight.shape)
        for network in (whole[0].lifting_network, whole[0].root_network)
        for layer in network.layers
        for weight in layer.weights[:2]
        if "dense" in layer.name
    )
    variables = sum(path.stat().st_size for path in half.glob("variables/*.data*"))
    assert 2 * numbers < variables < 2 * numbers + 10_000
    arrays = sum(path.stat().st_size for path in half.glob(f"{lifters.FOLDER}/*.npz"))
    assert 2 * numbers < arrays < 2 * numbers + 20_000
    assert not [*half.rglob("*.h5")]


def test_rounded_weights_cannot_be_trained(whole):
    network = folded.FoldedResidual(whole[0].lifting_network, tf.float16)
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
