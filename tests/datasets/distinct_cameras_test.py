import numpy as np
import pytest

from keras_mvlift.datasets import distinct_cameras, views
from keras_mvlift.geometry import cameras
from tests import random_scenes


def batch(rng, rigs, num_instants=20, num_virtual=1):
    """Returns instants that are seen by one of some rigs by turns, and by cameras drawn anew."""
    num_views = len(rigs[0].center) + num_virtual
    shape = (num_instants, num_views)
    rotation = random_scenes.rotation(rng, *shape).astype(np.float32)
    center = rng.uniform(-9, 9, (*shape, 3)).astype(np.float32)
    for instant in range(num_instants):
        rig = rigs[instant % len(rigs)]
        rotation[instant, : len(rig.center)], center[instant, : len(rig.center)] = rig[1:]
    intrinsics = np.broadcast_to(np.eye(3, dtype=np.float32), (*shape, 3, 3))
    confidence = np.ones((*shape, 17), np.float32)
    camera = cameras.Camera(intrinsics, rotation, center)
    return views.View(np.zeros((*shape, 17, 2), np.float32), confidence, camera)


def rig(rng, num_views):
    rotation = random_scenes.rotation(rng, num_views).astype(np.float32)
    center = rng.uniform(-9, 9, (num_views, 3)).astype(np.float32)
    return cameras.Camera(np.broadcast_to(np.eye(3), (num_views, 3, 3)), rotation, center)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def sorted_rows(rotation, center):
    rows = distinct_cameras.extrinsics(rotation, center)
    return rows[np.lexsort(rows.T)]


def test_cameras_that_come_back_are_found_and_virtual_ones_are_not(rng):
    given = rig(rng, 3)
    found = distinct_cameras.collect([batch(rng, [given]), batch(rng, [given])])
    expected = sorted_rows(given.rotation, given.center)
    np.testing.assert_array_equal(sorted_rows(found.rotation, found.center), expected)
    np.testing.assert_array_equal(found.num_instants, [40, 40, 40])


def test_one_place_with_two_attitudes_is_two_cameras(rng):
    given = rig(rng, 2)
    given.center[1] = given.center[0]
    found = distinct_cameras.collect([batch(rng, [given])])
    assert found.rotation.shape == (2, 3, 3)


def test_cameras_that_never_see_an_instant_together_are_of_two_rigs(rng):
    first, second = rig(rng, 2), rig(rng, 2)
    found = distinct_cameras.collect([batch(rng, [first, second], 40)])
    of_first = (found.center[:, np.newaxis] == first.center).all(-1).any(-1)
    assert of_first.sum() == 2
    assert len(set(found.rig[of_first])) == len(set(found.rig[~of_first])) == 1
    assert set(found.rig[of_first]) != set(found.rig[~of_first])


def test_cameras_are_of_one_rig_by_way_of_others(rng):
    given = rig(rng, 3)
    seen = batch(rng, [given], 60)
    # The first never sees what the last sees, but both see some of what the middle one sees.
    seen.confidence[:30, 0] = 0
    seen.confidence[30:, 2] = 0
    found = distinct_cameras.collect([seen])
    np.testing.assert_array_equal(found.rig, [0, 0, 0])
    np.testing.assert_array_equal(np.sort(found.num_instants), [30, 30, 60])


def test_views_that_see_nothing_and_cameras_that_saw_too_little_are_left_out(rng):
    given = rig(rng, 3)
    seen = batch(rng, [given])
    seen.confidence[:, 0] = 0
    seen.confidence[:11, 1] = 0
    found = distinct_cameras.collect([seen])
    np.testing.assert_array_equal(found.center, given.center[2:])


def test_nothing_that_comes_back_is_no_camera(rng):
    found = distinct_cameras.collect([batch(rng, [rig(rng, 2)], 1)])
    assert found.rotation.shape == (0, 3, 3)
    assert found.center.shape == (0, 3)
