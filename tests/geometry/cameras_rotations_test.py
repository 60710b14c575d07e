import hypothesis
import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import cameras
from tests import random_scenes

BATCHES = [(), (1,), (2, 3), (0,)]
seeds = hypothesis.strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=15, deadline=None)


def test_rotate_golden():
    # A quarter turn about z: x becomes y, y becomes -x.
    quarter_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rotated = cameras.rotate(np.array([[1.0, 0.0, 5.0], [0.0, 2.0, 6.0]]), quarter_turn)
    np.testing.assert_allclose(rotated, [[0, 1, 5], [-2, 0, 6]])


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        # Counter-clockwise, seen against the axis: y to z, z to x, x to y.
        ([1.0, 0.0, 0.0], [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
        ([0.0, 1.0, 0.0], [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
        ([0.0, 0.0, 1.0], [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    ],
)
def test_from_axis_angle_golden(axis, expected):
    rotation = cameras.from_axis_angle(np.array(axis), np.pi / 2)
    np.testing.assert_allclose(rotation, expected, atol=1e-12)


@few_examples
@hypothesis.given(seed=seeds)
def test_rotation_keeps_lengths_and_its_inverse_undoes_it(seed):
    rng = np.random.default_rng(seed)
    rotation, points = random_scenes.rotation(rng, 3), random_scenes.points(rng, 3, 5)
    rotated = cameras.rotate(points, rotation)
    lengths = np.linalg.norm(points, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(rotated, axis=-1), lengths)
    back = cameras.rotate(rotated, cameras.inverse(rotation))
    np.testing.assert_allclose(back, points, atol=1e-12)


@few_examples
@hypothesis.given(seed=seeds, angle=hypothesis.strategies.floats(-np.pi, np.pi))
def test_an_axis_stays_and_what_is_across_turns_by_the_angle(seed, angle):
    rng = np.random.default_rng(seed)
    axis, across, _ = random_scenes.rotation(rng)
    turned = cameras.rotate(np.stack([axis, across]), cameras.from_axis_angle(axis, angle))
    expected = [axis, np.cos(angle) * across + np.sin(angle) * np.cross(axis, across)]
    np.testing.assert_allclose(turned, expected, atol=1e-12)


@pytest.mark.parametrize("batch", BATCHES)
def test_any_batch_shape_is_a_loop_over_single_rotations(batch):
    rng = np.random.default_rng(0)
    rotation, points = random_scenes.rotation(rng, *batch), random_scenes.points(rng, *batch, 4)
    rotated = cameras.rotate(points, rotation).numpy()
    axis_angle = cameras.from_axis_angle(rotation[..., 0], rng.uniform(size=batch))
    assert rotated.shape == (*batch, 4, 3)
    assert cameras.inverse(rotation).shape == (*batch, 3, 3)
    assert axis_angle.shape == (*batch, 3, 3)
    for index in np.ndindex(batch):
        expected = [rotation[index] @ point for point in points[index]]
        np.testing.assert_allclose(rotated[index], expected, atol=1e-12)


def test_one_rotation_turns_many_sets_and_many_turn_one():
    rng = np.random.default_rng(0)
    rotation, points = random_scenes.rotation(rng, 3), random_scenes.points(rng, 3, 3)
    one_rotation = cameras.rotate(points, rotation[0])
    one_set = cameras.rotate(points[0], rotation)
    for index in range(3):
        expected = points[index] @ rotation[0].T
        np.testing.assert_allclose(one_rotation[index], expected, atol=1e-12)
        np.testing.assert_allclose(one_set[index], points[0] @ rotation[index].T, atol=1e-12)


def test_as_many_rotations_as_joints_do_not_turn_joint_by_joint():
    rng = np.random.default_rng(0)
    rotation, points = random_scenes.rotation(rng, 4), random_scenes.points(rng, 4, 4)
    rotated = cameras.rotate(points, rotation)
    for example in range(4):
        expected = points[example] @ rotation[example].T
        np.testing.assert_allclose(rotated[example], expected, atol=1e-12)


def test_a_graph_of_unknown_batch_size_rotates_as_eager_code():
    signature = [tf.TensorSpec([None, 4, 3], tf.float64), tf.TensorSpec([None, 3, 3], tf.float64)]
    graph = tf.function(cameras.rotate, input_signature=signature)
    for batch in (4, 1, 0):
        rng = np.random.default_rng(0)
        rotation, points = random_scenes.rotation(rng, batch), random_scenes.points(rng, batch, 4)
        expected = cameras.rotate(points, rotation)
        np.testing.assert_allclose(graph(points, rotation), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("points", "rotation", "message"),
    [
        ((3,), (3, 3), r"`points` must have shape \[..., J, 3\]. Received: \(3,\)"),
        ((5, 2), (3, 3), r"`points` must have shape \[..., J, 3\]. Received: \(5, 2\)"),
        ((5, 3), (3,), r"`rotation` must have shape \[..., 3, 3\]. Received: \(3,\)"),
        ((5, 3), (3, 4), r"`rotation` must have shape \[..., 3, 3\]. Received: \(3, 4\)"),
    ],
)
def test_other_shapes_are_refused(points, rotation, message):
    with pytest.raises(ValueError, match=message):
        cameras.rotate(np.zeros(points), np.zeros(rotation))


@pytest.mark.parametrize("angle", [0.0, 1e-5, 9e-4, 1.1e-3, 0.5, 3.0])
def test_a_rotation_vector_is_an_axis_times_an_angle(angle):
    axis = np.array([2.0, -1.0, 2.0]) / 3
    rotation = cameras.from_rotation_vector(angle * axis)
    expected = cameras.from_axis_angle(axis, np.array(angle))
    np.testing.assert_allclose(rotation, expected, atol=1e-12)


def test_no_rotation_has_the_gradient_of_a_small_one():
    vector = tf.Variable(np.zeros(3))
    with tf.GradientTape() as tape:
        rotation = cameras.from_rotation_vector(vector)
    # A turn about z moves x towards y.
    by_vector = tape.jacobian(rotation, vector)[1, 0]
    np.testing.assert_allclose(by_vector, [0, 0, 1], atol=1e-12)
