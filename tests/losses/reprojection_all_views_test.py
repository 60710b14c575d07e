import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import reprojection
from tests import random_scenes

SHAPE = (3, 4, 17)


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


@pytest.mark.parametrize("distance", reprojection.DISTANCES.values())
def test_it_is_the_error_of_the_pose_moved_into_each_view(scene, distance):
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
