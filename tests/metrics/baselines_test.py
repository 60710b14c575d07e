import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import view_pairs
from keras_mvlift.geometry import robust_triangulation
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


def test_a_joint_that_one_camera_saw_is_at_the_root(complete):
    confidence = np.copy(complete.view.confidence)
    confidence[complete.camera != complete.camera[0], 5] = 0.0
    pose = baselines.triangulated(edited(complete, confidence=confidence), MIN_CONFIDENCE)
    np.testing.assert_array_equal(pose[:, 5], np.zeros_like(pose[:, 5]))
    others = np.delete(np.arange(17), 5)
    np.testing.assert_allclose(pose[:, others], complete.reference_pose[:, others], atol=1e-4)


def test_a_pose_whose_root_one_camera_saw_is_all_at_the_root(complete):
    confidence = np.copy(complete.view.confidence)
    is_first = complete.instant == 0
    confidence[is_first & (complete.camera != complete.camera[0]), 0] = 0.0
    pose = baselines.triangulated(edited(complete, confidence=confidence), MIN_CONFIDENCE)
    np.testing.assert_array_equal(pose[is_first], np.zeros_like(pose[is_first]))
    np.testing.assert_allclose(pose[~is_first], complete.reference_pose[~is_first], atol=1e-4)


def test_robust_triangulation_bears_a_gross_detection(complete):
    keypoints_2d = np.copy(complete.view.keypoints_2d)
    keypoints_2d[complete.camera == complete.camera[0], 5] += 100.0
    spoiled = edited(complete, keypoints_2d=keypoints_2d)
    pose = baselines.triangulated(spoiled, MIN_CONFIDENCE, robust_triangulation.triangulate)
    np.testing.assert_allclose(pose, complete.reference_pose, atol=2e-3)
    plain = baselines.triangulated(spoiled, MIN_CONFIDENCE)
    assert np.abs(plain - complete.reference_pose).max() > 0.05


def test_views_are_laid_out_by_instant_and_camera(complete):
    index = np.setdiff1d(np.random.default_rng(0).permutation(len(complete.frame)), [1])
    some = select(complete, index)
    seen, column = baselines.by_instant(some)
    assert seen.confidence.shape == (NUM_FRAMES, NUM_VIEWS, 17)
    for field, values in zip(tf.nest.flatten(seen), tf.nest.flatten(some.view), strict=True):
        np.testing.assert_array_equal(field[some.instant, column], values)
    absent = (
        complete.instant[1],
        np.flatnonzero(np.unique(complete.camera) == complete.camera[1])[0],
    )
    assert (seen.confidence == 0).all(axis=-1).sum() == 1
    np.testing.assert_array_equal(seen.confidence[absent], 0)
    np.testing.assert_array_equal(seen.camera.intrinsics[absent], np.eye(3))


def slow_mean_pose(clip, columns):
    """Averages what each pair sees of the truth, a joint of a view at a time."""
    total, count = np.zeros((17, 3)), np.zeros(17)
    for row, frame in enumerate(columns["frame"]):
        sides = [
            columns[f"{side}/confidence"][row] >= MIN_CONFIDENCE for side in ("source", "target")
        ]
        is_seen = sides[0] & sides[1]
        for side in ("source", "target"):
            for joint in range(17):
                if is_seen[joint] and is_seen[0]:
                    offset = clip.pose_world[frame, joint] - clip.pose_world[frame, 0]
                    total[joint] += columns[f"{side}/rotation"][row] @ offset
                    count[joint] += 1
    # Some joint of some pair was not seen, or this would not say much.
    assert 0 < count.min() < count.max() < 2 * len(columns["frame"])
    return total / count[:, np.newaxis]


def test_the_mean_pose_is_that_of_what_the_pairs_see(clip, prepared, tmp_path):
    path = tiny_studio.write(tmp_path / "pairs.gz", prepared.train_pairs)
    # The last of these batches is smaller than the others.
    pose = baselines.mean_pose(view_pairs.load_once(path, 25), MIN_CONFIDENCE)
    np.testing.assert_allclose(pose, slow_mean_pose(clip, prepared.train_pairs), atol=1e-4)


def test_a_joint_that_no_pair_saw_is_at_the_root_of_the_mean_pose(prepared):
    pair = tiny_studio.pair(prepared.train_pairs)
    confidence = pair.source.confidence.numpy()
    confidence[:, 5] = 0.0
    blind = pair._replace(source=pair.source._replace(confidence=tf.constant(confidence)))
    pose = baselines.mean_pose(tf.data.Dataset.from_tensors(blind), MIN_CONFIDENCE)
    np.testing.assert_array_equal(pose[5], np.zeros(3))
    assert np.isfinite(pose).all()
    assert np.abs(pose[4]).max() > 0


def test_one_camera_alone_cannot_be_compared_with_triangulation(recorded):
    assert baselines.has_several_views(recorded)
    alone = select(recorded, np.flatnonzero(recorded.camera == recorded.camera[0]))
    assert not baselines.has_several_views(alone)
