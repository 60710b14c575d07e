"""The paper's τ, where extrinsics of another convention would go wrong without a word."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import cameras
from tests import random_scenes

seeds = hypothesis.strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=15, deadline=None)


def from_center(rng, *batch):
    """A camera from its center, and OpenCV's rotation and translation of the same camera."""
    rotation, translation = random_scenes.opencv_extrinsics(rng, *batch)
    center = -np.einsum("...ji,...j->...i", rotation, translation)
    intrinsics = random_scenes.intrinsics(rng, *batch)
    return cameras.from_center(intrinsics, rotation, center), rotation, translation


def from_opencv(rng, *batch):
    rotation, translation = random_scenes.opencv_extrinsics(rng, *batch)
    intrinsics = random_scenes.intrinsics(rng, *batch)
    return cameras.from_opencv(intrinsics, rotation, translation), rotation, translation


def look_at(rng, *batch):
    center = 5.0 * random_scenes.points(rng, *batch)
    aim = random_scenes.points(rng, *batch)
    intrinsics = random_scenes.intrinsics(rng, *batch)
    camera = cameras.look_at(intrinsics, center, aim, [0.0, 0.0, 1.0])
    # Its rows are the camera's axes in the world: right, down, forward.
    forward = (aim - center) / np.linalg.norm(aim - center, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=-2)
    return camera, rotation, -np.einsum("...ij,...j->...i", rotation, center)


MAKERS = pytest.mark.parametrize("make", [from_center, from_opencv, look_at])


@MAKERS
@few_examples
@hypothesis.given(seed=seeds)
def test_it_is_the_way_through_the_world(make, seed):
    rng = np.random.default_rng(seed)
    source, target = make(rng)[0], make(rng)[0]
    points = random_scenes.points(rng, 6)
    through_world = cameras.camera_from_world(cameras.world_from_camera(points, source), target)
    moved = cameras.target_from_source(points, source, target)
    np.testing.assert_allclose(moved, through_world, atol=1e-12)


@MAKERS
@few_examples
@hypothesis.given(seed=seeds)
def test_it_is_opencvs_extrinsics_undone_and_applied(make, seed):
    rng = np.random.default_rng(seed)
    source, source_rotation, source_translation = make(rng)
    target, target_rotation, target_translation = make(rng)
    points = random_scenes.points(rng, 6)
    world = [source_rotation.T @ (point - source_translation) for point in points]
    expected = [target_rotation @ point + target_translation for point in world]
    moved = cameras.target_from_source(points, source, target)
    np.testing.assert_allclose(moved, expected, atol=1e-12)


@MAKERS
def test_there_and_back_is_home(make):
    rng = np.random.default_rng(0)
    source, target = make(rng, 5)[0], make(rng, 5)[0]
    points = random_scenes.points(rng, 5, 6)
    there = cameras.target_from_source(points, source, target)
    back = cameras.target_from_source(there, target, source)
    assert np.abs(there - points).max() > 1
    np.testing.assert_allclose(back, points, atol=1e-12)


def test_relative_extrinsics_golden():
    # The first camera stands at (1, 2, 3) and looks along x; the second stands at (4, 2, 4),
    # which is 3 m ahead and 1 m up: (0, -1, 3). It has the world's axes; their x is forward.
    axes = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    source = cameras.from_center(np.eye(3), axes, np.array([1.0, 2.0, 3.0]))
    target = cameras.from_center(np.eye(3), np.eye(3), np.array([4.0, 2.0, 4.0]))
    rotation, center = cameras.relative_extrinsics(source, target)
    np.testing.assert_allclose(center, [0, -1, 3])
    np.testing.assert_allclose(rotation, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def test_relative_extrinsics_are_eq_4_as_printed():
    rng = np.random.default_rng(0)
    first, second = random_scenes.camera(rng), random_scenes.camera(rng)
    rotation, center = cameras.relative_extrinsics(first, second)
    np.testing.assert_allclose(rotation, second.rotation @ first.rotation.T)
    np.testing.assert_allclose(center, first.rotation @ (second.center - first.center))


def test_the_target_seen_from_the_source_is_where_its_frame_begins():
    rng = np.random.default_rng(0)
    source, target = random_scenes.camera(rng), random_scenes.camera(rng)
    center = cameras.relative_extrinsics(source, target)[1]
    moved = cameras.target_from_source(center[np.newaxis], source, target)
    np.testing.assert_allclose(moved, np.zeros((1, 3)), atol=1e-12)


# As many examples as joints: rotations without an axis for joints would broadcast over them.
@pytest.mark.parametrize("batch", [(), (17,), (3,), (17, 17), (2, 17), (0,)])
def test_each_example_moves_by_its_own_cameras(batch):
    rng = np.random.default_rng(0)
    source, target = random_scenes.camera(rng, *batch), random_scenes.camera(rng, *batch)
    points = random_scenes.points(rng, *batch, 17)
    moved = cameras.target_from_source(points, source, target).numpy()
    assert moved.shape == (*batch, 17, 3)
    for index in np.ndindex(batch):
        here, there = random_scenes.one(source, index), random_scenes.one(target, index)
        world = points[index] @ here.rotation + here.center
        np.testing.assert_allclose(moved[index], random_scenes.move(world, there), atol=1e-12)


def test_a_graph_of_unknown_batch_size_moves_and_projects_as_eager_code():
    camera = cameras.Camera(*(tf.TensorSpec([None, *size]) for size in ([3, 3], [3, 3], [3])))

    def see(points, source, target):
        moved = cameras.target_from_source(points, source, target)
        world = cameras.world_from_camera(moved, target)
        again = cameras.camera_from_world(world, target)
        return cameras.project(again, target.intrinsics)

    graph = tf.function(see, input_signature=[tf.TensorSpec([None, 17, 3]), camera, camera])
    for batch in (17, 3, 0):
        rng = np.random.default_rng(batch)
        world, source = random_scenes.points(rng, batch, 17), random_scenes.camera(rng, batch)
        points = cameras.camera_from_world(world, source)
        arguments = (points, source, random_scenes.camera(rng, batch))
        single = tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), arguments)
        np.testing.assert_allclose(graph(*single), see(*arguments), atol=0.05)
    assert graph.experimental_get_tracing_count() == 1


def test_points_of_another_shape_are_refused():
    camera = random_scenes.camera(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"target_from_source.*\(5, 1\)"):
        cameras.target_from_source(np.zeros((5, 1)), camera, camera)
