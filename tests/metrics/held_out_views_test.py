import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, sequences
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import held_out_views
from tests import tiny_studio

EVERYTHING = preparation.BySubject(test_subjects=())
NUM_VIEWS = 4


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def seen(clip):
    """All views of 24 instants, in double precision."""
    config = configs.DataConfig(source="studio")
    view = sequences.to_view(preparation.training_instants(clip, EVERYTHING, config))
    return tf.nest.map_structure(lambda field: tf.cast(field, tf.float64), view)


@pytest.fixture(scope="module")
def true(clip, seen):
    """True poses in camera frames, `[T, V, J, 3]`."""
    return cameras.camera_from_world(tf.constant(clip.pose_world[:, np.newaxis]), seen.camera)


def relative(pose):
    return pose - pose[..., :1, :]


def off_diagonal(values):
    return np.asarray(values)[:, ~np.eye(NUM_VIEWS, dtype=bool)]


def blind(seen, *views):
    confidence = seen.confidence.numpy()
    confidence[:, list(views)] = 0
    return seen._replace(confidence=tf.constant(confidence))


def test_true_poses_have_no_error_wherever_the_root_is_from(seen, true):
    for placed in (
        held_out_views.anchored(relative(true), seen),
        held_out_views.solved(relative(true), seen),
        held_out_views.predicted(relative(true), true[..., 0, :], seen),
    ):
        found = held_out_views.errors(placed, seen)
        assert off_diagonal(found.weight).max() > 0
        seen_px = np.where(found.weight > 0, found.px, 0)
        np.testing.assert_allclose(seen_px, 0.0, atol=1e-2)


def test_a_view_is_not_compared_with_itself(seen, true):
    found = held_out_views.errors(held_out_views.solved(relative(true), seen), seen)
    weight = found.weight.numpy()
    own = np.eye(NUM_VIEWS, dtype=bool)
    assert (weight[:, own] == 0).all()
    np.testing.assert_array_equal(weight[:, 0, 1:], seen.confidence[:, 1:])


def test_an_error_in_depth_is_seen_by_others_in_pixels_by_hand(seen, true):
    # The root of view 0 is placed 0.5 m too far: each joint moves by that along the optical axis.
    root = true[..., 0, :] + tf.constant([0.0, 0.0, 0.5], tf.float64)
    found = held_out_views.errors(held_out_views.predicted(relative(true), root, seen), seen)
    camera = seen.camera
    point = true[3, 0, 0].numpy() + np.array([0, 0, 0.5])
    world = camera.rotation[3, 0].numpy().T @ point + camera.center[3, 0].numpy()
    in_other = camera.rotation[3, 2].numpy() @ (world - camera.center[3, 2].numpy())
    image = camera.intrinsics[3, 2].numpy() @ in_other
    expected = np.linalg.norm(image[:2] / image[2] - seen.keypoints_2d[3, 2, 0].numpy())
    np.testing.assert_allclose(found.px[3, 0, 2, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("place", [held_out_views.anchored, held_out_views.solved])
def test_the_root_is_placed_without_the_view_that_is_compared_with(seen, true, place):
    pose = relative(true) * tf.constant([1.0, 1.0, 0.8], tf.float64)
    spoiled = seen._replace(
        keypoints_2d=seen.keypoints_2d
        + tf.constant([0.0, 0, 80, 0], tf.float64)[:, tf.newaxis, tf.newaxis]
    )
    before, after = (place(pose, view).numpy() for view in (seen, spoiled))
    np.testing.assert_allclose(after[:, :, 2], before[:, :, 2], atol=1e-9)
    assert np.abs(after[:, 0, 1] - before[:, 0, 1]).max() > 1e-3


@pytest.mark.parametrize("place", [held_out_views.anchored, held_out_views.solved])
def test_of_two_views_both_say_where_the_root_is(seen, true, place):
    pose = relative(true) * tf.constant([1.0, 1.0, 0.8], tf.float64)
    alone = tf.nest.map_structure(lambda field: field[:, :2], seen)
    pair = place(pose[:, :2], alone)
    # A rig of four of which two are blind is the same as a rig of two.
    four = place(pose, blind(seen, 2, 3))
    np.testing.assert_allclose(four[:, :2, :2], pair, atol=1e-6)
    np.testing.assert_allclose(pair[:, :, 0], pair[:, :, 1], atol=1e-6)


def test_a_body_off_its_root_is_wrong_throughout_where_anchored_but_not_where_solved(seen, true):
    # All joints but the root are 10 cm too far, as where a network makes up for a wrong root.
    shift = np.zeros((17, 3))
    shift[1:, 2] = 0.1
    pose = relative(true) + shift
    anchored, solved = (
        held_out_views.errors(place(pose, seen), seen)
        for place in (held_out_views.anchored, held_out_views.solved)
    )
    limbs = np.asarray(solved.weight)[..., 1:] > 0
    assert np.median(anchored.mm[..., 1:][limbs]) > 3 * np.median(solved.mm[..., 1:][limbs])


def test_where_the_root_is_not_shown_the_whole_body_places_it(seen, true):
    confidence = seen.confidence.numpy()
    confidence[:, 1:, 0] = 0
    rootless = seen._replace(confidence=tf.constant(confidence))
    found = held_out_views.anchored(relative(true), rootless)
    np.testing.assert_array_equal(found, held_out_views.solved(relative(true), rootless))


def test_millimeters_are_those_of_a_shift_across_at_the_subject(seen, true):
    # A true pose that is seen 10 px aside in view 1 is off by 10 z / f there.
    moved = seen._replace(
        keypoints_2d=seen.keypoints_2d
        + tf.constant([[0.0, 0], [6, 8], [0, 0], [0, 0]], tf.float64)[:, tf.newaxis]
    )
    placed = held_out_views.predicted(relative(true), true[..., 0, :], seen)
    found = held_out_views.errors(placed, moved)
    np.testing.assert_allclose(found.px[:, 0, 1][found.weight[:, 0, 1] > 0], 10.0, atol=1e-3)
    focal = np.sqrt(np.linalg.det(seen.camera.intrinsics[:, 1]))
    expected = 10 * true[:, 1, :, 2].numpy().mean(axis=-1) / focal * 1000
    np.testing.assert_allclose(found.mm[:, 0, 1, 0], expected, rtol=0.03)


def test_the_subjects_distance_is_triangulated(seen, true):
    depth, is_known = held_out_views.subject_depth(seen)
    assert is_known.numpy().all()
    np.testing.assert_allclose(depth, true[..., 2].numpy().mean(axis=-1), rtol=0.02)
    _, is_known = held_out_views.subject_depth(blind(seen, 1, 2, 3))
    assert not is_known.numpy().any()


def test_a_view_that_shows_too_few_joints_is_not_lifted_from_but_compared_with(seen, true):
    confidence = seen.confidence.numpy()
    confidence[:, 2, 5:] = 0
    few = seen._replace(confidence=tf.constant(confidence))
    weight = held_out_views.errors(held_out_views.solved(relative(true), few), few).weight.numpy()
    assert (weight[:, 2] == 0).all()
    assert weight[:, 0, 2, :5].max() > 0


def test_poses_that_are_not_placed_for_each_view_are_refused(seen, true):
    with pytest.raises(ValueError, match=r"held_out_views\.errors"):
        held_out_views.errors(true, seen)
