import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import reprojection
from keras_mvlift.training import objectives
from tests import random_scenes

SHAPE = (2, 4, 17)


def scene(noise_px=0.0, seed=0):
    """Poses and roots in the first camera's frame, `[B, ...]`, and the views, `[B, V, ...]`."""
    rng = np.random.default_rng(seed)
    world = random_scenes.points(rng, SHAPE[0], SHAPE[2])
    camera = random_scenes.camera(rng, *SHAPE[:2])
    keypoints_2d = np.zeros((*SHAPE, 2))
    pose = np.zeros((SHAPE[0], SHAPE[2], 3))
    for row, view in np.ndindex(SHAPE[:2]):
        single = random_scenes.one(camera, (row, view))
        moved = random_scenes.move(world[row], single)
        keypoints_2d[row, view] = random_scenes.project(moved, single)
        if view == 0:
            pose[row] = moved
    keypoints_2d += rng.normal(0, noise_px, keypoints_2d.shape)
    seen = views.View(keypoints_2d, rng.uniform(0.3, 1.0, SHAPE), camera)
    return pose - pose[:, :1], pose[:, 0], tf.nest.map_structure(tf.constant, seen)


def solve(pose, seen, **options):
    own = tf.nest.map_structure(lambda field: field[:, 0], seen)
    return objectives.RootSolver(**options)(tf.constant(pose), own, seen)


def residuals(root, pose, seen, row):
    """Weighted reprojection errors of one instant, pixels, a view at a time."""
    first = random_scenes.one(seen.camera, (row, 0))
    world = (pose[row] + root) @ first.rotation + first.center
    errors = []
    for view in range(SHAPE[1]):
        single = random_scenes.one(seen.camera, (row, view))
        projected = random_scenes.project(random_scenes.move(world, single), single)
        weight = seen.confidence[row, view].numpy()[:, np.newaxis]
        errors.append(weight * (projected - seen.keypoints_2d[row, view].numpy()))
    return np.concatenate(errors).ravel()


def best(pose, seen, row, start, **loss):
    fit = scipy.optimize.least_squares(residuals, start, args=(pose, seen, row), **loss)
    return fit.x


@pytest.mark.parametrize("image_space", reprojection.IMAGE_SPACES)
@pytest.mark.parametrize("steps", [(0, 0), (2, 0), (0, 2), (1, 1)])
def test_true_poses_have_their_roots_solved_exactly(steps, image_space):
    pose, root, seen = scene()
    robust, gauss_newton = steps
    options = {"robust_steps": robust, "gauss_newton_steps": gauss_newton}
    found = solve(pose, seen, image_space=image_space, **options)
    np.testing.assert_allclose(found, root, atol=1e-5)


def test_gauss_newton_steps_lead_to_the_least_projected_error():
    pose, root, seen = scene(noise_px=40.0)
    closed, found = solve(pose, seen), solve(pose, seen, gauss_newton_steps=4)
    for row in range(SHAPE[0]):
        expected = best(pose, seen, row, root[row])
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
        assert np.linalg.norm(closed[row] - expected) > 1e-3


def test_one_step_takes_most_of_the_way():
    pose, root, seen = scene(noise_px=40.0)
    closed, found = solve(pose, seen), solve(pose, seen, gauss_newton_steps=1)
    for row in range(SHAPE[0]):
        expected = best(pose, seen, row, root[row])
        left = np.linalg.norm(found[row] - expected) / np.linalg.norm(closed[row] - expected)
        assert left < 0.1


def test_rays_find_the_least_error_between_rays():
    pose, root, seen = scene(noise_px=40.0)
    (converted,) = reprojection.in_rays(seen)
    found = solve(pose, seen, gauss_newton_steps=4, image_space="rays")
    for row in range(SHAPE[0]):
        expected = best(pose, converted, row, root[row])
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
        assert np.linalg.norm(best(pose, seen, row, root[row]) - expected) > 1e-4


def test_robust_steps_follow_no_gross_error():
    pose, root, seen = scene(noise_px=2.0)
    keypoints_2d = seen.keypoints_2d.numpy()
    keypoints_2d[:, 2, :6] += 300.0
    spoiled = seen._replace(keypoints_2d=tf.constant(keypoints_2d))
    off = {
        name: np.linalg.norm(solve(pose, spoiled, **options) - root, axis=-1).max()
        for name, options in {
            "closed": {},
            "robust": {"robust_steps": 5},
            "both": {"robust_steps": 5, "gauss_newton_steps": 2},
        }.items()
    }
    assert off["closed"] > 0.1
    assert off["robust"] < 0.01
    assert off["both"] < 0.01


def test_robust_gauss_newton_steps_end_where_the_kernels_loss_is_least():
    pose, root, seen = scene(noise_px=20.0)
    # With confidences of 1 the kernel's error is that which is minimized.
    seen = seen._replace(confidence=tf.ones_like(seen.confidence))
    options = {"robust_kernel": "cauchy", "robust_scale_px": 15.0}
    found = solve(pose, seen, robust_steps=3, gauss_newton_steps=40, **options)

    def loss(root_position, row):
        squared = np.square(residuals(root_position, pose, seen, row).reshape(-1, 2)).sum(axis=-1)
        return np.log1p(squared / 15.0**2).sum()

    for row in range(SHAPE[0]):
        slope = scipy.optimize.approx_fprime(found[row].numpy(), loss, 1e-7, row)
        start = scipy.optimize.approx_fprime(solve(pose, seen)[row].numpy(), loss, 1e-7, row)
        assert np.abs(slope).max() < 1e-3 * np.abs(start).max()
        assert loss(found[row].numpy(), row) < loss(root[row], row)


def test_a_step_that_would_enlarge_the_error_is_not_taken():
    # Poses of an untrained network: not one joint is where it belongs, nor before all cameras.
    rng = np.random.default_rng(1)
    _, _, seen = scene(seed=1)
    wild = rng.normal(0, 3.0, (SHAPE[0], SHAPE[2], 3))
    costs = []
    for steps in range(4):
        found = solve(wild, seen, gauss_newton_steps=steps)
        own = cameras.Camera(*(field[:, 0] for field in seen.camera))
        world = cameras.world_from_camera(wild + found[:, tf.newaxis], own)[:, tf.newaxis]
        moved = cameras.camera_from_world(world, seen.camera)
        error = cameras.project(moved, seen.camera.intrinsics) - seen.keypoints_2d
        weighted = seen.confidence[..., tf.newaxis] * error
        costs.append(tf.reduce_sum(tf.square(weighted), axis=[1, 2, 3]).numpy())
    assert (np.diff(costs, axis=0) <= 0).all()


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_gradients_are_finite_and_reach_every_joint(spread):
    pose, _, seen = scene(noise_px=5.0)
    rng = np.random.default_rng(2)
    pose = tf.constant(pose + rng.normal(0, spread, pose.shape))
    with tf.GradientTape() as tape:
        tape.watch(pose)
        found = solve(pose, seen, robust_steps=1, gauss_newton_steps=2)
    gradient = tape.gradient(found, pose).numpy()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).sum(axis=-1).all()


def test_the_gradient_of_a_step_is_the_slope():
    pose, _, seen = scene(noise_px=10.0)
    pose = tf.constant(pose)
    with tf.GradientTape() as tape:
        tape.watch(pose)
        total = tf.reduce_sum(solve(pose, seen, gauss_newton_steps=1))
    gradient = tape.gradient(total, pose)
    direction = np.random.default_rng(3).normal(size=pose.shape)
    ahead, behind = (
        tf.reduce_sum(solve(pose + step * direction, seen, gauss_newton_steps=1))
        for step in (1e-5, -1e-5)
    )
    np.testing.assert_allclose((ahead - behind) / 2e-5, np.sum(gradient * direction), rtol=1e-4)


def test_nothing_seen_is_still_a_number():
    pose, _, seen = scene()
    blind = seen._replace(confidence=tf.zeros_like(seen.confidence))
    found = solve(pose, blind, robust_steps=1, gauss_newton_steps=1)
    assert np.isfinite(found).all()
