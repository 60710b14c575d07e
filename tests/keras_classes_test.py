"""What Keras wants of all that it saves: the same tests for every class and network of ours."""

import functools
import pathlib
import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import keras_mvlift
from keras_mvlift.experiments import adversarial
from keras_mvlift.metrics import pose_error
from keras_mvlift.networks import residual, temporal
from keras_mvlift.training import uncertainty
from tests import temporal_networks

ROOT_INPUTS = [(3,), (17, 2)]
# Each with arguments that are not its defaults, and the shapes of what one example of it takes.
LAYERS = [
    (residual.BatchNormalization(momentum=0.7, epsilon=1e-2), [(3,)]),
    (residual.Dropout(0.3, seed=7), [(3,)]),
    (residual.LinearRoot(), ROOT_INPUTS),
    (residual.RayRoot(3.5), ROOT_INPUTS),
    (temporal.StackFrames(3, stride=2, dilation=2), [(9, 4)]),
    (temporal.PickFrame(1, 3), [(9, 6)]),
    (temporal.ReplicateEdges(2, 5), [(9, 4)]),
]
# With what each says of a pose of three joints that are off by 0, 49 and 200 mm along one axis.
METRICS = [
    # 49 mm is nearer than 21 of the 31 thresholds: 50, 55, ..., 150.
    (functools.partial(pose_error.PCK, threshold_mm=50, joints=(1,)), 100),
    (functools.partial(pose_error.PCK, threshold_mm=48, joints=(1,)), 0),
    (functools.partial(pose_error.AUC3D, joints=(1,), name="area"), 2100 / 31),
    (functools.partial(pose_error.MPJPE, name="error"), (49 + 200) / 3),
    (functools.partial(pose_error.NMPJPE, name="error"), 0),
    (functools.partial(pose_error.PMPJPE, name="error"), 0),
]
SMALL_RESIDUAL: dict[str, Any] = {"name": "n", "width": 16, "num_blocks": 2}
SMALL_TEMPORAL: dict[str, Any] = {"name": "n", "width": 16, "filter_widths": (3, 3)}
BACKBONES = {
    "residual": lambda **options: residual.residual(3, **SMALL_RESIDUAL | options),
    "temporal": lambda **options: temporal.temporal(3, **SMALL_TEMPORAL | options),
}
NETWORKS = {
    "residual": lambda seed: BACKBONES["residual"](seed=seed),
    "temporal": lambda seed: BACKBONES["temporal"](seed=seed, is_causal=True),
    "temporal of clips": lambda seed: temporal.dilated(
        temporal_networks.trained(3, seed, filter_widths=(3, 3), is_causal=True)
    ),
    "joint_scales": lambda seed: uncertainty.joint_scales(name="n", seed=seed, width=16),
    "critic": lambda seed: adversarial.critic(seed=seed, width=16),
}


def named(each):
    """Returns the name of a layer, or of the class of a metric that is yet to be made."""
    return getattr(each, "name", "") or getattr(getattr(each, "func", None), "__name__", "")


EACH_LAYER = pytest.mark.parametrize(("layer", "shapes"), LAYERS, ids=named)
EACH_NETWORK = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
EACH_BACKBONE = pytest.mark.parametrize("build", BACKBONES.values(), ids=BACKBONES)


def drawn(shapes):
    """Draws inputs of 5 examples; clips of any length get 9 frames."""
    rng = np.random.default_rng(0)
    filled = [[9 if size is None else size for size in shape] for shape in shapes]
    inputs = [tf.constant(rng.normal(0, 0.3, (5, *shape)), tf.float32) for shape in filled]
    return inputs[0] if len(inputs) == 1 else inputs


def inputs_of(model):
    return drawn([each.shape[1:] for each in model.inputs])


def assert_saved_as_it_is(model, folder):
    """Trains statistics a step, saves, loads, and compares outputs."""
    inputs = inputs_of(model)
    model(inputs, training=True)
    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


def test_every_registered_class_is_among_them():
    root = pathlib.Path(keras_mvlift.__file__).parent
    registered = r"register_keras_serializable\(.*\)\nclass (\w+)"
    texts = [path.read_text() for path in root.rglob("*.py")]
    found = {name for text in texts for name in re.findall(registered, text)}
    layers = {type(layer).__name__ for layer, _ in LAYERS}
    assert found == layers | {metric.func.__name__ for metric, _ in METRICS}


@pytest.mark.parametrize("each", [each for each, _ in [*LAYERS, *METRICS]], ids=named)
def test_it_survives_its_config(each):
    each = each() if isinstance(each, functools.partial) else each
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(each))
    assert type(again) is type(each)
    assert again.get_config() == each.get_config()


@pytest.mark.parametrize(("metric", "expected"), METRICS, ids=named)
def test_a_metric_of_its_config_measures_the_same(metric, expected):
    again = metric.func.from_config(metric().get_config())
    pose_true = np.zeros((1, 3, 3), np.float32)
    pose_pred = pose_true.copy()
    pose_pred[0, :, 0] = [0, 0.049, 0.2]
    again.update_state(pose_true, pose_pred)
    np.testing.assert_allclose(again.result(), expected, rtol=1e-6, atol=1e-4)


@EACH_LAYER
def test_a_saved_layer_gives_the_same_output(layer, shapes, tmp_path):
    inputs = [keras.Input(shape) for shape in shapes]
    outputs = layer(inputs[0] if len(inputs) == 1 else inputs)
    assert_saved_as_it_is(keras.Model(inputs, outputs), tmp_path)


# Of the others the weights alone are saved: see uncertainty_test and runs_test.
@pytest.mark.parametrize("name", sorted({*NETWORKS} - {"joint_scales", "critic"}))
def test_a_saved_network_gives_the_same_output(name, tmp_path):
    assert_saved_as_it_is(NETWORKS[name](0), tmp_path)


@EACH_NETWORK
def test_a_network_is_decided_by_its_seed(build):
    first, again, other = (build(seed) for seed in (3, 3, 4))
    inputs = inputs_of(first)
    np.testing.assert_array_equal(first(inputs, training=True), again(inputs, training=True))
    for weight, expected in zip(again.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_but_the_critic_norms_by_the_defaults_of_the_papers_framework(name):
    layers = NETWORKS[name](0).layers
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    found = {(layer.momentum, layer.epsilon) for layer in norms}
    assert found == (set() if name == "critic" else {(0.9, 1e-5)})


@EACH_NETWORK
def test_a_step_reaches_every_layer(build):
    model = build(0)
    with tf.GradientTape() as tape:
        outputs = model(inputs_of(model), training=True)
        loss = tf.reduce_sum(tf.sin(outputs))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    kernels = [
        gradient
        for gradient, weight in zip(gradients, model.trainable_variables, strict=True)
        if "kernel" in weight.name
    ]
    assert len(kernels) > 2
    assert all(np.abs(kernel).max() > 0 for kernel in kernels)


@EACH_BACKBONE
def test_a_backbone_starts_near_zero(build):
    model = build(seed=0, width=256)
    for training in (False, True):
        outputs = model(inputs_of(model), training=training)
        assert 0 < np.abs(outputs).max() < 1.0
        assert np.abs(outputs).mean() < 0.15
    assert (build(seed=0, output_stddev=0.0)(inputs_of(model)).numpy() == 0).all()


@EACH_BACKBONE
def test_no_two_layers_start_alike_and_all_drop_the_share_asked_for(build):
    model = build(seed=3, dropout=0.4)
    dense, drops = (
        [layer for layer in model.layers if isinstance(layer, kind)]
        for kind in (keras.layers.Dense, residual.Dropout)
    )
    kernels = [layer.kernel.numpy()[:16, :3].tobytes() for layer in dense]
    assert len(set(kernels)) == len(kernels) > 3
    assert len({layer.seed for layer in drops}) == len(drops) > 2
    assert {layer.rate for layer in drops} == {0.4}
    inputs = inputs_of(model)
    assert not np.array_equal(model(inputs, training=True), model(inputs, training=True))
    np.testing.assert_array_equal(model(inputs), model(inputs))
