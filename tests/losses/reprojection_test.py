import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.losses import reprojection
from tests.losses import pairs


def eq_2(pose_1, pose_2, camera_1, camera_2, x_1, x_2, w_1, w_2):
    first = w_1 * np.linalg.norm(x_1 - pairs.rho(pose_1, camera_1))
    return first + w_2 * np.linalg.norm(x_2 - pairs.rho(pose_2, camera_2))


@pytest.mark.parametrize(("batch", "num_joints"), [(1, 17), (5, 17), (17, 17), (3, 3), (0, 17)])
def test_it_is_eq_2_joint_by_joint(batch, num_joints):
    poses, pair = pairs.spoiled(batch, num_joints=num_joints)
    expected = pairs.by_hand(poses, pair, eq_2)
    loss = reprojection.loss(poses, pair)
    assert loss.shape == (batch,)
    np.testing.assert_allclose(loss, expected)


def test_it_is_zero_at_the_truth_with_finite_gradients():
    poses, pair = pairs.exact()
    poses = tuple(map(tf.constant, poses))
    with tf.GradientTape() as tape:
        tape.watch(poses)
        loss = reprojection.loss(poses, pair)
    np.testing.assert_allclose(loss, np.zeros(3), atol=1e-9)
    for gradient in tape.gradient(loss, poses):
        assert np.isfinite(gradient).all()


def test_it_has_finite_gradients_where_every_joint_is_exactly_hit_or_at_the_lens():
    _, pair = pairs.exact()
    camera = pair.source.camera._replace(intrinsics=np.tile(np.eye(3), (3, 1, 1)))
    view = pair.source._replace(camera=camera, keypoints_2d=np.zeros((3, 17, 2)))
    for depth in (1.0, 0.0, -1.0):
        pose = tf.constant(np.tile([0.0, 0.0, depth], (3, 17, 1)))
        with tf.GradientTape() as tape:
            tape.watch(pose)
            error = reprojection.error(pose, view, view.confidence)
        np.testing.assert_array_equal(error, np.zeros(3))
        assert np.isfinite(tape.gradient(error, pose)).all()


def test_the_two_views_count_alike():
    poses, pair = pairs.spoiled()
    swapped = reprojection.loss(poses[::-1], pair.swapped)
    np.testing.assert_allclose(swapped, reprojection.loss(poses, pair))


def test_an_error_is_counted_by_its_weight_and_distance():
    # Off by 3 and 4 pixels: 5, or 25 squared, times a weight of 1/2, at one joint of the rest.
    poses, pair = pairs.exact()
    keypoints_2d = pair.source.keypoints_2d.copy()
    keypoints_2d[:, 4] += [3, -4]
    view, weight = pair.source._replace(keypoints_2d=keypoints_2d), np.full((3, 17), 0.5)
    error = reprojection.error(poses[0], view, weight)
    np.testing.assert_allclose(error, [2.5] * 3)
    squared = reprojection.error(poses[0], view, weight, reprojection.squared_norm)
    np.testing.assert_allclose(squared, [12.5] * 3)


def test_the_distance_reaches_both_views():
    poses, pair = pairs.spoiled()
    loss = reprojection.loss(poses, pair, reprojection.squared_norm)
    expected = sum(
        reprojection.error(pose, view, view.confidence, reprojection.squared_norm)
        for pose, view in zip(poses, pair, strict=True)
    )
    np.testing.assert_allclose(loss, expected)
    assert not np.allclose(loss, reprojection.loss(poses, pair))


def test_joints_not_seen_do_not_count():
    poses, pair = pairs.exact()
    keypoints_2d, confidence = (value.copy() for value in pair.target[:2])
    keypoints_2d[:, 5], confidence[:, 5] = 0.0, 0.0
    hidden = pair._replace(
        target=pair.target._replace(keypoints_2d=keypoints_2d, confidence=confidence)
    )
    np.testing.assert_allclose(reprojection.loss(poses, hidden), np.zeros(3), atol=1e-9)
