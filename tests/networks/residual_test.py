import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.networks import residual

SMALL = {"width": 16, "num_blocks": 2}
RAYS = np.random.default_rng(0).normal(0.0, 0.2, (64, 17, 2)).astype(np.float32)


def build(num_outputs=51, seed=0, **options):
    return residual.residual(num_outputs, name="net", seed=seed, **(SMALL | options))


def count(model, kind):
    return sum(isinstance(layer, kind) for layer in model.layers)


@pytest.mark.parametrize(("num_blocks", "layers_per_block"), [(4, 2), (2, 2), (0, 2), (3, 1)])
def test_it_has_the_layers_of_its_blocks(num_blocks, layers_per_block):
    model = build(num_blocks=num_blocks, layers_per_block=layers_per_block)
    hidden = 1 + num_blocks * layers_per_block
    assert count(model, keras.layers.Dense) == hidden + 1
    for kind in (keras.layers.BatchNormalization, keras.layers.ReLU, residual.Dropout):
        assert count(model, kind) == hidden
    assert count(model, keras.layers.Add) == num_blocks


def test_by_default_it_is_the_papers():
    model = residual.residual(51, name="lifting_network", seed=0)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    # 34 numbers in, then four blocks of two layers of 1024, then 17 joints.
    assert [layer.units for layer in dense] == [1024] * 9 + [51]
    assert dense[0].input_shape == (None, 34)
    assert model.name == "lifting_network"
    assert residual.NUM_BLOCKS == {"paper": 4, "res_linear": 2}
    assert {*residual.NUM_BLOCKS, configs.TEMPORAL} == set(configs.BACKBONES)


@pytest.mark.parametrize("num_outputs", [3, 51])
@pytest.mark.parametrize("batch", [1, 5, 0])
def test_it_maps_rays_of_any_batch_to_its_outputs(num_outputs, batch):
    assert build(num_outputs)(RAYS[:batch]).shape == (batch, num_outputs)


def test_other_numbers_of_joints_are_possible():
    assert build(num_joints=14)(RAYS[:, :14]).shape == (64, 51)


def test_it_starts_near_zero():
    for seed in range(3):
        model = build(seed=seed, width=256, num_blocks=4)
        for training in (False, True):
            outputs = model(RAYS, training=training)
            assert 0 < np.abs(outputs).max() < 1.0
            assert np.abs(outputs).mean() < 0.15


@pytest.mark.parametrize("initializer", configs.INITIALIZERS)
def test_dense_layers_start_as_asked(initializer):
    model = build(width=256, num_blocks=1, initializer=initializer)
    (kernel, _) = (w for w in model.get_weights() if w.shape == (256, 256))
    # He: a variance of 2 / 256; Glorot: of 2 / 512. A uniform one ends at sqrt(3) deviations.
    # Of PyTorch's: 1 / sqrt(256), over sqrt(3) as of anything uniform.
    variance = {"he": 2 / 256, "gl": 2 / 512, "fa": 1 / (3 * 256)}[initializer[:2]]
    stddev = np.sqrt(variance)
    np.testing.assert_allclose(kernel.std(), stddev, rtol=0.02)
    assert (np.abs(kernel).max() < 1.75 * stddev) == initializer.endswith("uniform")


def test_the_last_layer_starts_as_spread_as_asked():
    for stddev in (0.002, 0.1):
        kernel = build(width=256, output_stddev=stddev).layers[-1].get_weights()[0]
        np.testing.assert_allclose(kernel.std(), stddev, rtol=0.03)
    assert (build(output_stddev=0.0)(RAYS).numpy() == 0).all()


def test_a_blocks_input_is_added_to_its_output():
    model = build(num_blocks=1, layers_per_block=1, dropout=0.0)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    # A block that adds nothing passes on what it gets.
    dense[1].set_weights([np.zeros((16, 16)), np.zeros(16)])
    (add,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Add))
    passed = keras.Model(model.input, [add.output, add.input[1]])(RAYS)
    np.testing.assert_array_equal(*passed)


def test_the_same_seed_gives_the_same_network_and_another_another():
    first, again, other = (build(seed=seed) for seed in (3, 3, 4))
    for weights, expected in zip(again.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)
    np.testing.assert_array_equal(first(RAYS, training=True), again(RAYS, training=True))
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


def test_no_two_layers_start_alike():
    model = build(num_blocks=2, dropout=0.5)
    kernels = [w for w in model.get_weights() if w.shape == (16, 16)]
    assert len({kernel.tobytes() for kernel in kernels}) == 4
    drops = [layer for layer in model.layers if isinstance(layer, residual.Dropout)]
    assert len({layer.seed for layer in drops}) == 5


def test_dropout_is_the_share_asked_for():
    model = build(dropout=0.4)
    rates = {layer.rate for layer in model.layers if isinstance(layer, residual.Dropout)}
    assert rates == {0.4}
    assert not np.array_equal(model(RAYS, training=True), model(RAYS, training=True))
    np.testing.assert_array_equal(model(RAYS), model(RAYS))


def test_it_survives_config_and_file(tmp_path):
    model = build()
    again = keras.Model.from_config(model.get_config())
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(RAYS), model(RAYS))


def test_fit_lowers_the_loss():
    model = build(width=32, dropout=0.1)
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    poses = tf.concat([RAYS, RAYS[..., :1]], axis=-1)
    losses = model.fit(RAYS, tf.reshape(poses, (64, 51)), epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
