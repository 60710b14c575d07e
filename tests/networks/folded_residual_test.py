import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.networks import folded as networks_folded
from keras_mvlift.networks import residual

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
    folded = networks_folded.FoldedResidual(model)
    assert folded.layers_per_block == layers_per_block
    expected = model(joints(5)).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(folded(joints(5)), expected, rtol=1e-4, atol=1e-5)


def test_no_batch_norm_is_left():
    folded = networks_folded.FoldedResidual(trained(2, 1))
    shapes = [tuple(weight.shape) for weight in folded.weights]
    square = [(16, 16), (16,)]
    assert shapes == [(34, 16), (16,), *square, *square, (16, 51), (51,)]
    graph = tf.function(folded).get_concrete_function(tf.TensorSpec([None, 17, 2])).graph
    operations = {operation.type for operation in graph.get_operations()}
    assert not {"Rsqrt", "Sub", "Mul"} & operations


def test_it_does_not_train():
    with pytest.raises(ValueError, match="`training` must be False"):
        networks_folded.FoldedResidual(trained(2, 1))(joints(1), training=True)


@pytest.mark.parametrize(("num_blocks", "layers_per_block"), SHAPES)
def test_folded_weights_are_put_back_to_be_trained_on(num_blocks, layers_per_block):
    folded = networks_folded.FoldedResidual(trained(num_blocks, layers_per_block))
    again = residual.residual(
        51, name="net", seed=7, width=16, num_blocks=num_blocks, layers_per_block=layers_per_block
    )
    networks_folded.unfold(again, [weight.numpy() for weight in folded.weights])
    np.testing.assert_allclose(again(joints(5)), folded(joints(5)), rtol=1e-4, atol=1e-5)
    # Nothing is lost by folding it anew.
    for one, other in zip(
        networks_folded.FoldedResidual(again).weights, folded.weights, strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_batch_norms_that_saw_what_is_trained_on_change_little_in_training():
    folded = networks_folded.FoldedResidual(trained(2, 2))
    weights = [weight.numpy() for weight in folded.weights]
    seen, expected = joints(200), folded(joints(200)).numpy()
    shape = {"width": 16, "num_blocks": 2, "layers_per_block": 2, "dropout": 0.0}
    blind, again = (residual.residual(51, name="net", seed=7, **shape) for _ in range(2))
    networks_folded.unfold(blind, weights)
    networks_folded.unfold(again, weights, seen)
    np.testing.assert_allclose(again(seen), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again(seen, training=True), expected, rtol=1e-3, atol=1e-4)
    assert np.abs(blind(seen, training=True) - expected).max() > 0.5
