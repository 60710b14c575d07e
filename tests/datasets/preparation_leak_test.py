"""No 3D label or test frame may reach what training reads, and no clip may be too poor."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, tfrecords
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests.datasets import clips

SPLIT = preparation.ByBlocks(num_blocks=2, block_length=4, gap=3, held_out_share=0.1)
CONFIG = configs.DataConfig(num_virtual_views=3, pairs_per_instant=5)
VIEW = {
    "keypoints_2d": 34,
    "confidence": 17,
    "intrinsics": 9,
    "rotation": 9,
    "center": 3,
    "camera": 1,
}
ABOUT = {"frame": 1, "clip": 1, "subject": 1, "action": 1, "camera_confidence": 4}
PAIR = {f"{side}/{field}": size for side in ("source", "target") for field, size in VIEW.items()}


READ_IN_TRAINING = ("train_pairs", "train_instants", "held_out_pairs", "held_out_instants")


def records(clip, names=("train_pairs", "held_out_pairs", "test_views")):
    """The raw records of each table, their features put in one order: the encoder's differs."""
    prepared = preparation.prepare(clip, SPLIT, CONFIG)
    tables = [getattr(prepared, name) for name in names]
    return tuple([ordered(record) for record in tfrecords.encode(table)] for table in tables)


def ordered(record):
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)


def sizes(record):
    """The number of values of each feature of a raw record."""
    features = tf.train.Example.FromString(record).features.feature
    lists = {name: getattr(value, value.WhichOneof("kind")) for name, value in features.items()}
    return {name: len(values.value) for name, values in lists.items()}


def test_records_to_train_on_hold_two_views_and_nothing_else():
    train, held_out, _ = records(clips.exact())
    for record in train + held_out:
        assert sizes(record) == PAIR | ABOUT | {"baseline": 1}


def test_test_views_alone_hold_a_reference_pose():
    *_, test_views = records(clips.exact())
    for record in test_views:
        assert sizes(record) == VIEW | ABOUT | {tfrecords.REFERENCE_POSE: 51}


@pytest.mark.parametrize(
    "pose_world",
    [
        None,
        np.full((40, 17, 3), np.nan),
        np.random.default_rng(1).normal(size=(40, 17, 3)),
    ],
    ids=["none", "holes", "another"],
)
def test_the_true_pose_changes_no_byte_of_what_training_reads(pose_world):
    clip = clips.exact()
    train, held_out, test_views = records(clip)
    other = records(dataclasses.replace(clip, pose_world=pose_world))
    assert train == other[0]
    assert held_out == other[1]
    assert test_views != other[2]


def test_what_test_frames_show_changes_no_byte_of_what_training_reads():
    clip, rng = clips.exact(), np.random.default_rng(2)
    test = SPLIT.frames(clip).test
    keypoints_2d, confidence = clip.keypoints_2d.copy(), clip.confidence.copy()
    keypoints_2d[:, test] += rng.normal(0.0, 100.0, keypoints_2d[:, test].shape)
    confidence[:, test] = rng.uniform(size=confidence[:, test].shape)
    other = dataclasses.replace(clip, keypoints_2d=keypoints_2d, confidence=confidence)
    before, after = (records(one, READ_IN_TRAINING) for one in (clip, other))
    assert all(before)
    assert before == after
    assert records(clip)[-1] != records(other)[-1]


@pytest.mark.parametrize(
    ("clip", "split"),
    [
        (clips.exact(), preparation.BySubject(test_subjects=("S9",))),
        (clips.exact(), preparation.BySubject(test_subjects=("S1",))),
        (clips.exact(num_views=1), SPLIT),
        (clips.hide(clips.exact(), np.s_[:]), SPLIT),
        (dataclasses.replace(clips.hide(clips.exact(), np.s_[:]), pose_world=None), SPLIT),
        (clips.hide(clips.exact(), np.s_[:, 8:12]), preparation.ByBlocks(num_blocks=1)),
    ],
    ids=["train_only", "test_only", "one_camera", "nobody", "nobody_and_no_reference", "hole"],
)
def test_a_clip_that_leaves_a_table_empty_is_prepared(clip, split):
    for config in (CONFIG, configs.DataConfig()):
        prepared = preparation.prepare(clip, split, config)
        for name in ("train_pairs", "held_out_pairs", "test_views"):
            assert len(tfrecords.encode(getattr(prepared, name))) == prepared.counts[name]


def test_virtual_cameras_see_the_reference_only_when_it_is_asked_for_by_name():
    clip = clips.exact()
    moved = dataclasses.replace(clip, pose_world=clip.pose_world + 0.1)
    by_name = dataclasses.replace(CONFIG, virtual_points="reference")

    def seen(of, config):
        return preparation.prepare(of, SPLIT, config).train_pairs["target/keypoints_2d"]

    assert np.array_equal(seen(clip, CONFIG), seen(moved, CONFIG))
    assert not np.array_equal(seen(clip, by_name), seen(moved, by_name))


def test_held_out_pairs_are_free_of_the_reference_even_when_it_is_asked_for():
    clip = clips.exact()
    moved = dataclasses.replace(clip, pose_world=clip.pose_world + 0.1)
    config = configs.DataConfig(num_virtual_views=3, virtual_points="reference")
    first, second = (preparation.prepare(c, SPLIT, config) for c in (clip, moved))
    for name, column in first.held_out_pairs.items():
        np.testing.assert_array_equal(column, second.held_out_pairs[name])
    fields = [table.train_pairs["target/keypoints_2d"] for table in (first, second)]
    is_virtual = np.char.startswith(first.train_pairs["target/camera"].astype(str), "virtual")
    np.testing.assert_array_equal(np.not_equal(*fields).any(axis=(1, 2)), is_virtual)


def test_the_reference_is_seen_in_its_own_frame():
    clip = clips.exact()
    config = configs.DataConfig(num_virtual_views=1, virtual_points="reference")
    columns = preparation.prepare(clip, SPLIT, config).train_pairs
    for row in np.flatnonzero(columns["target/camera"] == "virtual_0")[::5]:
        fields = (columns[f"target/{field}"][row] for field in cameras.Camera._fields)
        camera = cameras.Camera(*fields)
        moved = random_scenes.move(clip.pose_world[columns["frame"][row]], camera)
        expected = random_scenes.project(moved, camera)
        np.testing.assert_allclose(columns["target/keypoints_2d"][row], expected, atol=1e-6)


def test_the_margin_of_the_config_reaches_the_virtual_cameras():
    centers = [
        preparation.prepare(
            clips.exact(), SPLIT, dataclasses.replace(CONFIG, virtual_elevation_margin=margin)
        ).train_pairs["target/center"]
        for margin in (0.0, 0.3)
    ]
    assert not np.allclose(*centers)


def test_asking_for_the_reference_where_there_is_none_is_refused():
    clip = dataclasses.replace(clips.exact(), pose_world=None)
    by_name = dataclasses.replace(CONFIG, virtual_points="reference")
    with pytest.raises(ValueError, match="`pose_world` must be there"):
        preparation.prepare(clip, SPLIT, by_name)


def test_instants_to_train_on_are_those_of_the_pairs_and_know_no_reference():
    clip = clips.exact()
    moved = dataclasses.replace(clip, pose_world=clip.pose_world + 1.0)
    without = dataclasses.replace(clip, pose_world=None)
    pairs = preparation.prepare(clip, SPLIT, CONFIG).train_pairs
    seen = [preparation.training_instants(each, SPLIT, CONFIG) for each in (clip, moved, without)]
    for other in seen[1:]:
        np.testing.assert_array_equal(other.keypoints_2d, seen[0].keypoints_2d)
    row = list(seen[0].frame).index(pairs["frame"][0])
    view = seen[0].camera_names.index(pairs["source/camera"][0])
    keypoints_2d = pairs["source/keypoints_2d"][0]
    np.testing.assert_array_equal(keypoints_2d, seen[0].keypoints_2d[row, view])
    assert set(seen[0].frame) == set(pairs["frame"])
