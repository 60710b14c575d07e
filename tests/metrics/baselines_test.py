import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines
from tests import tiny_studio

MIN_CONFIDENCE = 0.3
NUM_FRAMES, NUM_VIEWS = 6, 4


@pytest.fixture(scope="module")
def clip():
    # Joints are missed, but those that are found are found exactly.
    return tiny_studio.film_exactly(missing_rate=0.2)


@pytest.fixture(scope="module")
def prepared(clip):
    return tiny_studio.prepare(clip)


@pytest.fixture(scope="module")
def recorded(prepared, tmp_path_factory):
    """All test views, written as two shards."""
    folder = tmp_path_factory.mktemp("test_views")
    for name, index in (("a", slice(0, 10)), ("b", slice(10, None))):
        part = {key: values[index] for key, values in prepared.test_views.items()}
        tiny_studio.write(folder / f"{name}.gz", part)
    return baselines.read_test_views(str(folder / "*.gz"))


def select(recorded, index):
    """Takes some of the views."""
    view = tf.nest.map_structure(lambda value: value[index], recorded.view)
    return baselines.TestViews(view, *(field[index] for field in recorded[1:]))


def edited(recorded, **fields):
    return recorded._replace(view=recorded.view._replace(**fields))


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """Test views in which every joint is found exactly and surely."""
    columns = tiny_studio.prepare(tiny_studio.film_exactly()).test_views
    path = tmp_path_factory.mktemp("complete") / "all.gz"
    columns |= {"confidence": np.ones_like(columns["confidence"])}
    return baselines.read_test_views(tiny_studio.write(path, columns))


def test_test_views_are_read_from_all_shards_in_order(recorded, prepared, clip):
    assert recorded.frame.tolist() == prepared.test_views["frame"].tolist()
    assert len(recorded.frame) == NUM_FRAMES * NUM_VIEWS
    assert set(recorded.clip) == {clip.name}
    assert set(recorded.action) == {clip.action}
    assert set(recorded.camera) == set(clip.camera_names)
    np.testing.assert_allclose(
        recorded.view.keypoints_2d, prepared.test_views["keypoints_2d"], rtol=1e-6
    )
    expected = prepared.test_views["reference_pose"]
    np.testing.assert_allclose(recorded.reference_pose, expected, atol=1e-6)


def test_views_of_one_frame_of_one_clip_share_an_instant(prepared, tmp_path):
    tiny_studio.write(tmp_path / "first.gz", prepared.test_views)
    clip = np.full_like(prepared.test_views["clip"], "another")
    tiny_studio.write(tmp_path / "second.gz", prepared.test_views | {"clip": clip})
    read = baselines.read_test_views(str(tmp_path / "*.gz"))
    moments = {}
    for instant, *moment in zip(read.instant, read.clip, read.frame, strict=True):
        moments.setdefault(instant, set()).add(tuple(moment))
    assert sorted(moments) == list(range(2 * NUM_FRAMES))
    assert {len(moment) for moment in moments.values()} == {1}


def test_triangulation_from_exact_detections_is_the_truth(complete):
    pose = baselines.triangulated(complete, MIN_CONFIDENCE)
    np.testing.assert_allclose(pose, complete.reference_pose, atol=1e-4)


def test_the_order_of_the_views_does_not_matter(complete):
    order = np.random.default_rng(0).permutation(len(complete.frame))
    pose = baselines.triangulated(select(complete, order), MIN_CONFIDENCE)
    np.testing.assert_allclose(pose, complete.reference_pose[order], atol=1e-4)


def test_an_instant_may_lack_views(complete):
    # One view of the first instant is gone, and two of the last.
    first, last = (np.flatnonzero(complete.instant == index) for index in (0, NUM_FRAMES - 1))
    rest = np.setdiff1d(np.arange(len(complete.frame)), [first[1], *last[2:]])
    pose = baselines.triangulated(select(complete, rest), MIN_CONFIDENCE)
    np.testing.assert_allclose(pose, complete.reference_pose[rest], atol=1e-4)


def test_detections_that_are_not_sure_enough_are_left_out(complete):
    keypoints_2d, confidence = (np.copy(field) for field in complete.view[:2])
    wrong = complete.camera == complete.camera[0]
    keypoints_2d[wrong] += 300.0
    confidence[wrong] = MIN_CONFIDENCE - 0.01
    spoiled = edited(complete, keypoints_2d=keypoints_2d, confidence=confidence)
    pose = baselines.triangulated(spoiled, MIN_CONFIDENCE)
    np.testing.assert_allclose(pose, complete.reference_pose, atol=1e-4)
    pose = baselines.triangulated(spoiled, MIN_CONFIDENCE - 0.02)
    assert np.abs(pose - complete.reference_pose).max() > 0.01


def test_a_joint_that_one_camera_saw_is_at_the_root_or_left_out(complete):
    confidence = np.copy(complete.view.confidence)
    confidence[complete.camera != complete.camera[0], 5] = 0.0
    blind, others = edited(complete, confidence=confidence), np.delete(np.arange(17), 5)
    for unplaced in (0.0, np.nan):
        pose = baselines.triangulated(blind, MIN_CONFIDENCE, unplaced=unplaced)
        np.testing.assert_array_equal(pose[:, 5], np.full_like(pose[:, 5], unplaced))
        np.testing.assert_allclose(pose[:, others], complete.reference_pose[:, others], atol=1e-4)


def test_a_pose_whose_root_one_camera_saw_is_all_at_the_root(complete):
    confidence = np.copy(complete.view.confidence)
    is_first = complete.instant == 0
    confidence[is_first & (complete.camera != complete.camera[0]), 0] = 0.0
    pose = baselines.triangulated(edited(complete, confidence=confidence), MIN_CONFIDENCE)
    np.testing.assert_array_equal(pose[is_first], np.zeros_like(pose[is_first]))
    np.testing.assert_allclose(pose[~is_first], complete.reference_pose[~is_first], atol=1e-4)


def test_views_are_laid_out_by_instant_and_camera(complete):
    index = np.setdiff1d(np.random.default_rng(0).permutation(len(complete.frame)), [1])
    some = select(complete, index)
    seen, column = baselines.by_instant(some)
    assert seen.confidence.shape == (NUM_FRAMES, NUM_VIEWS, 17)
    for field, values in zip(tf.nest.flatten(seen), tf.nest.flatten(some.view), strict=True):
        np.testing.assert_array_equal(field[some.instant, column], values)
    column_of = np.flatnonzero(np.unique(complete.camera) == complete.camera[1])
    absent = complete.instant[1], column_of[0]
    assert (seen.confidence == 0).all(axis=-1).sum() == 1
    np.testing.assert_array_equal(seen.confidence[absent], 0)
    np.testing.assert_array_equal(seen.camera.intrinsics[absent], np.eye(3))


@pytest.fixture(scope="module")
def trained(clip, prepared):
    """The training instants, and the truth of them in world axes, root at 0."""
    frame = prepared.train_instants["frame"]
    seen = sequences.to_view(sequences.instants_of_sequence(clip, frame))
    return seen, clip.pose_world[frame] - clip.pose_world[frame, :1]


def test_triangulated_poses_are_the_truth_of_what_two_cameras_saw(trained):
    seen, truth = trained
    pose = baselines.triangulated_poses(seen, MIN_CONFIDENCE)
    count = (seen.confidence >= MIN_CONFIDENCE).sum(axis=1)
    is_seen = (count >= 2) & (count[:, :1] >= 2)
    np.testing.assert_array_equal(np.isfinite(pose).all(axis=-1), is_seen)
    assert not is_seen.all()
    np.testing.assert_allclose(pose[is_seen], truth[is_seen], atol=1e-4)


def test_the_constant_pose_is_the_mean_of_what_is_known_golden():
    pose = np.full((3, 17, 3), np.nan)
    pose[:, 4] = [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [np.nan] * 3]
    constant = baselines.constant_pose(pose)
    np.testing.assert_allclose(constant[4], [2.0, 2.0, 2.0])
    assert np.isnan(np.delete(constant, 4, axis=0)).all()


def test_the_constant_pose_is_as_every_camera_would_see_it(complete, clip):
    pose = clip.pose_world[:1] - clip.pose_world[:1, :1]
    turned = cameras.rotate(baselines.constant_pose(pose), complete.view.camera.rotation)
    for row, name in enumerate(complete.camera):
        rotation = clip.camera.rotation[clip.camera_names.index(name)]
        np.testing.assert_allclose(turned[row], pose[0] @ rotation.T, atol=1e-6)


def test_the_nearest_view_is_found_wherever_and_however_large_it_is():
    rng = np.random.default_rng(0)
    known = rng.normal(0.0, 100.0, (30, 17, 2))
    index = rng.permutation(30)
    shown = 0.3 * known[index] + rng.normal(0.0, 500.0, (30, 1, 2))
    shown += rng.normal(0.0, 0.3, shown.shape)
    found = baselines.nearest_views(shown, np.ones((30, 17)), known, np.ones((30, 17)))
    np.testing.assert_array_equal(found, index)


def test_joints_that_a_view_does_not_show_do_not_count():
    rng = np.random.default_rng(0)
    known = rng.normal(0.0, 100.0, (30, 17, 2))
    confidence = np.ones((30, 17))
    confidence[:, 9:] = 0.0
    spoiled = np.where(confidence[..., np.newaxis] > 0, known, 1e6)
    # The scale is that of the joints seen, so that fewer of them are another size.
    found = baselines.nearest_views(spoiled, confidence, known, confidence)
    np.testing.assert_array_equal(found, np.arange(30))


def test_batches_do_not_show_in_the_nearest_views(monkeypatch):
    rng = np.random.default_rng(0)
    shown, known = rng.normal(size=(2, 20, 17, 2))
    sure = rng.uniform(size=(20, 17)) > 0.2
    whole = baselines.nearest_views(shown, sure, known, sure[::-1])
    monkeypatch.setattr(baselines, "_VIEWS_AT_ONCE", 7)
    np.testing.assert_array_equal(baselines.nearest_views(shown, sure, known, sure[::-1]), whole)


def test_a_training_view_seen_again_is_answered_with_its_own_pose(complete):
    seen, _ = baselines.by_instant(complete)
    pose = baselines.triangulated_poses(seen, MIN_CONFIDENCE)
    answered = baselines.nearest_poses(complete, seen, pose)
    np.testing.assert_allclose(answered, complete.reference_pose, atol=1e-4)


def test_poses_that_lack_joints_answer_only_where_none_has_more(complete):
    seen, _ = baselines.by_instant(complete)
    pose = baselines.triangulated_poses(seen, MIN_CONFIDENCE)
    pose[1:, 5] = np.nan
    assert np.isfinite(baselines.nearest_poses(complete, seen, pose)).all()
    pose[0, 5] = np.nan
    answered = baselines.nearest_poses(complete, seen, pose)
    assert np.isnan(answered[:, 5]).all()
    assert np.isfinite(np.delete(answered, 5, axis=1)).all()


def test_one_camera_alone_cannot_be_compared_with_triangulation(recorded):
    assert baselines.has_several_views(recorded)
    alone = select(recorded, np.flatnonzero(recorded.camera == recorded.camera[0]))
    assert not baselines.has_several_views(alone)
