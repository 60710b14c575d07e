import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.networks import temporal
from tests import temporal_networks

SMALL = {"width": 16, "filter_widths": (3, 3)}
WINDOWS = temporal_networks.clip(9, 8)


def build(num_outputs=51, seed=0, **options):
    return temporal.temporal(num_outputs, name="net", seed=seed, **(SMALL | options))


def of_kind(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_by_default_it_is_that_of_243_frames():
    model = temporal.temporal(51, name="lifting_network", seed=0)
    assert model.input_shape == (None, 243, 17, 2)
    assert model.output_shape == (None, 51)
    assert model.name == "lifting_network"
    # A convolution over 34 channels, four blocks of one over 1024 and a dense layer, the outputs.
    kernels = [tuple(layer.kernel.shape) for layer in of_kind(model, keras.layers.Dense)]
    assert kernels == [(102, 1024)] + [(3072, 1024), (1024, 1024)] * 4 + [(1024, 51)]


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("num_frames", [1, 6, 60])
def test_all_frames_at_once_are_as_window_by_window(is_causal, num_frames):
    model = temporal_networks.trained(is_causal=is_causal)
    clip = temporal_networks.clip(num_frames, seed=num_frames)
    one_by_one = model(temporal_networks.windows(clip, is_causal)).numpy()
    at_once = temporal.dilated(model)(clip[np.newaxis]).numpy()
    assert 0.1 < one_by_one.std() < 10
    np.testing.assert_allclose(at_once[0], one_by_one, atol=1e-5)


def test_clips_of_a_batch_do_not_mix():
    model = temporal.dilated(temporal_networks.trained())
    clips = temporal_networks.clip(20, 3)
    np.testing.assert_allclose(model(clips)[1:2], model(clips[1:2]), atol=1e-5)


def test_both_forms_are_one_network():
    model = temporal_networks.trained()
    form, clip = temporal.dilated(model), temporal_networks.clip(10, 1)
    before = form(clip).numpy()
    assert {id(variable) for variable in form.variables} == {id(v) for v in model.variables}
    model.get_layer("outputs").bias.assign_add(tf.ones(51))
    np.testing.assert_allclose(form(clip), before + 1, atol=1e-5)


@pytest.mark.parametrize("is_causal", [False, True])
def test_an_output_depends_on_its_window_and_no_more(is_causal):
    model = temporal.dilated(temporal_networks.trained(is_causal=is_causal))
    clip = tf.Variable(temporal_networks.clip(120, 1))
    with tf.GradientTape() as tape:
        output = tf.reduce_sum(tf.square(model(clip)[:, 60]))
    reached = np.flatnonzero(np.abs(tape.gradient(output, clip)).sum(axis=(0, 2, 3)))
    first, last = (16, 60) if is_causal else (38, 82)
    assert reached.min() == first
    assert reached.max() == last


@pytest.mark.parametrize(("is_causal", "index"), [(False, 4), (True, 8)])
def test_a_shortcut_leads_from_the_frame_that_is_lifted(is_causal, index):
    model = build(is_causal=is_causal, dropout=0.0)
    # A block that adds nothing passes on what it gets of one frame of the window's inner three.
    model.get_layer("dense_2").set_weights([np.zeros((16, 16))])
    windows = tf.Variable(WINDOWS)
    with tf.GradientTape() as tape:
        output = tf.reduce_sum(tf.square(model(windows)))
    reached = np.flatnonzero(np.abs(tape.gradient(output, windows)).sum(axis=(0, 2, 3)))
    assert index in reached
    # One filter of the first level alone.
    np.testing.assert_array_equal(reached, np.arange(3) + index // 3 * 3)


def test_it_knows_what_it_is():
    assert temporal.filter_widths(build(filter_widths=(5, 3, 7))) == (5, 3, 7)
    assert temporal.filter_widths(build(filter_widths=(1, 1))) == (1, 1)
    assert not temporal.is_causal(build())
    assert temporal.is_causal(build(is_causal=True))


@pytest.mark.parametrize("filter_widths", [(), (3,), (3, 4), (3, -3), (3, 1), (0, 0)])
def test_other_filter_widths_are_refused(filter_widths):
    with pytest.raises(ValueError, match=r"`filter_widths` must be two or more odd .* Received"):
        build(filter_widths=filter_widths)


@pytest.mark.parametrize("initializer", configs.INITIALIZERS)
def test_layers_start_as_asked(initializer):
    kernel = build(width=128, initializer=initializer).get_layer("dense_1").kernel.numpy()
    # Of 384 inputs and 128 outputs; He: a variance of 2 / 384, Glorot: of 2 / 512.
    variance = {"he": 2 / 384, "gl": 2 / 512, "fa": 1 / (3 * 384)}[initializer[:2]]
    stddev = np.sqrt(variance)
    np.testing.assert_allclose(kernel.std(), stddev, rtol=0.02)
    assert (np.abs(kernel).max() < 1.75 * stddev) == initializer.endswith("uniform")


def test_fit_lowers_the_loss():
    model = build(width=32, dropout=0.1)
    model.compile(keras.optimizers.legacy.Adam(1e-2), "mse")
    windows = temporal_networks.clip(9, 64)
    middle = windows[:, 4].reshape(64, 34)
    poses = np.concatenate([middle, middle[:, :17]], axis=1)
    losses = model.fit(windows, poses, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


# Frame t has the channels 10 t and 10 t + 1.
CLIP = np.array([[[10 * frame, 10 * frame + 1] for frame in range(7)]], np.float32)


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
