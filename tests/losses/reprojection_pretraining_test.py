import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.losses import reprojection
from tests.losses import pairs


def eq_6(pose_1, pose_2, camera_1, camera_2, *_):
    there = np.linalg.norm(pairs.tau(pose_1, camera_1, camera_2) - pose_2)
    return there + np.linalg.norm(pairs.tau(pose_2, camera_2, camera_1) - pose_1)


@pytest.mark.parametrize(("batch", "num_joints"), [(1, 17), (5, 17), (17, 17), (3, 3), (0, 17)])
def test_it_is_eq_6_joint_by_joint(batch, num_joints):
    poses, pair = pairs.spoiled(batch, num_joints=num_joints)
    loss = reprojection.pretraining_loss(poses, pair)
    assert loss.shape == (batch,)
    np.testing.assert_allclose(loss, pairs.by_hand(poses, pair, eq_6))


def test_it_is_zero_at_the_truth_with_finite_gradients():
    poses, pair = pairs.exact()
    poses = tuple(map(tf.constant, poses))
    with tf.GradientTape() as tape:
        tape.watch(poses)
        loss = reprojection.pretraining_loss(poses, pair)
    np.testing.assert_allclose(loss, np.zeros(3), atol=1e-12)
    for gradient in tape.gradient(loss, poses):
        assert np.isfinite(gradient).all()


def test_it_has_finite_gradients_where_the_poses_agree_to_the_last_bit():
    poses, pair = pairs.exact()
    pair = pair._replace(target=pair.target._replace(camera=pair.source.camera))
    zero = tf.zeros_like(poses[0])
    with tf.GradientTape() as tape:
        tape.watch(zero)
        loss = reprojection.pretraining_loss((zero, zero), pair)
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, zero)).all()


def test_it_sees_no_keypoints():
    poses, pair = pairs.spoiled()
    blind = pair._replace(
        source=pair.source._replace(keypoints_2d=np.zeros((3, 17, 2)), confidence=np.zeros((3, 17)))
    )
    np.testing.assert_array_equal(
        reprojection.pretraining_loss(poses, blind), reprojection.pretraining_loss(poses, pair)
    )


def test_a_root_moved_by_a_meter_costs_a_meter_a_joint_both_ways():
    poses, pair = pairs.exact()
    moved = poses[0] + np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(
        reprojection.pretraining_loss((moved, poses[1]), pair), [2 * 17.0] * 3
    )
