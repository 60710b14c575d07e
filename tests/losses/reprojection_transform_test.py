import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.losses import reprojection
from tests.losses import pairs

WEIGHTS = {
    "source": lambda own, other: own,
    "target": lambda own, other: other,
    "product": lambda own, other: own * other,
    "none": lambda own, other: 1.0,
}


def eq_5(weight, pose_1, pose_2, camera_1, camera_2, x_1, x_2, w_1, w_2):
    in_2 = pairs.rho(pairs.tau(pose_1, camera_1, camera_2), camera_2)
    in_1 = pairs.rho(pairs.tau(pose_2, camera_2, camera_1), camera_1)
    there = weight(w_1, w_2) * np.linalg.norm(x_2 - in_2)
    return there + weight(w_2, w_1) * np.linalg.norm(x_1 - in_1)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(("batch", "num_joints"), [(1, 17), (17, 17), (3, 3), (0, 17)])
def test_it_is_eq_5_joint_by_joint(name, batch, num_joints):
    poses, pair = pairs.spoiled(batch, num_joints=num_joints)
    expected = pairs.by_hand(poses, pair, functools.partial(eq_5, WEIGHTS[name]))
    loss = reprojection.transform_loss(poses, pair, weight=reprojection.WEIGHTINGS[name])
    assert loss.shape == (batch,)
    np.testing.assert_allclose(loss, expected)


def test_unless_told_otherwise_it_is_eq_5_as_printed():
    poses, pair = pairs.spoiled()
    expected = pairs.by_hand(poses, pair, functools.partial(eq_5, WEIGHTS["source"]))
    np.testing.assert_allclose(reprojection.transform_loss(poses, pair), expected)


@pytest.mark.parametrize("distance", reprojection.DISTANCES.values(), ids=reprojection.DISTANCES)
def test_it_is_zero_at_the_truth_with_finite_gradients(distance):
    poses, pair = pairs.exact()
    poses = tuple(map(tf.constant, poses))
    with tf.GradientTape() as tape:
        tape.watch(poses)
        loss = reprojection.transform_loss(poses, pair, distance)
    np.testing.assert_allclose(loss, np.zeros(3), atol=1e-8)
    for gradient in tape.gradient(loss, poses):
        assert np.isfinite(gradient).all()


def test_it_has_finite_gradients_where_a_moved_joint_is_at_the_other_lens():
    poses, pair = pairs.exact()
    source, target = (view.camera for view in pair)
    lens = np.einsum("bij,bj->bi", source.rotation, target.center - source.center)
    pose = tf.constant(np.tile(lens[:, np.newaxis], (1, 17, 1)))
    with tf.GradientTape() as tape:
        tape.watch(pose)
        loss = reprojection.transform_loss((pose, poses[1]), pair)
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, pose)).all()


def test_the_two_directions_count_alike():
    poses, pair = pairs.spoiled()
    swapped = reprojection.transform_loss(poses[::-1], pair.swapped)
    np.testing.assert_allclose(swapped, reprojection.transform_loss(poses, pair))


@pytest.mark.parametrize("weight", reprojection.WEIGHTINGS.values(), ids=reprojection.WEIGHTINGS)
def test_a_joint_that_the_other_view_did_not_see_never_counts(weight):
    poses, pair = pairs.exact()
    keypoints_2d, confidence = (value.copy() for value in pair.target[:2])
    keypoints_2d[:, 5], confidence[:, 5] = 0.0, 0.0
    target = pair.target._replace(keypoints_2d=keypoints_2d, confidence=confidence)
    hidden = pair._replace(target=target)
    loss = reprojection.transform_loss(poses, hidden, weight=weight)
    np.testing.assert_allclose(loss, np.zeros(3), atol=1e-8)


def test_the_distance_is_the_one_asked_for():
    # One joint off by 3 and 4 pixels in the target, every weight 1: 5 or 25.
    poses, pair = pairs.exact()
    keypoints_2d = pair.target.keypoints_2d.copy()
    keypoints_2d[:, 4] += [3, -4]
    pair = pair._replace(target=pair.target._replace(keypoints_2d=keypoints_2d))
    for distance, expected in ((reprojection.norm, 5), (reprojection.squared_norm, 25)):
        loss = reprojection.transform_loss(poses, pair, distance, reprojection.weight_seen_alike)
        np.testing.assert_allclose(loss, [expected] * 3)
