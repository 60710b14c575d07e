import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.networks import residual

RAYS = np.zeros((1, 17, 2), np.float32)
RAYS[0, 0] = [0.2, -0.1]
numbers = hypothesis.strategies.floats(-1e6, 1e6, width=32)


def test_linear_root_is_the_outputs_themselves():
    outputs = tf.constant([[1.0, -2.0, 3.0]])
    np.testing.assert_array_equal(residual.LinearRoot()((outputs, RAYS)), outputs)


def test_ray_root_of_zero_is_on_the_ray_at_the_rigs_distance():
    # 4 m ahead, along the ray (0.2, -0.1).
    root = residual.RayRoot(4.0)((tf.zeros((1, 3)), RAYS))
    np.testing.assert_allclose(root, [[0.8, -0.4, 4.0]], rtol=1e-6)


def test_ray_root_golden():
    # tanh(q) = 1/2 at q = atanh(1/2): z = 4 exp(0.35), x = (0.2 + 0.05) z, y = (-0.1 - 0.05) z.
    half = np.arctanh(0.5)
    outputs = np.array([[half, -half, half]], np.float32)
    depth = 4.0 * np.exp(0.35)
    root = residual.RayRoot(4.0)((outputs, RAYS))
    np.testing.assert_allclose(root, [[0.25 * depth, -0.15 * depth, depth]], rtol=1e-5)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(outputs=hypothesis.strategies.tuples(numbers, numbers, numbers))
def test_ray_root_is_bounded_whatever_the_outputs(outputs):
    x, y, z = residual.RayRoot(4.0)((tf.constant([outputs]), RAYS)).numpy()[0]
    # exp(0.7) is 2.014: half to double the rig's distance, a tenth aside from the ray.
    assert 4.0 / 2.014 < z < 4.0 * 2.014
    assert abs(x / z - 0.2) < 0.1001
    assert abs(y / z + 0.1) < 0.1001


@pytest.mark.parametrize("head", [residual.LinearRoot(), residual.RayRoot(3.0)])
@pytest.mark.parametrize("size", [0.0, 1e6])
def test_gradients_are_finite(head, size):
    outputs = tf.constant([[size, -size, size]])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        root = head((outputs, RAYS))
    assert np.isfinite(tape.gradient(root, outputs)).all()


@pytest.mark.parametrize("head", [residual.LinearRoot(), residual.RayRoot(3.0)])
@pytest.mark.parametrize("batch", [1, 5, 0])
def test_any_batch_in_eager_code_and_graph(head, batch):
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(batch, 3)).astype(np.float32)
    rays = rng.normal(size=(batch, 17, 2)).astype(np.float32)
    root = head((outputs, rays))
    assert root.shape == (batch, 3)
    np.testing.assert_allclose(tf.function(head)((outputs, rays)), root, rtol=1e-6)


@pytest.mark.parametrize("head", [residual.LinearRoot(name="r"), residual.RayRoot(3.5)])
def test_heads_survive_their_config(head):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(again) is type(head)
    assert again.get_config() == head.get_config()


@pytest.mark.parametrize("rig_distance", [0.0, -1.0, float("nan")])
def test_a_rig_at_no_distance_is_refused(rig_distance):
    message = f"`rig_distance` must be positive. Received: {rig_distance}"
    with pytest.raises(ValueError, match=message):
        residual.RayRoot(rig_distance)


def test_the_numbers_of_the_formula_are_told():
    assert residual.RayRoot(4.0).numbers == {"a": 0.7, "b": 0.1, "z_rig": 4.0}
    assert residual.LinearRoot().numbers == {}
