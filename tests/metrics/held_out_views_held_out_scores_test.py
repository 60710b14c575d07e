import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.metrics import baselines, held_out_views
from tests import tiny_studio


@pytest.fixture(scope="module")
def prepared():
    return tiny_studio.prepare(tiny_studio.film())


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


def test_a_wrong_root_position_counts_where_it_is_asked_for(test_views):
    pose = test_views.reference_pose
    root = np.tile([0.0, 0.0, 20.0], (len(pose), 1))
    far = held_out_views.score_test_views(test_views, pose, root, placement="predicted")
    assert far["median_px"] > 10 * held_out_views.score_test_views(test_views, pose)["median_px"]


@pytest.mark.parametrize("placement", ["predicted", "best"])
def test_a_placement_that_cannot_be_is_refused_by_name(test_views, placement):
    with pytest.raises(ValueError, match=f"`placement` must be one of anchored.*'{placement}'"):
        held_out_views.score_test_views(test_views, test_views.reference_pose, placement=placement)


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
