import numpy as np
import tensorflow as tf

from keras_mvlift.losses import reprojection
from tests import random_scenes


def scene(seed=0, batch=3):
    """Targets, which joints of them are known, and other poses with their root at 0."""
    rng = np.random.default_rng(seed)
    target, pose = (random_scenes.points(rng, batch, 17) for _ in range(2))
    is_known = rng.uniform(size=(batch, 17)) < 0.8
    is_known[:, 0] = True
    return tf.constant(target), tf.constant(is_known), tf.constant(pose - pose[:, :1])


def test_a_pose_of_which_nothing_is_known_costs_nothing():
    target, is_known, pose = scene()
    is_known = is_known & tf.constant([[True], [False], [True]])
    loss = reprojection.triangulated_pose_loss(pose, target, is_known)
    assert (loss.numpy() > 0).tolist() == [True, False, True]


def test_it_sums_the_distances_of_known_joints_once_their_means_are_the_same():
    target, is_known, pose = (value.numpy() for value in scene())
    is_known[2, 0] = False
    losses = reprojection.triangulated_pose_loss(pose, target, tf.constant(is_known))
    for row, loss in enumerate(losses.numpy()):
        known = np.flatnonzero(is_known[row])
        offset = pose[row, known] - target[row, known]
        expected = sum(np.linalg.norm(error) for error in offset - offset.mean(axis=0))
        np.testing.assert_allclose(loss, expected)


def test_an_error_of_the_triangulated_root_is_one_joints_error():
    target, is_known, _ = scene()
    every = tf.ones_like(is_known)
    loss = reprojection.triangulated_pose_loss(target - target[:, :1], target, every)
    np.testing.assert_allclose(loss, 0.0, atol=1e-12)
    shifted = target + np.eye(17)[:, :1] * [0.0, 0.0, 0.17]
    # The root is 0.16 from the mean's shift of 0.01, each of the others 0.01.
    loss = reprojection.triangulated_pose_loss(target - target[:, :1], shifted, every)
    np.testing.assert_allclose(loss, 0.16 + 16 * 0.01)


def test_its_gradient_is_finite_where_a_joint_is_right():
    target, is_known, _ = scene()
    pose = target + 0.0
    with tf.GradientTape() as tape:
        tape.watch(pose)
        loss = reprojection.triangulated_pose_loss(pose, target, is_known)
    assert np.isfinite(tape.gradient(loss, pose)).all()
