import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines, held_out_views
from tests import tiny_studio

NUM_VIEWS = 4


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def seen(clip):
    """All views of 24 instants, in double precision."""
    view = tiny_studio.instants(clip)
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


@pytest.fixture(scope="module")
def prepared():
    return tiny_studio.prepare(tiny_studio.film())


def where_lifted(pose_camera, seen):
    world = cameras.world_from_camera(pose_camera, seen.camera)
    return tf.repeat(world[..., tf.newaxis, :, :], NUM_VIEWS, axis=-3)


def test_true_poses_have_no_error_wherever_the_root_is_from(seen, true):
    for placed in (
        held_out_views.anchored(relative(true), seen),
        held_out_views.solved(relative(true), seen),
        where_lifted(true, seen),
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
    found = held_out_views.errors(
        where_lifted(relative(true) + root[..., tf.newaxis, :], seen), seen
    )
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
    placed = where_lifted(true, seen)
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


@pytest.fixture(scope="module")
def test_views(prepared, tmp_path_factory):
    path = tmp_path_factory.mktemp("views") / "all.gz"
    return baselines.read_test_views(tiny_studio.write(path, prepared.test_views))


def select(test, index):
    return baselines.TestViews(*tf.nest.map_structure(lambda field: field[index], tuple(test)))


def found(px, weight):
    px = tf.constant(px, tf.float64)
    return held_out_views.Errors(px, 4 * px, px / 100, tf.constant(weight, tf.float64))


def test_mean_and_median_are_weighted_by_hand():
    parts = [found([[1.0, 2.0]], [[1.0, 1.0]]), found([10.0, 1000.0], [2.0, 0.0])]
    score = held_out_views.summarize(parts)
    # (1 + 2 + 2 * 10) / 4; half of the weight, 2, is reached at 2.
    assert score == {
        "mean_px": 5.75,
        "median_px": 2.0,
        "mean_mm": 23.0,
        "median_mm": 8.0,
        "mean_share": 0.0575,
        "median_share": 0.02,
    }
    assert tuple(score) == held_out_views.SCORE_NAMES


def test_nothing_to_compare_with_is_an_error_not_a_zero():
    with pytest.raises(ValueError, match="No instant was seen by two cameras"):
        held_out_views.summarize([found([1.0], [0.0])])


def test_a_pose_that_is_no_number_makes_the_score_none():
    assert np.isnan(held_out_views.summarize([found([1.0, np.nan], [1.0, 1.0])])["mean_px"])


def test_true_poses_score_the_detectors_noise_and_worse_poses_more(test_views):
    pose = test_views.reference_pose
    scores = [
        held_out_views.score_test_views(test_views, pose * [1.0, 1.0, depth])
        for depth in (1.0, 0.8, 0.5)
    ]
    for name in held_out_views.SCORE_NAMES:
        assert 0 < scores[0][name] < scores[1][name] < scores[2][name]
    assert scores[0]["median_px"] < 8


def test_the_order_of_the_views_does_not_matter(test_views):
    order = np.random.default_rng(0).permutation(len(test_views.frame))
    pose = test_views.reference_pose * [1.0, 1.0, 0.8]
    expected = held_out_views.score_test_views(test_views, pose)
    score = held_out_views.score_test_views(select(test_views, order), pose[order])
    for name in held_out_views.SCORE_NAMES:
        np.testing.assert_allclose(score[name], expected[name], rtol=1e-4)


def test_references_are_not_looked_at(test_views):
    blind = test_views._replace(reference_pose=np.full_like(test_views.reference_pose, np.nan))
    pose = test_views.reference_pose
    score = held_out_views.score_test_views(blind, pose)
    assert score == held_out_views.score_test_views(test_views, pose)


def test_batches_of_instants_are_joined(test_views, monkeypatch):
    pose = test_views.reference_pose * [1.0, 1.0, 0.8]
    expected = held_out_views.score_test_views(test_views, pose)
    monkeypatch.setattr(held_out_views, "_BATCH_SIZE", 4)
    score = held_out_views.score_test_views(test_views, pose)
    for name in held_out_views.SCORE_NAMES:
        np.testing.assert_allclose(score[name], expected[name], rtol=1e-4)


def test_one_camera_alone_has_no_score(test_views):
    alone = select(test_views, np.flatnonzero(test_views.camera == test_views.camera[0]))
    with pytest.raises(ValueError, match="No instant was seen by two cameras"):
        held_out_views.score_test_views(alone, alone.reference_pose)


def test_pairs_are_instants_of_two_views(prepared):
    pair = tiny_studio.pair(prepared.train_pairs)
    seen = held_out_views.views_of_pairs(pair)
    assert seen.confidence.shape == (tiny_studio.BATCH_SIZE, 2, 17)
    np.testing.assert_array_equal(seen.camera.center[:, 1], pair.target.camera.center)
    pose = np.zeros((tiny_studio.BATCH_SIZE, 2, 17, 3), np.float32)
    assert held_out_views.score(seen, pose)["mean_px"] > 10


def test_shares_are_of_the_box_around_the_joints_that_the_other_view_shows(test_views):
    seen, _ = baselines.by_instant(test_views)
    size = []
    for keypoints, confidence in zip(seen.keypoints_2d[0], seen.confidence[0], strict=True):
        shown = keypoints[confidence > 0]
        size.append(np.hypot(*(shown.max(axis=0) - shown.min(axis=0))))
    one = tf.nest.map_structure(lambda field: tf.constant(field[:1], tf.float32), seen)
    num_views, num_joints = seen.confidence.shape[1:]
    pose_world = tf.random.stateless_normal((1, num_views, num_views, num_joints, 3), [0, 0])
    found = held_out_views.errors(pose_world, one)
    np.testing.assert_allclose(
        found.share[0], found.px[0] / np.array(size)[np.newaxis, :, np.newaxis], rtol=1e-4
    )
