import numpy as np
import pytest
import scipy.spatial
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import residual
from keras_mvlift.training import lifters, multi_view_lifter, objectives
from tests import tiny_studio

INTRINSICS = [[500.0, 0.0, 100.0], [0.0, 500.0, 50.0], [0.0, 0.0, 1.0]]


@pytest.fixture
def view():
    # One joint seen at (600, 300) by a lens twice as long as the mean one, one not seen.
    keypoints_2d = tf.constant([[[600.0, 300.0], [7.0, 7.0]]])
    long_lens = tf.constant([[[1000.0, 0.0, 100.0], [0.0, 1000.0, 50.0], [0.0, 0.0, 1.0]]])
    camera = cameras.Camera(long_lens, tf.eye(3)[tf.newaxis], tf.zeros([1, 3]))
    return views.View(keypoints_2d, tf.constant([[1.0, 0.0]]), camera)


def test_rays_remove_the_views_own_lens(view):
    # 500 px right and 250 px down of the principal point at a focal length of 1000 px.
    seen = residual.input_by_name("rays")(view)
    np.testing.assert_allclose(seen.joints, [[[0.5, 0.25], [0.0, 0.0]]])
    assert seen.rays is seen.joints


def test_screen_scales_all_cameras_alike(view):
    # 500 px right and 250 px down of the principal point at the mean focal length, 500 px.
    seen = residual.input_by_name("screen", INTRINSICS)(view)
    np.testing.assert_allclose(seen.joints, [[[1.0, 0.5], [0.0, 0.0]]])
    np.testing.assert_allclose(seen.rays, view.rays)


def test_screen_without_intrinsics_is_refused():
    with pytest.raises(ValueError, match="`intrinsics` must be given for the input 'screen'"):
        residual.input_by_name("screen")


@pytest.mark.parametrize(
    ("name", "is_same"), [("rays", True), ("centered", True), ("screen", False)]
)
def test_only_the_screen_input_depends_on_the_lens(name, is_same):
    config = configs.ModelConfig(
        backbone="res_linear", width=16, network_input=name, output_stddev=0.1
    )
    objective = objectives.TransformReprojection()
    lifter = lifters.build(config, objective, rig_distance=4.0, intrinsics=INTRINSICS)
    rays = np.random.default_rng(0).normal(0, 0.2, (1, 17, 2)).astype(np.float32)

    def pose(focal: float) -> np.ndarray:
        lens = tf.constant([[[focal, 0.0, 0.0], [0.0, focal, 0.0], [0.0, 0.0, 1.0]]])
        camera = cameras.Camera(lens, tf.eye(3)[tf.newaxis], tf.zeros([1, 3]))
        seen = views.View(tf.constant(rays * focal), tf.ones([1, 17]), camera)
        return lifter(seen).root_relative_pose.numpy()

    assert np.allclose(pose(500.0), pose(1500.0), atol=1e-4) == is_same


# Centered views.

POINTS = np.random.default_rng(0).uniform(-0.8, 0.8, (2, 17, 3)) + np.array([0.7, -0.4, 4.0])


def view_of(points, focal=1000.0, confidence=None):
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
    seen = residual.centered_input(view_of(POINTS))
    aside = POINTS[..., :2] / POINTS[..., 2:]
    assert np.abs(aside.mean(axis=1)).min() > 0.05
    # Up to perspective.
    np.testing.assert_allclose(seen.rays.numpy().mean(axis=1), 0.0, atol=0.01)


def test_the_turned_rays_are_those_of_the_points_in_its_axes():
    seen = residual.centered_input(view_of(POINTS))
    points = np.einsum("bij,bkj->bki", seen.turn, POINTS)
    np.testing.assert_allclose(seen.rays, points[..., :2] / points[..., 2:], atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(seen.turn), 1.0, atol=1e-5)
    np.testing.assert_allclose(seen.back(tf.constant(points, tf.float32)), POINTS, atol=1e-5)


def test_where_in_the_image_a_person_is_does_not_matter_to_the_network():
    middle = POINTS.mean(axis=1, keepdims=True)
    straight = POINTS - middle + [0.0, 0.0, 4.0]
    aside = straight @ turned([0.0, 12.0, 0.0]).T
    one, other = (residual.centered_input(view_of(points)).joints for points in (straight, aside))
    np.testing.assert_allclose(one, other, atol=0.03)
    assert np.abs(view_of(straight).rays - view_of(aside).rays).max() > 0.2


def test_the_same_rays_through_another_lens_are_the_same_input():
    one, other = (residual.centered_input(view_of(POINTS, focal)).joints for focal in (700, 2000))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_joint_that_is_not_seen_is_nowhere_and_moves_nothing():
    confidence = np.ones((2, 17))
    confidence[:, 5] = 0.0
    moved = POINTS.copy()
    moved[:, 5] += 2.0
    one, other = (
        residual.centered_input(view_of(points, 1000.0, confidence)) for points in (POINTS, moved)
    )
    np.testing.assert_array_equal(one.joints[:, 5], 0.0)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_view_in_which_nobody_is_seen_gives_numbers():
    seen = residual.centered_input(view_of(POINTS, 1000.0, np.zeros((2, 17))))
    assert np.isfinite(seen.joints).all()
    assert np.isfinite(seen.turn).all()


@pytest.mark.parametrize("recipe", multi_view_lifter.RECIPES)
def test_a_turned_camera_gives_the_turned_pose_before_it(recipe):
    lifter = tiny_studio.trained(recipe=recipe, network_input="centered")
    turn = turned([0.0, 15.0, 0.0])
    # Far away, so that perspective matters little.
    straight = (POINTS - [0.7, -0.4, 4.0]) / 4 + [0.0, 0.0, 4.0]
    one, other = (lifter(view_of(points)) for points in (straight, straight @ turn.T))
    for field in ("root_relative_pose", "root_position"):
        expected = getattr(one, field) @ turn.T.astype(np.float32)
        size = np.abs(expected).max()
        np.testing.assert_allclose(getattr(other, field), expected, atol=0.02 * size)
        assert np.abs(getattr(other, field) - getattr(one, field)).max() > 0.1 * size


def test_an_untrained_root_lies_on_the_ray_to_the_pelvis():
    lifter = tiny_studio.lifter(network_input="centered")
    seen = view_of(POINTS)
    root_position = lifter(seen).root_position.numpy()
    rays = root_position[:, :2] / root_position[:, 2:]
    np.testing.assert_allclose(rays, seen.rays[:, 0], atol=0.01)
    # The rig's distance along the turned camera's axis.
    assert np.abs(np.linalg.norm(root_position, axis=-1) / tiny_studio.RIG_DISTANCE - 1).max() < 0.1
