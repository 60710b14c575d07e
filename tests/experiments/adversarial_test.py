import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.experiments import adversarial

REAL, PREDICTED = np.random.default_rng(0).normal(0.0, 0.5, (2, 5, 17, 3)).astype(np.float32)
SHARE = np.linspace(0.0, 1.0, 5, dtype=np.float32)
SEED = [3, 4]


def slope(steepness):
    """A critic that rises by so much per meter of the first joint's height."""
    return lambda poses: steepness * poses[:, 0, 2]


def curved(poses):
    """A critic whose slope at a skeleton is the skeleton's own length."""
    return tf.reduce_sum(tf.square(poses), axis=[1, 2]) / 2


def test_the_critic_wants_real_skeletons_above_predicted_ones():
    np.testing.assert_allclose(adversarial.critic_loss(np.array([3.0, 1.0]), 2.0), [-1.0, 1.0])


def test_the_generator_wants_what_the_critic_likes():
    np.testing.assert_allclose(adversarial.generator_loss(np.array([3.0, -1.0])), [-3.0, 1.0])


@pytest.mark.parametrize(("steepness", "expected"), [(1.0, 0.0), (3.0, 4.0), (0.5, 0.25)])
def test_the_penalty_is_on_slopes_other_than_one(steepness, expected):
    penalty = adversarial.gradient_penalty(slope(steepness), REAL, PREDICTED, SHARE)
    np.testing.assert_allclose(penalty, [expected] * 5, rtol=1e-6)


def test_the_penalty_looks_between_predicted_and_real():
    between = PREDICTED + SHARE[:, np.newaxis, np.newaxis] * (REAL - PREDICTED)
    expected = (np.linalg.norm(between.reshape(5, -1), axis=-1) - 1) ** 2
    penalty = adversarial.gradient_penalty(curved, REAL, PREDICTED, SHARE)
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)


def test_a_flat_or_forgetful_critic_costs_one_with_finite_gradients():
    origin = np.zeros_like(REAL)
    steepness = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        flat = adversarial.gradient_penalty(slope(steepness), REAL, REAL, SHARE)
    np.testing.assert_array_equal(flat, np.ones(5))
    assert np.isfinite(tape.gradient(flat, steepness))
    deaf = adversarial.gradient_penalty(lambda poses: tf.zeros(5), REAL, PREDICTED, SHARE)
    np.testing.assert_array_equal(deaf, np.ones(5))
    np.testing.assert_array_equal(
        adversarial.gradient_penalty(curved, origin, origin, SHARE), np.ones(5)
    )


def test_the_penalty_has_finite_gradients_where_skeletons_coincide():
    weight = tf.Variable(tf.ones([17, 3]))
    for poses in (REAL, np.zeros_like(REAL)):
        with tf.GradientTape() as tape:
            penalty = adversarial.gradient_penalty(
                lambda x: tf.reduce_sum(tf.square(weight * x), axis=[1, 2]), poses, poses, SHARE
            )
        assert np.isfinite(tape.gradient(penalty, weight)).all()


def test_skeletons_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"adversarial\.gradient_penalty"):
        adversarial.gradient_penalty(curved, REAL, PREDICTED[:, :3], SHARE)


def test_rotations_are_proper():
    rotation = adversarial.random_rotations(100, SEED, max_tilt=0.5).numpy()
    identity = np.broadcast_to(np.eye(3), (100, 3, 3))
    np.testing.assert_allclose(rotation @ rotation.swapaxes(1, 2), identity, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(rotation), np.ones(100), atol=1e-5)


def test_without_tilt_the_vertical_stays_and_every_heading_comes():
    rotation = adversarial.random_rotations(4000, SEED).numpy()
    np.testing.assert_allclose(rotation[:, 2], np.tile([0.0, 0.0, 1.0], (4000, 1)), atol=1e-6)
    heading = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    counts, _ = np.histogram(heading, bins=8, range=(-np.pi, np.pi))
    # 500 a bin, four standard deviations of 21.
    assert np.abs(counts - 500).max() < 84


def test_the_vertical_leans_any_way_and_no_further_than_asked():
    up = adversarial.random_rotations(4000, SEED, max_tilt=0.3).numpy()[:, :, 2]
    lean = np.arccos(np.clip(up[:, 2], -1, 1))
    assert 0.29 < lean.max() < 0.3001
    np.testing.assert_allclose(lean.mean(), 0.15, atol=0.01)
    np.testing.assert_allclose(up[:, :2].mean(axis=0), [0.0, 0.0], atol=0.01)


def test_the_same_seed_turns_alike_and_another_otherwise():
    first, again, other = (adversarial.turned(REAL, seed) for seed in (SEED, SEED, [3, 5]))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_each_skeleton_is_turned_by_its_own_angle_and_keeps_shape_and_height():
    same = np.tile(REAL[:1], (5, 1, 1))
    turned = adversarial.turned(same, SEED).numpy()
    np.testing.assert_allclose(turned[..., 2], same[..., 2], atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=-1), np.linalg.norm(same, axis=-1), rtol=1e-5
    )
    assert min(np.abs(turned[0] - other).max() for other in turned[1:]) > 0.01


def test_the_gradient_goes_back_through_the_turn():
    poses = tf.constant(REAL)
    with tf.GradientTape() as tape:
        tape.watch(poses)
        height = adversarial.turned(poses, SEED)[..., 2]
    # Without tilt a joint's height is its own, whatever the turn.
    expected = np.broadcast_to([0.0, 0.0, 1.0], REAL.shape)
    np.testing.assert_allclose(tape.gradient(height, poses), expected, atol=1e-6)


def test_turning_works_in_a_graph_with_batches_of_unknown_size():
    spec = tf.TensorSpec([None, 17, 3], tf.float32)
    turn = tf.function(lambda poses: adversarial.turned(poses, SEED, 0.2), [spec])
    np.testing.assert_allclose(turn(REAL), adversarial.turned(REAL, SEED, 0.2), atol=1e-6)
