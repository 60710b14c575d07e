import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.networks import residual, temporal
from keras_mvlift.training import uncertainty

SHAPES = [(64, 8), (16, 5, 8), (2, 8)]


def inputs_of(shape):
    return tf.random.stateless_normal(shape, [0, 1], mean=3.0, stddev=2.0)


def made(kind, shape):
    layer = kind(momentum=0.7, epsilon=1e-2)
    layer.build((None, *shape[1:]))
    gamma, beta = np.random.default_rng(0).normal(size=(2, shape[-1]))
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    return layer


def step(layer, inputs, training=True):
    """The outputs, the gradients of an uneven sum of them, and what was learned."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
        loss = tf.reduce_sum(tf.sin(outputs))
    return outputs, *tape.gradient(loss, [inputs, layer.gamma, layer.beta]), *layer.weights


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_it_norms_and_learns_as_keras_own(shape, training):
    ours, keras_own = (
        made(kind, shape) for kind in (residual.BatchNormalization, keras.layers.BatchNormalization)
    )
    inputs = inputs_of(shape)
    before = ours.moving_mean.numpy()
    for _ in range(3):
        found, expected = (step(layer, inputs, training) for layer in (ours, keras_own))
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
    assert np.array_equal(ours.moving_mean, before) == (not training)


def test_its_defaults_are_those_of_the_papers_framework():
    layer = residual.BatchNormalization()
    assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)


NETWORKS = {
    "residual": lambda: residual.residual(3, name="n", seed=0, width=4, num_blocks=1),
    "temporal": lambda: temporal.temporal(3, name="n", seed=0, width=4, filter_widths=(3, 3)),
    "joint_scales": lambda: uncertainty.joint_scales(name="n", seed=0, width=4),
}


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_every_network_norms_by_them(build):
    norms = [x for x in build().layers if isinstance(x, keras.layers.BatchNormalization)]
    assert norms
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.9, 1e-5)}


def test_training_takes_the_fused_operation():
    layer = made(residual.BatchNormalization, (8, 4))
    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(tf.ones((8, 4)))
    assert "FusedBatchNormV3" in {node.op for node in graph.graph.as_graph_def().node}


def test_over_replicas_it_is_keras_own():
    layer = made(residual.BatchNormalization, (8, 4))
    layer.synchronized, layer.fused = True, False
    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(tf.ones((8, 4)))
    assert "FusedBatchNormV3" not in {node.op for node in graph.graph.as_graph_def().node}


def test_a_batch_of_any_size_keeps_its_shape():
    layer = made(residual.BatchNormalization, (3, 2, 4))
    norm = tf.function(
        lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, None, 4))]
    )
    assert norm(inputs_of((3, 2, 4))).shape == (3, 2, 4)


def test_a_saved_model_gives_the_same_output(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, residual.BatchNormalization()(inputs))
    model(inputs_of((9, 3)), training=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is residual.BatchNormalization
    np.testing.assert_array_equal(again(tf.ones((4, 3))), model(tf.ones((4, 3))))


def test_it_takes_weights_that_keras_own_layer_saved(tmp_path):
    def model(kind):
        inputs = keras.Input((3,))
        return keras.Model(inputs, kind()(inputs))

    first, second = model(keras.layers.BatchNormalization), model(residual.BatchNormalization)
    first(inputs_of((9, 3)), training=True)
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    for mine, other in zip(second.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def seen_poses(seed, num_poses):
    """Draws poses `[N, 17, 3]` that are mixed of a few, and their rays 4 m away, with noise."""
    rng = np.random.default_rng(seed)
    few = 0.3 * np.random.default_rng(0).normal(size=(5, 17, 3))
    pose = np.einsum("nk,kjd->njd", rng.normal(size=(num_poses, 5)), few)
    rays = pose[..., :2] / np.maximum(4.0 + pose[..., 2:], 1.0)
    return (rays + rng.normal(0, 0.01, rays.shape)).astype(np.float32), pose.astype(np.float32)


def refresh(network, rays):
    """Returns every norm the statistics of the weights that the network has now."""
    norms = [x for x in network.layers if isinstance(x, keras.layers.BatchNormalization)]
    former = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    network(rays, training=True)
    for layer, momentum in zip(norms, former, strict=True):
        layer.momentum = momentum


def test_after_a_short_run_the_statistics_are_those_of_the_weights():
    keras.utils.set_random_seed(0)
    network = residual.residual(51, name="n", seed=0, width=64, num_blocks=2, dropout=0.0)
    rays, pose = seen_poses(1, 4096)
    # As a stage does: the rate falls to a tenth behind the fourth of six epochs.
    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 4 * 32, 0.1, staircase=True)
    network.compile(keras.optimizers.legacy.Adam(rate), "mse")
    network.fit(rays, pose.reshape(-1, 51), batch_size=128, epochs=6, verbose=0)
    unseen, expected = seen_poses(2, 2000)

    def error():
        found = np.reshape(network(unseen), expected.shape)
        return np.linalg.norm(found - expected, axis=-1).mean()

    before = error()
    refresh(network, rays)
    # Small beside poses, so that the statistics matter.
    assert before < 0.5 * np.linalg.norm(expected, axis=-1).mean()
    assert abs(error() - before) < 0.02 * before
