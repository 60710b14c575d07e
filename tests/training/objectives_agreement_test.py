import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.training import objectives
from tests import random_scenes

SHAPE = (2, 4, 17)
GROSS = (0, 1, 5)


@pytest.fixture(scope="module")
def scene():
    """Points `[B, J, 3]`, and views that saw them exactly, but for one gross error."""
    rng = np.random.default_rng(0)
    world = random_scenes.points(rng, SHAPE[0], SHAPE[2])
    camera = random_scenes.camera(rng, *SHAPE[:2])
    keypoints_2d = np.zeros((*SHAPE, 2))
    for index in np.ndindex(SHAPE[:2]):
        single = random_scenes.one(camera, index)
        keypoints_2d[index] = random_scenes.project(
            random_scenes.move(world[index[0]], single), single
        )
    keypoints_2d[GROSS] += [200.0, -150.0]
    confidence = rng.uniform(0.5, 1.0, SHAPE)
    return world, tf.nest.map_structure(tf.constant, views.View(keypoints_2d, confidence, camera))


def changed(seen, index, value=0.0):
    confidence = seen.confidence.numpy()
    confidence[index] = value
    return seen._replace(confidence=tf.constant(confidence))


def test_a_gross_error_changes_no_point(scene):
    world, seen = scene
    found = objectives.agreement_of(seen)
    np.testing.assert_allclose(found.points, world, atol=1e-4)
    assert found.is_known.numpy().all()


def test_a_joint_that_one_view_saw_is_not_known(scene):
    found = objectives.agreement_of(changed(scene[1], (1, slice(1, None), 3)))
    assert not found.is_known[1, 3]
    assert np.count_nonzero(found.is_known) == 2 * 17 - 1


def test_two_views_that_contradict_each_other_know_nothing(scene):
    _, seen = scene
    only_two = changed(changed(seen, (0, 2)), (0, 3))
    found = objectives.agreement_of(only_two)
    assert not found.is_known[0, GROSS[2]]
    assert found.is_known[0, 4]


def test_views_that_an_instant_lacks_change_nothing(scene):
    _, seen = scene
    absent = views.View(
        tf.zeros((2, 3, 17, 2), tf.float64),
        tf.zeros((2, 3, 17), tf.float64),
        seen.camera._make(
            (
                tf.eye(3, batch_shape=[2, 3], dtype=tf.float64),
                tf.eye(3, batch_shape=[2, 3], dtype=tf.float64),
                tf.fill([2, 3, 3], tf.constant(100.0, tf.float64)),
            )
        ),
    )
    # They come first, where the search for a camera that is there has to look past them.
    filled = tf.nest.map_structure(lambda *x: tf.concat(x, axis=1), absent, seen)
    expected, found = objectives.agreement_of(seen), objectives.agreement_of(filled)
    np.testing.assert_allclose(found.points, expected.points, atol=1e-6)
    np.testing.assert_array_equal(found.is_known, expected.is_known)


def test_no_gradient_goes_to_the_cameras(scene):
    _, seen = scene
    with tf.GradientTape() as tape:
        tape.watch(seen.camera.center)
        total = tf.reduce_sum(objectives.agreement_of(seen).points)
    assert tape.gradient(total, seen.camera.center) is None


def test_what_is_found_beforehand_is_what_a_step_would_find(scene, monkeypatch):
    monkeypatch.setattr(objectives, "_MAX_TRIALS", 1)
    seen, found = objectives.agreed_beforehand(tf.nest.map_structure(np.asarray, scene[1]))
    assert seen.confidence.shape == SHAPE
    for field, expected in zip(found, objectives.agreement_of(scene[1]), strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-9)


def test_twice_the_views_are_triangulated_in_parts_that_take_no_more_memory():
    # Of 4 views all and 6 twos are held against 4, of 8 all and 28 twos against 8.
    assert objectives.num_agreed_at_once(4) == 2048
    assert objectives.num_agreed_at_once(8) == 2048 * (7 * 4) // (29 * 8)
    assert objectives.num_agreed_at_once(1000) == 1
