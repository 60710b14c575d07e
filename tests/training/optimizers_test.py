import numpy as np
import pytest
import tensorflow as tf
import tensorflow_addons as tfa
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.training import optimizers

STEPS_PER_EPOCH = 7
PLAIN = {"decay_every": 0, "clip_norm": 0.0}


def build(**settings):
    return optimizers.build(configs.FinetuneConfig(**settings), STEPS_PER_EPOCH)


def rate_in_epoch(optimizer, epoch):
    return float(optimizer.learning_rate(epoch * STEPS_PER_EPOCH))


@pytest.mark.parametrize("weight_averaging", [0.0, 0.9])
def test_the_learning_rate_is_the_papers_staircase(weight_averaging):
    # 1e-3, times 0.1 after every 100 epochs, and not a step earlier.
    optimizer = build(weight_averaging=weight_averaging)
    epochs = (0, 50, 100 - 1 / STEPS_PER_EPOCH, 100, 150, 200, 299)
    rates = [rate_in_epoch(optimizer, epoch) for epoch in epochs]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rtol=1e-5)


def test_rate_and_factor_and_epochs_of_the_staircase_are_settings():
    optimizer = build(learning_rate=0.5, decay_rate=0.2, decay_every=3)
    rates = [rate_in_epoch(optimizer, epoch) for epoch in (2, 3, 6)]
    np.testing.assert_allclose(rates, [0.5, 0.1, 0.02], rtol=1e-6)


def test_without_decay_the_learning_rate_is_constant():
    assert float(build(decay_every=0, learning_rate=0.25).learning_rate) == 0.25


def step(optimizer, gradient):
    """Where Adam's first moment lies after one step: a tenth of the gradient it was given."""
    variable = tf.Variable([0.0, 0.0])
    optimizer.apply_gradients([(tf.constant(gradient), variable)])
    adam = getattr(optimizer, "_optimizer", optimizer)
    return 10 * adam.get_slot(variable, "m").numpy()


@pytest.mark.parametrize("weight_averaging", [0.0, 0.9])
@pytest.mark.parametrize(
    ("clip_norm", "expected"),
    # The gradient (3, 4) is 5 long.
    [(1.0, (0.6, 0.8)), (0.0, (3.0, 4.0)), (6.0, (3.0, 4.0))],
)
def test_gradients_are_clipped_to_their_norm(weight_averaging, clip_norm, expected):
    optimizer = build(clip_norm=clip_norm, weight_averaging=weight_averaging)
    np.testing.assert_allclose(step(optimizer, [3.0, 4.0]), expected, rtol=1e-5)


def test_the_clipped_norm_is_that_of_all_variables_together():
    optimizer = build(clip_norm=1.0)
    first, second = tf.Variable([0.0]), tf.Variable([0.0])
    optimizer.apply_gradients([(tf.constant([3.0]), first), (tf.constant([4.0]), second)])
    moments = [10 * optimizer.get_slot(variable, "m").numpy() for variable in (first, second)]
    np.testing.assert_allclose(np.ravel(moments), [0.6, 0.8], rtol=1e-5)


def test_weights_are_averaged_only_when_asked_for():
    assert type(build()) is keras.optimizers.legacy.Adam
    assert type(build(weight_averaging=0.9)) is tfa.optimizers.MovingAverage


def test_averaging_is_refused_without_tensorflow_addons(monkeypatch):
    monkeypatch.setattr(optimizers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"`weight_averaging` must be 0 without .*Received: 0\.9"):
        build(weight_averaging=0.9)
    assert type(build()) is keras.optimizers.legacy.Adam


def test_keras_3_alone_is_refused(monkeypatch):
    monkeypatch.setattr(optimizers.importlib.metadata, "version", lambda name: "3.15.1")
    with pytest.raises(ModuleNotFoundError, match="beside Keras 3") as refused:
        build()
    assert refused.value.name == "tf_keras"


def test_averaging_does_not_change_the_steps():
    plain, averaging = build(**PLAIN), build(**PLAIN, weight_averaging=0.9)
    first, second = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    for gradient in ([3.0, -1.0], [1.0, 5.0]):
        plain.apply_gradients([(tf.constant(gradient), first)])
        averaging.apply_gradients([(tf.constant(gradient), second)])
    np.testing.assert_array_equal(first, second)


def test_the_average_forgets_its_start_quickly_and_its_present_slowly():
    # The decay is min(0.5, (1 + t) / (10 + t)) in step t: 1/10, 2/11, 3/12, ... 1/2.
    optimizer = build(**PLAIN, weight_averaging=0.5)
    variable, expected = tf.Variable(0.0), 0.0
    for index in range(12):
        optimizer.apply_gradients([(tf.constant(1.0), variable)])
        decay = min(0.5, (1 + index) / (10 + index))
        expected = decay * expected + (1 - decay) * float(variable)
    optimizer.assign_average_vars([variable])
    np.testing.assert_allclose(variable, expected, rtol=1e-5)


def test_in_the_scope_of_a_strategy_averages_are_there_before_the_first_step():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
        model.compile(build(weight_averaging=0.5))
        weights = model.trainable_variables
        with pytest.raises(KeyError):
            model.optimizer.get_slot(weights[0], "average")
        optimizers.prepare(model)
        average = model.optimizer.get_slot(weights[0], "average")
        average.assign(tf.constant([[3.0], [4.0]]))
        model.optimizer.assign_average_vars(weights)
    np.testing.assert_array_equal(weights[0], [[3.0], [4.0]])
