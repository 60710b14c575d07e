import itertools

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import priors
from tests import random_scenes

BONES = skeletons.H36M_17.bones


def scene(seed=0, batch=3):
    rng = np.random.default_rng(seed)
    camera = random_scenes.camera(rng, batch)
    points = random_scenes.points(rng, batch, 17)
    is_known = rng.uniform(size=(batch, 17)) < 0.8
    is_known[:, 0] = True
    pose = random_scenes.points(rng, batch, 17)
    return points, is_known, camera, pose - pose[:, :1]


def target(points, is_known, camera):
    fields = cameras.Camera(*(tf.constant(field) for field in camera))
    return priors.triangulated_target(tf.convert_to_tensor(points), tf.constant(is_known), fields)


def test_the_target_is_the_pose_in_the_cameras_frame():
    points, is_known, camera, _ = scene()
    result = target(points, is_known, camera)
    for row in range(3):
        moved = random_scenes.move(points[row], random_scenes.one(camera, row))
        expected = np.where(is_known[row, :, np.newaxis], moved, 0.0)
        np.testing.assert_allclose(result.pose_camera[row], expected, atol=1e-12)
    np.testing.assert_array_equal(result.is_known, is_known)


def test_a_pose_of_which_nothing_is_known_costs_nothing():
    points, is_known, camera, pose = scene()
    is_known[1] = False
    result = target(points, is_known, camera)
    np.testing.assert_array_equal(priors.triangulated_pose_loss(pose, result)[1], 0.0)
    np.testing.assert_array_equal(priors.triangulated_bone_loss(pose, result)[1], 0.0)


def test_the_pose_loss_sums_the_distances_of_known_joints_once_their_means_are_the_same():
    points, is_known, camera, pose = scene()
    is_known[2, 0] = False
    result = target(points, is_known, camera)
    for row, loss in enumerate(priors.triangulated_pose_loss(pose, result).numpy()):
        known = np.flatnonzero(is_known[row])
        offset = pose[row, known] - result.pose_camera[row].numpy()[known]
        expected = sum(np.linalg.norm(error) for error in offset - offset.mean(axis=0))
        np.testing.assert_allclose(loss, expected)


def test_an_error_of_the_triangulated_root_is_one_joints_error():
    points, is_known, camera, _ = scene()
    result = target(points, np.ones_like(is_known), camera)
    pose = result.pose_camera.numpy() - result.pose_camera.numpy()[:, :1]
    np.testing.assert_allclose(priors.triangulated_pose_loss(pose, result), 0.0, atol=1e-12)
    shifted = result.pose_camera.numpy() + np.eye(17)[:, :1] * [0.0, 0.0, 0.17]
    # The root is 0.16 from the mean's shift of 0.01, each of the others 0.01.
    loss = priors.triangulated_pose_loss(pose, result._replace(pose_camera=tf.constant(shifted)))
    np.testing.assert_allclose(loss, 0.16 + 16 * 0.01)


def test_the_bone_loss_compares_each_bone_with_the_mean_of_both_sides():
    points, is_known, camera, pose = scene()
    sides = dict(zip(skeletons.H36M_17.left, skeletons.H36M_17.right, strict=True))
    sides |= {right: left for left, right in sides.items()}
    parent = {child: parent for parent, child in BONES}
    expected = np.zeros(3)
    for row, (_, child) in itertools.product(range(3), BONES):
        lengths = []
        for joint in {child, sides.get(child, child)}:
            if is_known[row, joint] and is_known[row, parent[joint]]:
                lengths.append(np.linalg.norm(points[row, joint] - points[row, parent[joint]]))
        if lengths:
            own = np.linalg.norm(pose[row, child] - pose[row, parent[child]])
            expected[row] += abs(own - np.mean(lengths))
    result = target(points, is_known, camera)
    np.testing.assert_allclose(priors.triangulated_bone_loss(pose, result), expected)


def test_the_bone_loss_minds_no_turn():
    points, is_known, camera, _ = scene()
    result = target(points, np.ones_like(is_known), camera)
    turned = result.pose_camera.numpy() @ random_scenes.rotation(np.random.default_rng(5), 3)
    losses = (
        priors.triangulated_bone_loss(turned, result),
        priors.triangulated_pose_loss(turned, result),
    )
    plain = priors.triangulated_bone_loss(result.pose_camera, result)
    np.testing.assert_allclose(losses[0], plain)
    assert (losses[1].numpy() > 1.0).all()


def test_gradients_are_finite_where_a_joint_is_right_and_go_to_the_pose_alone():
    points, is_known, camera, _ = scene()
    points = tf.constant(points)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(points)
        result = target(points, is_known, camera)
        pose = result.pose_camera + 0.0
        tape.watch(pose)
        loss = priors.triangulated_pose_loss(pose, result) + priors.triangulated_bone_loss(
            pose, result
        )
    assert np.isfinite(tape.gradient(loss, pose)).all()
    assert tape.gradient(loss, points) is None
