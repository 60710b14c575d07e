import tensorflow as tf
from tensorflow import keras

from keras_mvlift.training import multi_view_lifter


def shares(num_epochs, initial_epoch=0):
    """Trains for four epochs; gives the variable's value in each step."""
    share, noted = tf.Variable(1.0, trainable=False), []
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    note = keras.callbacks.LambdaCallback(on_batch_end=lambda *_, **__: noted.append(float(share)))
    model.fit(
        tf.zeros((4, 1)),
        tf.zeros((4, 1)),
        batch_size=2,
        epochs=4,
        initial_epoch=initial_epoch,
        callbacks=[multi_view_lifter.WarmUp(share, num_epochs), note],
        verbose=0,
    )
    return noted


def test_the_variable_is_one_in_the_first_epochs_and_zero_then():
    assert shares(2) == [1.0] * 4 + [0.0] * 4


def test_a_resumed_run_counts_the_epochs_before():
    assert shares(2, initial_epoch=1) == [1.0] * 2 + [0.0] * 4
    assert shares(2, initial_epoch=3) == [0.0] * 2
