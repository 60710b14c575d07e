import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.networks import temporal

# Frame t has the channels 10 t and 10 t + 1.
CLIP = tf.constant([[[10.0 * frame, 10.0 * frame + 1] for frame in range(7)]])


def test_frames_are_stacked_apart_for_training():
    stacked = temporal.StackFrames(3, stride=3)(CLIP)
    # Two filters fit into seven frames.
    np.testing.assert_array_equal(stacked, [[[0, 1, 10, 11, 20, 21], [30, 31, 40, 41, 50, 51]]])


def test_frames_are_stacked_with_a_dilation_at_every_place():
    stacked = temporal.StackFrames(3, dilation=2)(CLIP)
    np.testing.assert_array_equal(
        stacked,
        [[[0, 1, 20, 21, 40, 41], [10, 11, 30, 31, 50, 51], [20, 21, 40, 41, 60, 61]]],
    )


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (2, 2), (3, 1), (4, 3)])
def test_stacking_and_a_dense_layer_are_a_convolution(stride, dilation):
    rng = np.random.default_rng(0)
    clip = tf.constant(rng.normal(size=(2, 20, 4)), tf.float32)
    kernel = tf.constant(rng.normal(size=(3, 4, 5)), tf.float32)
    # TensorFlow's own convolution refuses to have both; every so many of its places are ours.
    expected = tf.nn.conv1d(clip, kernel, stride=1, padding="VALID", dilations=dilation)
    stacked = temporal.StackFrames(3, stride=stride, dilation=dilation)(clip)
    outputs = stacked @ tf.reshape(kernel, [12, 5])
    np.testing.assert_allclose(outputs, expected[:, ::stride], atol=1e-5)


def test_a_stacked_frame_can_be_picked():
    stacked = temporal.StackFrames(3, stride=3)(CLIP)
    np.testing.assert_array_equal(temporal.PickFrame(0, 3)(stacked), [[[0, 1], [30, 31]]])
    np.testing.assert_array_equal(temporal.PickFrame(2, 3)(stacked), [[[20, 21], [50, 51]]])


def test_the_first_and_the_last_frame_are_repeated():
    repeated = temporal.ReplicateEdges(2, 1)(CLIP)[0, :, 0]
    np.testing.assert_array_equal(repeated, [0, 0, 0, 10, 20, 30, 40, 50, 60, 60])
    np.testing.assert_array_equal(temporal.ReplicateEdges(0, 0)(CLIP), CLIP)
    single = temporal.ReplicateEdges(1, 2)(CLIP[:, 3:4])
    np.testing.assert_array_equal(single[0, :, 1], [31] * 4)


@pytest.mark.parametrize(
    "layer",
    [
        temporal.StackFrames(3, stride=2, dilation=2),
        temporal.PickFrame(1, 3),
        temporal.ReplicateEdges(2, 5),
    ],
)
def test_layers_survive_their_config(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
