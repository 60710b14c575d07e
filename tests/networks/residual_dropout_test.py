import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.networks import residual


def masks(layer, count=1):
    """What is left of ones in `count` steps of training."""
    ones = tf.ones((64, 32))
    return np.stack([layer(ones, training=True) for _ in range(count)])


def made(rate=0.25, seed=0):
    layer = residual.Dropout(rate, seed=seed)
    layer.build((64, 32))
    return layer


def test_it_drops_its_share_and_scales_up_the_rest():
    kept = masks(made(0.25), 20)
    np.testing.assert_allclose(np.unique(kept), [0, 1 / 0.75])
    np.testing.assert_allclose((kept == 0).mean(), 0.25, atol=0.01)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(300, 33), (40, 7, 34), (2000, 1)])
def test_any_rate_is_met_in_inputs_of_any_shape(rate, shape):
    layer = residual.Dropout(rate, seed=0)
    kept = np.stack([layer(tf.ones(shape), training=True) for _ in range(4)])
    assert kept.shape == (4, *shape)
    assert (kept > 0).mean() == pytest.approx(1 - rate, abs=5 * np.sqrt(0.25 / kept.size))
    assert kept.max() == pytest.approx(1 / (1 - rate), rel=1e-3)
    # Neighbors, which share a random word, are dropped apart from each other.
    is_kept = (kept > 0).astype(float)
    if shape[-1] > 1:
        both = (is_kept[..., 1:] * is_kept[..., :-1]).mean()
        assert both == pytest.approx((1 - rate) ** 2, abs=0.01)


def test_outside_training_and_at_rate_zero_it_passes_on():
    inputs = tf.random.stateless_normal((4, 3), [0, 0])
    np.testing.assert_array_equal(made(0.5)(inputs), inputs)
    np.testing.assert_array_equal(made(0.5)(inputs, training=False), inputs)
    np.testing.assert_array_equal(made(0.0)(inputs, training=True), inputs)


def test_the_same_seed_gives_the_same_masks_step_by_step():
    first, again, other = masks(made(seed=3), 3), masks(made(seed=3), 3), masks(made(seed=4), 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_a_restored_checkpoint_goes_on_with_the_same_masks(tmp_path):
    layer = made()
    masks(layer, 5)
    path = tf.train.Checkpoint(layer=layer).write(str(tmp_path / "state"))
    unbroken = masks(layer, 3)
    resumed = made()
    tf.train.Checkpoint(layer=resumed).read(path).assert_consumed()
    np.testing.assert_array_equal(masks(resumed, 3), unbroken)
    assert not np.array_equal(masks(made(), 3), unbroken)


def test_inside_a_model_too_the_state_is_in_the_checkpoint(tmp_path):
    def model():
        inputs = keras.Input((32,))
        return keras.Model(inputs, residual.Dropout(0.5, seed=1)(inputs))

    first, second, ones = model(), model(), tf.ones((8, 32))
    step = tf.function(lambda x: first(x, training=True))
    assert not np.array_equal(step(ones), step(ones))
    path = tf.train.Checkpoint(model=first).write(str(tmp_path / "state"))
    unbroken = step(ones)
    tf.train.Checkpoint(model=second).read(path).assert_consumed()
    np.testing.assert_array_equal(second(ones, training=True), unbroken)


def test_a_graph_draws_the_masks_of_eager_code():
    layer = made()
    step = tf.function(lambda x: layer(x, training=True))
    in_graph = np.stack([step(tf.ones((64, 32))) for _ in range(3)])
    np.testing.assert_array_equal(in_graph, masks(made(), 3))


def test_it_survives_its_config():
    layer = residual.Dropout(0.3, seed=7, name="drop")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is residual.Dropout
    assert again.get_config() == layer.get_config()
    assert (again.rate, again.seed, again.name) == (0.3, 7, "drop")


def test_a_saved_model_gives_the_same_output(tmp_path):
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2)(residual.Dropout(0.5, seed=1)(inputs))
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(tf.ones((4, 3))), model(tf.ones((4, 3))))


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_other_rates_are_refused(rate):
    with pytest.raises(ValueError, match=rf"`rate` must lie in \[0, 1\). Received: rate={rate}"):
        residual.Dropout(rate, seed=0)
