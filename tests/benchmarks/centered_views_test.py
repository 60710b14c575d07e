import numpy as np
import scipy.spatial
import tensorflow as tf

from benchmarks import centered_views
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras

POINTS = np.random.default_rng(0).uniform(-0.8, 0.8, (2, 17, 3)) + np.array([0.7, -0.4, 4.0])


def view(points, focal=1000.0, confidence=None):
    """Returns what a camera at the origin sees of points in its own axes."""
    intrinsics = np.tile(np.diag([focal, focal, 1.0]), (len(points), 1, 1))
    intrinsics[:, :2, 2] = 500.0
    camera = cameras.Camera(intrinsics, np.tile(np.eye(3), (len(points), 1, 1)), points[:, 0] * 0)
    keypoints_2d = cameras.project(points, intrinsics)
    if confidence is None:
        confidence = np.ones(points.shape[:2])
    return tf.nest.map_structure(
        lambda field: tf.constant(field, tf.float32), views.View(keypoints_2d, confidence, camera)
    )


def turned(angles):
    return scipy.spatial.transform.Rotation.from_euler("xyz", angles, degrees=True).as_matrix()


def test_the_turned_camera_sees_the_person_in_the_middle():
    seen = centered_views.of(view(POINTS))
    aside = POINTS[..., :2] / POINTS[..., 2:]
    assert np.abs(aside.mean(axis=1)).min() > 0.05
    # Up to perspective.
    np.testing.assert_allclose(seen.rays.numpy().mean(axis=1), 0.0, atol=0.01)


def test_the_turned_rays_are_those_of_the_points_in_its_axes():
    seen = centered_views.of(view(POINTS))
    points = np.einsum("bij,bkj->bki", seen.turn, POINTS)
    np.testing.assert_allclose(seen.rays, points[..., :2] / points[..., 2:], atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(seen.turn), 1.0, atol=1e-5)
    np.testing.assert_allclose(seen.back(tf.constant(points, tf.float32)), POINTS, atol=1e-5)


def test_where_in_the_image_a_person_is_does_not_matter_to_the_network():
    middle = POINTS.mean(axis=1, keepdims=True)
    straight = POINTS - middle + [0.0, 0.0, 4.0]
    aside = straight @ turned([0.0, 12.0, 0.0]).T
    one, other = (centered_views.of(view(points)).network_input for points in (straight, aside))
    np.testing.assert_allclose(one, other, atol=0.03)
    assert np.abs(view(straight).rays - view(aside).rays).max() > 0.2


def test_the_same_rays_through_another_lens_are_the_same_input():
    one, other = (centered_views.of(view(POINTS, focal)).network_input for focal in (700, 2000))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_joint_that_is_not_seen_is_nowhere_and_moves_nothing():
    confidence = np.ones((2, 17))
    confidence[:, 5] = 0.0
    moved = POINTS.copy()
    moved[:, 5] += 2.0
    one, other = (centered_views.of(view(points, 1000.0, confidence)) for points in (POINTS, moved))
    np.testing.assert_array_equal(one.network_input[:, 5], 0.0)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_view_in_which_nobody_is_seen_gives_numbers():
    seen = centered_views.of(view(POINTS, 1000.0, np.zeros((2, 17))))
    assert np.isfinite(seen.network_input).all()
    assert np.isfinite(seen.turn).all()


def test_a_rolled_camera_sees_the_same_points_in_its_own_axes():
    seen = centered_views.of(view(POINTS))
    rolled = seen.rolled(tf.constant(np.radians([30.0, -100.0]), tf.float32))
    points = np.einsum("bij,bkj->bki", rolled.turn, POINTS)
    np.testing.assert_allclose(rolled.rays, points[..., :2] / points[..., 2:], atol=1e-5)
    np.testing.assert_allclose(rolled.back(tf.constant(points, tf.float32)), POINTS, atol=1e-5)
    np.testing.assert_array_equal(rolled.size, seen.size)
    between = np.einsum("bij,bkj->bik", rolled.turn, seen.turn)
    angle = np.degrees(np.arctan2(between[:, 1, 0], between[:, 0, 0]))
    np.testing.assert_allclose(angle, [30.0, -100.0], atol=1e-3)
