import numpy as np
import tensorflow as tf

from keras_mvlift.training import uncertainty

SEEN = tf.constant(np.random.default_rng(0).normal(size=(5, 17, 3)), tf.float32)


def network(seed=0):
    return uncertainty.joint_scales(name="scales", seed=seed, width=16)


def test_every_joint_starts_with_ten_centimeters():
    scales = network()(SEEN)
    assert scales.shape == (5, 17)
    np.testing.assert_allclose(scales, np.full((5, 17), 0.1), rtol=0.05)


def test_a_seed_decides_the_weights():
    first, again, other = (network(seed)(SEEN).numpy() for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_enlarging_multiplies_every_answer():
    model = network()
    before = model(SEEN).numpy()
    uncertainty.enlarge(model, 2.5)
    np.testing.assert_allclose(model(SEEN), 2.5 * before, rtol=1e-5)


def test_no_answer_leaves_what_a_body_can_be_off():
    model = network()
    uncertainty.enlarge(model, 1e9)
    np.testing.assert_allclose(model(SEEN), np.full((5, 17), 3.0), rtol=1e-5)
