import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.training import augmentation, objectives
from tests import random_scenes

LEFT, RIGHT = skeletons.H36M_17.left, skeletons.H36M_17.right
# Batch, views, joints.
SHAPE = (3, 4, 17)


@pytest.fixture
def scene():
    """Poses `[B, J, 3]` in the world, and the views that saw them exactly."""
    rng = np.random.default_rng(0)
    world = random_scenes.points(rng, SHAPE[0], SHAPE[2])
    camera = random_scenes.camera(rng, *SHAPE[:2])
    keypoints_2d = np.zeros((*SHAPE, 2))
    for index in np.ndindex(SHAPE[:2]):
        single = random_scenes.one(camera, index)
        moved = random_scenes.move(world[index[0]], single)
        keypoints_2d[index] = random_scenes.project(moved, single)
    confidence = rng.uniform(0.5, 1.0, SHAPE)
    seen = views.View(keypoints_2d, confidence, camera)
    return world, tf.nest.map_structure(tf.constant, seen)


def swapped(joints):
    """Exchanges the sides, a pair of joints at a time; the joints are the first axis."""
    result = joints.copy()
    for left, right in zip(LEFT, RIGHT, strict=True):
        result[left], result[right] = joints[right], joints[left]
    return result


def test_a_mirrored_instant_triangulates_to_the_mirrored_person(scene):
    world, seen = scene
    mirrored = augmentation.mirrored(seen)
    points, _ = triangulation.triangulate(*mirrored)
    expected = np.array([swapped(pose) for pose in world]) * [-1, 1, 1]
    np.testing.assert_allclose(points, expected, atol=1e-5)


def test_a_mirrored_camera_sees_the_mirror_image_of_what_it_saw(scene):
    world, seen = scene
    mirrored = augmentation.mirrored(seen)
    pose = cameras.camera_from_world(world[:, np.newaxis], seen.camera).numpy()
    moved = cameras.camera_from_world((world * [-1, 1, 1])[:, np.newaxis], mirrored.camera)
    np.testing.assert_allclose(moved, pose * [-1, 1, 1], atol=1e-9)


def test_mirrored_cameras_are_turned_not_reflected(scene):
    rotation = augmentation.mirrored(scene[1]).camera.rotation
    identity = tf.linalg.matmul(rotation, cameras.inverse(rotation))
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)


def test_rays_change_the_sign_of_x_and_confidences_their_sides(scene):
    _, seen = scene
    mirrored = augmentation.mirrored(seen)
    for index in np.ndindex(SHAPE[:2]):
        ray = seen.rays[index].numpy() * [-1, 1]
        np.testing.assert_allclose(mirrored.rays[index], swapped(ray), atol=1e-12)
        confidence = swapped(seen.confidence[index].numpy())
        np.testing.assert_array_equal(mirrored.confidence[index], confidence)


def test_two_mirrors_give_everything_back(scene):
    world, seen = scene
    twice = augmentation.mirrored(augmentation.mirrored(seen))
    for again, first in zip(tf.nest.flatten(twice), tf.nest.flatten(seen), strict=True):
        np.testing.assert_allclose(again, first, atol=1e-9)
    pose = tf.constant(world)
    np.testing.assert_array_equal(
        augmentation.mirrored_pose(augmentation.mirrored_pose(pose)), pose
    )


def test_a_mirrored_pose_has_its_sides_exchanged(scene):
    pose = scene[0][0]
    expected = swapped(pose) * [-1, 1, 1]
    np.testing.assert_array_equal(augmentation.mirrored_pose(tf.constant(pose)), expected)


def test_what_was_not_seen_stays_at_zero_on_the_other_side(scene):
    _, seen = scene
    left, right = LEFT[2], RIGHT[2]
    keypoints_2d, confidence = seen.keypoints_2d.numpy(), seen.confidence.numpy()
    keypoints_2d[:, :, left], confidence[:, :, left] = 0, 0
    hidden = seen._replace(keypoints_2d=tf.constant(keypoints_2d), confidence=confidence)
    mirrored = augmentation.mirrored(hidden)
    assert not mirrored.keypoints_2d.numpy()[:, :, right].any()
    assert not mirrored.confidence.numpy()[:, :, right].any()
    assert mirrored.keypoints_2d.numpy()[:, :, left].all()


def test_only_the_marked_instants_are_mirrored(scene):
    _, seen = scene
    instants = objectives.Instants(seen)
    result = augmentation.mirrored_where(tf.constant([True, False, True]), instants).seen
    whole = augmentation.mirrored(seen)
    fields = (tf.nest.flatten(part) for part in (result, whole, seen))
    for field, mirrored, plain in zip(*fields, strict=True):
        np.testing.assert_array_equal(field[::2], mirrored[::2])
        np.testing.assert_array_equal(field[1], plain[1])


def test_marked_instants_agree_on_the_mirror_image_of_what_they_agreed_on(scene):
    _, seen = scene
    instants = objectives.Instants(seen, objectives.agreement_of(seen))
    result = augmentation.mirrored_where(tf.constant([True, False, True]), instants)
    expected = objectives.agreement_of(result.seen)
    np.testing.assert_allclose(result.agreed.points, expected.points, atol=1e-6)
    np.testing.assert_array_equal(result.agreed.is_known, expected.is_known)


def test_both_views_of_marked_pairs_are_mirrored_and_the_windows_around_them(scene):
    _, seen = scene
    rng = np.random.default_rng(1)

    def windowed(view):
        frames = tf.constant(rng.uniform(100.0, 900.0, (SHAPE[0], 5, 17, 2)))
        sure = tf.constant(rng.uniform(0.1, 1.0, (SHAPE[0], 5, 17)))
        one = tf.nest.map_structure(lambda field: field[:, view], seen)
        return views.WindowedView(*one, window_keypoints_2d=frames, window_confidence=sure)

    pair = views.ViewPair(windowed(0), windowed(2))
    result = augmentation.mirrored_where(tf.constant([True, False, True]), pair)
    for found, given in zip(result, pair, strict=True):
        expected = augmentation.mirrored(given.view)
        np.testing.assert_array_equal(found.rays[::2], expected.rays[::2])
        np.testing.assert_array_equal(found.camera.center[::2], expected.camera.center[::2])
        tf.nest.map_structure(lambda x, y: np.testing.assert_array_equal(x[1], y[1]), found, given)
        for frame in range(5):
            rays = [swapped(one) * [-1, 1] for one in given.window_rays[::2, frame].numpy()]
            np.testing.assert_allclose(found.window_rays[::2, frame], rays, atol=1e-9)
            sure = [swapped(one) for one in given.window_confidence[::2, frame].numpy()]
            np.testing.assert_array_equal(found.window_confidence[::2, frame], sure)
