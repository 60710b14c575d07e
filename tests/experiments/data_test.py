import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import preparation
from keras_mvlift.experiments import variants
from keras_mvlift.training import stage_data
from tests import tiny_studio
from tests.experiments import tiny_experiments


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


def test_nobody_is_in_training_and_in_test(data):
    assert set(np.char.partition(data.test.clip, "_")[:, 0]) == {"S03"}
    assert set(np.char.partition(data.labeled.clip, "_")[:, 0]) == {"S01", "S02"}
    assert (data.about["train_people"], data.about["test_people"]) == (2, 1)


def test_pairs_are_of_two_usable_views(data):
    instant, source, target = data.pairs.T
    assert (source < target).all()
    for view in (source, target):
        assert (np.count_nonzero(data.seen.confidence[instant, view], axis=-1) >= 8).all()
    assert len(np.unique(data.pairs, axis=0)) == len(data.pairs)


def test_a_batch_holds_the_views_that_its_pairs_name(data):
    config = configs.FinetuneConfig(batch_size=8)
    pair = next(iter(data.pair_source().batches(config, 0, None)))
    keypoints = data.seen.keypoints_2d.reshape(-1, 34)
    for side in pair:
        rows = np.reshape(side.keypoints_2d, (8, 34))
        at = [np.flatnonzero((keypoints == row).all(axis=1)) for row in rows]
        assert all(len(found) for found in at)
        centers = data.seen.camera.center.reshape(-1, 3)[[found[0] for found in at]]
        np.testing.assert_array_equal(side.camera.center, centers)
    assert not np.array_equal(pair.source.camera.center, pair.target.camera.center)


def test_pairs_are_drawn_as_the_pipeline_draws_them(data, tmp_path):
    clips = tiny_experiments.STUDIO.load(variants.DataSettings())
    prepared = [preparation.prepare(c, clips.split, clips.config).train_pairs for c in clips.clips]
    tables = [table for table in prepared if len(table["frame"])]
    paths = [tiny_studio.write(tmp_path / f"{n:03}.gz", table) for n, table in enumerate(tables)]
    files = stage_data.Files(paths, [], tmp_path, tmp_path)
    config = configs.FinetuneConfig(batch_size=64, seed=3)
    steps = files.steps_per_epoch(config, "Finetune")
    arrays = stage_data.Arrays(source=data.pair_source(), steps=steps, checkpoints=tmp_path)
    assert len(data.pairs) == files.count_pairs()
    drawn = [source.batches(config, 2, None).take(3) for source in (files, arrays)]
    for one, other in zip(*drawn, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_instants_are_those_of_a_pair(data):
    usable = np.count_nonzero(data.seen.confidence > 0, axis=-1) >= 8
    assert len(data.paired_instants().confidence) == np.count_nonzero(usable.sum(axis=-1) >= 2)


def test_a_share_takes_the_first_frames_of_each_clip_for_all_methods(data):
    half = tiny_experiments.data(train_share=0.5)
    assert half.about["train_instants"] == pytest.approx(data.about["train_instants"] / 2, abs=11)
    assert half.labeled.frame.max() == 1
    np.testing.assert_array_equal(half.test.reference_pose, data.test.reference_pose)


def test_virtual_views_are_trained_on_but_neither_labeled_nor_tested(data):
    augmented = tiny_experiments.data(num_virtual_views=3)
    assert augmented.seen.confidence.shape[1] == 7
    # Of four real views and three others, without the pairs of two others.
    assert len(augmented.pairs) == 3 * len(data.pairs)
    assert augmented.pairs[:, 1].max() == 3
    assert set(augmented.labeled.camera) == set(augmented.test.camera) == set(data.test.camera)


def test_the_test_people_may_be_filmed_by_another_rig(data):
    ring = variants.Filming(rig="ring", num_cameras=3)
    moved = tiny_experiments.data(test_filming=ring)
    assert set(moved.test.camera) == {"camera_1", "camera_2", "camera_3"}
    np.testing.assert_array_equal(moved.seen.keypoints_2d, data.seen.keypoints_2d)


def test_few_cameras_are_of_training_and_its_labels_alone(data):
    few = tiny_experiments.data(num_train_cameras=2)
    assert few.seen.confidence.shape[1] == few.about["cameras"] == 2
    assert set(few.labeled.camera) == {"camera_1", "camera_2"}
    np.testing.assert_array_equal(few.test.view.keypoints_2d, data.test.view.keypoints_2d)


def test_every_test_view_says_who_is_seen(data):
    assert data.test_subject.tolist() == ["S03"] * len(data.test.clip)
