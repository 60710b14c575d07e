"""The paper's equations against loops over joints, and what errors are weighed and measured by."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import reprojection
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests import view_pairs as pairs

WEIGHTS = {
    "source": lambda own, other: own,
    "target": lambda own, other: other,
    "product": lambda own, other: own * other,
    "none": lambda own, other: 1.0,
}
LIFTED_FROM = np.array([0.5, 0.8, 0.0, 0.9])
COMPARED_WITH = np.array([0.25, 1.0, 0.6, 0.0])
SHAPE = (3, 4, 17)


def eq_2(pose_1, pose_2, camera_1, camera_2, x_1, x_2, w_1, w_2):
    first = w_1 * np.linalg.norm(x_1 - pairs.rho(pose_1, camera_1))
    return first + w_2 * np.linalg.norm(x_2 - pairs.rho(pose_2, camera_2))


def eq_5(weight, pose_1, pose_2, camera_1, camera_2, x_1, x_2, w_1, w_2):
    in_2 = pairs.rho(pairs.tau(pose_1, camera_1, camera_2), camera_2)
    in_1 = pairs.rho(pairs.tau(pose_2, camera_2, camera_1), camera_1)
    there = weight(w_1, w_2) * np.linalg.norm(x_2 - in_2)
    return there + weight(w_2, w_1) * np.linalg.norm(x_1 - in_1)


def eq_6(pose_1, pose_2, camera_1, camera_2, *_):
    there = np.linalg.norm(pairs.tau(pose_1, camera_1, camera_2) - pose_2)
    return there + np.linalg.norm(pairs.tau(pose_2, camera_2, camera_1) - pose_1)


EQUATIONS = {
    "eq. (2)": (reprojection.loss, eq_2),
    "eq. (5) as printed": (reprojection.transform_loss, functools.partial(eq_5, WEIGHTS["source"])),
    "eq. (6)": (reprojection.pretraining_loss, eq_6),
} | {
    f"eq. (5), {name}": (
        functools.partial(reprojection.transform_loss, weight=reprojection.WEIGHTINGS[name]),
        functools.partial(eq_5, weight),
    )
    for name, weight in WEIGHTS.items()
}
every_equation = pytest.mark.parametrize(
    ("loss", "equation"), EQUATIONS.values(), ids=EQUATIONS.keys()
)
every_distance = pytest.mark.parametrize(
    "distance", reprojection.DISTANCES.values(), ids=reprojection.DISTANCES.keys()
)


@every_equation
@pytest.mark.parametrize(("batch", "num_joints"), [(1, 17), (17, 17), (3, 3), (0, 17)])
def test_it_is_the_equation_joint_by_joint(loss, equation, batch, num_joints):
    poses, pair = pairs.spoiled(batch, num_joints=num_joints)
    found = loss(poses, pair)
    assert found.shape == (batch,)
    np.testing.assert_allclose(found, pairs.by_hand(poses, pair, equation))


@every_equation
def test_it_is_zero_at_the_truth_with_finite_gradients(loss, equation):
    del equation
    poses, pair = pairs.exact()
    poses = tuple(map(tf.constant, poses))
    with tf.GradientTape() as tape:
        tape.watch(poses)
        found = loss(poses, pair)
    np.testing.assert_allclose(found, np.zeros(3), atol=1e-8)
    for gradient in tape.gradient(found, poses):
        assert np.isfinite(gradient).all()


@every_equation
def test_the_two_views_count_alike(loss, equation):
    del equation
    poses, pair = pairs.spoiled()
    np.testing.assert_allclose(loss(poses[::-1], pair.swapped), loss(poses, pair))


@pytest.mark.parametrize("weight", [None, *reprojection.WEIGHTINGS.values()])
def test_joints_not_seen_do_not_count(weight):
    poses, pair = pairs.exact()
    keypoints_2d, confidence = (value.copy() for value in pair.target[:2])
    keypoints_2d[:, 5], confidence[:, 5] = 0.0, 0.0
    target = pair.target._replace(keypoints_2d=keypoints_2d, confidence=confidence)
    hidden = pair._replace(target=target)
    if weight is None:
        loss = reprojection.loss(poses, hidden)
    else:
        loss = reprojection.transform_loss(poses, hidden, weight=weight)
    np.testing.assert_allclose(loss, np.zeros(3), atol=1e-8)


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


def test_the_distance_is_the_one_asked_for():
    # One joint off by 3 and 4 pixels in the target, every weight 1: 5 or 25.
    poses, pair = pairs.exact()
    keypoints_2d = pair.target.keypoints_2d.copy()
    keypoints_2d[:, 4] += [3, -4]
    pair = pair._replace(target=pair.target._replace(keypoints_2d=keypoints_2d))
    for distance, expected in ((reprojection.norm, 5), (reprojection.squared_norm, 25)):
        loss = reprojection.transform_loss(poses, pair, distance, reprojection.WEIGHTINGS["none"])
        np.testing.assert_allclose(loss, [expected] * 3)


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


def test_norm_golden():
    np.testing.assert_allclose(reprojection.norm(np.array([[3.0, 4.0], [0.0, 0.0]])), [5, 0])


def test_squared_norm_golden():
    np.testing.assert_allclose(
        reprojection.squared_norm(np.array([[3.0, 4.0], [0.0, 0.0]])), [25, 0]
    )


@every_distance
@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
def test_distances_of_any_batch_shape_and_dimension(distance, batch):
    for dimension in (2, 3):
        vectors = np.random.default_rng(0).normal(size=(*batch, dimension))
        lengths = distance(vectors).numpy()
        assert lengths.shape == batch
        for index in np.ndindex(batch):
            np.testing.assert_allclose(lengths[index], distance(vectors[index]))


@every_distance
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-18, 1e-6, 1.0, 1e6])
def test_gradients_are_finite_at_and_near_zero(distance, size):
    vectors = tf.constant([[0.6 * size, 0.8 * size]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        length = distance(vectors)
    assert np.isfinite(length).all()
    gradient = tape.gradient(length, vectors).numpy()
    assert np.isfinite(gradient).all()
    if size == 0:
        assert (gradient == 0).all()


def test_the_gradient_of_the_norm_is_the_direction():
    vectors = tf.constant([[3.0, 4.0], [0.0, -1e-3]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        length = reprojection.norm(vectors)
    np.testing.assert_allclose(tape.gradient(length, vectors), [[0.6, 0.8], [0, -1]], atol=1e-6)


def test_distances_are_found_by_name():
    assert reprojection.DISTANCES["norm"] is reprojection.norm
    assert reprojection.DISTANCES["squared_norm"] is reprojection.squared_norm


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # The last joint is not seen in the view compared with, and never counts.
        ("source", [0.5, 0.8, 0.0, 0.0]),
        ("target", [0.25, 1.0, 0.6, 0.0]),
        ("product", [0.125, 0.8, 0.0, 0.0]),
        ("none", [1.0, 1.0, 1.0, 0.0]),
    ],
)
def test_weighting_goldens(name, expected):
    weights = reprojection.WEIGHTINGS[name](LIFTED_FROM, COMPARED_WITH)
    np.testing.assert_allclose(weights, expected)


@pytest.mark.parametrize("weight", reprojection.WEIGHTINGS.values(), ids=reprojection.WEIGHTINGS)
@pytest.mark.parametrize("batch", [(), (2, 3), (0,)])
def test_weights_of_any_batch_shape(weight, batch):
    lifted_from, compared_with = np.random.default_rng(0).uniform(size=(2, *batch, 17))
    weights = np.asarray(weight(lifted_from, compared_with))
    assert weights.shape == (*batch, 17)
    assert weights.dtype == np.float64
    for index in np.ndindex(batch):
        np.testing.assert_allclose(weights[index], weight(lifted_from[index], compared_with[index]))


def triangulated(seed=0, batch=3):
    """Targets, which joints of them are known, and other poses with their root at 0."""
    rng = np.random.default_rng(seed)
    target, pose = (random_scenes.points(rng, batch, 17) for _ in range(2))
    is_known = rng.uniform(size=(batch, 17)) < 0.8
    is_known[:, 0] = True
    return tf.constant(target), tf.constant(is_known), tf.constant(pose - pose[:, :1])


def test_a_pose_of_which_nothing_is_known_costs_nothing():
    target, is_known, pose = triangulated()
    is_known = is_known & tf.constant([[True], [False], [True]])
    loss = reprojection.triangulated_pose_loss(pose, target, is_known)
    assert (loss.numpy() > 0).tolist() == [True, False, True]


def test_the_triangulated_loss_sums_the_distances_of_known_joints_once_their_means_are_the_same():
    target, is_known, pose = (value.numpy() for value in triangulated())
    is_known[2, 0] = False
    losses = reprojection.triangulated_pose_loss(pose, target, tf.constant(is_known))
    for row, loss in enumerate(losses.numpy()):
        known = np.flatnonzero(is_known[row])
        offset = pose[row, known] - target[row, known]
        expected = sum(np.linalg.norm(error) for error in offset - offset.mean(axis=0))
        np.testing.assert_allclose(loss, expected)


def test_an_error_of_the_triangulated_root_is_one_joints_error():
    target, is_known, _ = triangulated()
    every = tf.ones_like(is_known)
    loss = reprojection.triangulated_pose_loss(target - target[:, :1], target, every)
    np.testing.assert_allclose(loss, 0.0, atol=1e-12)
    shifted = target + np.eye(17)[:, :1] * [0.0, 0.0, 0.17]
    # The root is 0.16 from the mean's shift of 0.01, each of the others 0.01.
    loss = reprojection.triangulated_pose_loss(target - target[:, :1], shifted, every)
    np.testing.assert_allclose(loss, 0.16 + 16 * 0.01)


def test_the_triangulated_loss_has_a_finite_gradient_where_a_joint_is_right():
    target, is_known, _ = triangulated()
    pose = target + 0.0
    with tf.GradientTape() as tape:
        tape.watch(pose)
        loss = reprojection.triangulated_pose_loss(pose, target, is_known)
    assert np.isfinite(tape.gradient(loss, pose)).all()


@pytest.fixture(scope="module")
def scene():
    """Poses in the second camera's frame, some joints behind cameras, and views of anything."""
    rng = np.random.default_rng(0)
    seen = views.View(
        rng.uniform(0, 1000, (*SHAPE, 2)),
        rng.uniform(0.1, 1, SHAPE),
        random_scenes.camera(rng, *SHAPE[:2]),
    )
    pose = rng.uniform(-1, 1, (3, 17, 3)) + np.array([0.0, 0.0, 4.0])
    pose[:, ::5, 2] -= 5.0
    return tf.constant(pose), tf.nest.map_structure(tf.constant, seen)


@every_distance
def test_all_views_error_is_that_of_the_pose_moved_into_each_view(scene, distance):
    pose, seen = scene
    own = tf.nest.map_structure(lambda field: field[:, 1:2], seen.camera)
    results, gradients = [], []
    for is_fast in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(pose)
            if is_fast:
                camera = tf.nest.map_structure(lambda field: field[:, 0], own)
                arguments = (pose, camera, seen, seen.confidence, distance, 0.5)
                error = reprojection.all_views_error(*arguments)
            else:
                moved = cameras.target_from_source(pose[:, tf.newaxis], own, seen.camera)
                error = reprojection.error(moved, seen, seen.confidence, distance, 0.5)
        results.append(error)
        gradients.append(tape.gradient(error, pose))
    assert results[0].shape == SHAPE[:2]
    np.testing.assert_allclose(*results, rtol=1e-9)
    np.testing.assert_allclose(*gradients, rtol=1e-7, atol=1e-6)
