import dataclasses
import itertools

import numpy as np
import pytest

from keras_mvlift import configs, skeletons
from keras_mvlift.datasets import preparation, sequences, tfrecords
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests.datasets import clips

# Of 40 frames: 8 to test, in two blocks; 4 held out at the end; 2 * 2 * 3 frames beside the blocks
# and one more before the end for nothing; 15 to train.
SPLIT = preparation.ByBlocks(num_blocks=2, block_length=4, gap=3, held_out_share=0.1)
TEST_FRAMES = [8, 9, 10, 11, 28, 29, 30, 31]
HELD_OUT_FRAMES = [36, 37, 38, 39]


def prepare(clip, split=SPLIT, **settings):
    return preparation.prepare(clip, split, configs.DataConfig(**settings))


def frames(columns):
    return sorted(set(columns["frame"].tolist()))


def pair_names(columns):
    return list(zip(columns["source/camera"], columns["target/camera"], strict=True))


@pytest.fixture(scope="module")
def clip():
    return clips.exact()


def test_a_whole_clip_gives_every_pair_of_every_instant(clip):
    prepared = prepare(clip)
    assert prepared.counts == {
        "frames": 40,
        "train_frames": 15,
        "test_frames": 8,
        "held_out_frames": 4,
        "unused_frames": 13,
        "dropped_views": 0,
        "dropped_instants": 0,
        "missing_joints": 0,
        "instants_without_reference": 0,
        "missing_reference_joints": 0,
        "train_pairs": 15 * 6,
        "train_instants": 15,
        "held_out_pairs": 4 * 6,
        "held_out_instants": 4,
        "test_views": 8 * 4,
    }
    names = pair_names(prepared.train_pairs)
    assert len(set(names)) == 6
    assert all(source != target for source, target in names)
    rows = list(zip(prepared.train_pairs["frame"], names, strict=True))
    assert len(set(rows)) == 15 * 6


def test_no_frame_is_within_the_gap_of_another_part(clip):
    prepared = prepare(clip, num_virtual_views=3)
    for kind in ("pairs", "instants"):
        train, held_out = (
            frames(getattr(prepared, f"{part}_{kind}")) for part in ("train", "held_out")
        )
        parts = (train, frames(prepared.test_views), held_out)
        assert parts[1:] == (TEST_FRAMES, HELD_OUT_FRAMES)
        for one, other in itertools.combinations(parts, 2):
            assert np.abs(np.subtract.outer(one, other)).min() >= SPLIT.gap + 1


def test_where_nothing_is_held_out_no_test_frame_takes_its_place(clip):
    prepared = prepare(clip, dataclasses.replace(SPLIT, held_out_share=0.0))
    assert frames(prepared.test_views) == TEST_FRAMES
    assert frames(prepared.held_out_pairs) == frames(prepared.held_out_instants) == []
    assert prepared.counts["train_frames"] == 20


def test_strides_take_every_so_many_frames_and_count_the_others_as_unused(clip):
    prepared = prepare(clip, stride=4, test_stride=4)
    assert frames(prepared.test_views) == [8, 28]
    assert frames(prepared.train_pairs) == [0, 4, 16, 20, 24]
    assert frames(prepared.held_out_pairs) == [36]
    counts = prepared.counts
    assert (counts["train_frames"], counts["test_frames"], counts["unused_frames"]) == (5, 2, 32)
    every = prepare(clip, stride=4)
    assert frames(every.test_views) == TEST_FRAMES
    assert every.counts["unused_frames"] == 40 - 5 - 1 - 8


def test_a_held_out_clip_gives_pairs_but_nothing_to_train_or_test_on(clip):
    split = preparation.BySubject(test_subjects=("S9",), held_out_clips=(clip.name,))
    prepared = preparation.prepare(clip, split, configs.DataConfig(num_virtual_views=2))
    assert len(prepared.held_out_pairs["frame"]) == 40 * 6
    assert len(prepared.train_pairs["frame"]) == len(prepared.test_views["frame"]) == 0
    assert prepared.counts["unused_frames"] == 0


def test_views_of_few_joints_are_left_out_and_counted(clip):
    # Camera 1 shows 7 joints in a frame of each part, camera 2 shows just enough.
    clip = clips.hide(clips.hide(clip, np.s_[1, [0, 8, 36], :10]), np.s_[2, 0, :9])
    prepared = prepare(clip, min_joints=8)
    assert prepared.counts["dropped_views"] == 3
    assert prepared.counts["missing_joints"] == 9
    assert prepared.counts["dropped_instants"] == 0
    assert prepared.counts["train_pairs"] == 15 * 6 - 3
    assert prepared.counts["held_out_pairs"] == 4 * 6 - 3
    assert prepared.counts["test_views"] == 8 * 4 - 1
    for columns, frame in ((prepared.train_pairs, 0), (prepared.held_out_pairs, 36)):
        names = np.array(pair_names(columns))[columns["frame"] == frame]
        assert sorted(set(names.ravel())) == ["camera_0", "camera_2", "camera_3"]
    view = prepared.test_views["camera"][prepared.test_views["frame"] == 8]
    assert "camera_1" not in view


def test_views_of_few_joints_do_not_help_to_triangulate(clip):
    hidden = clips.hide(clip, np.s_[1, :, 5:])
    expected = prepare(clips.hide(clip, np.s_[1]), num_virtual_views=2)
    prepared = prepare(hidden, num_virtual_views=2)
    for field in ("target/keypoints_2d", "target/confidence"):
        np.testing.assert_array_equal(prepared.train_pairs[field], expected.train_pairs[field])


def test_instants_of_one_view_are_left_out_and_counted(clip):
    clip = clips.hide(clips.hide(clip, np.s_[1:, [0, 2, 9, 37]]), np.s_[:, 30])
    prepared = prepare(dataclasses.replace(clip, pose_world=None))
    assert prepared.counts["dropped_instants"] == 5
    assert prepared.counts["dropped_views"] == 4 * 3 + 4
    assert not {0, 2} & set(frames(prepared.train_pairs))
    assert not {9, 30} & set(frames(prepared.test_views))
    assert frames(prepared.held_out_instants) == [36, 38, 39]
    assert prepared.counts["train_pairs"] == 13 * 6
    assert prepared.counts["test_views"] == 6 * 4


def test_a_single_camera_is_tested_where_the_pose_is_recorded(clip):
    clip = clips.hide(clips.hide(clip, np.s_[1:, [0, 9]]), np.s_[:, 30])
    prepared = prepare(clip)
    assert prepared.counts["dropped_instants"] == 2
    assert 9 in frames(prepared.test_views)
    assert prepared.counts["test_views"] == 6 * 4 + 1


def test_counts_are_the_numbers_of_rows_and_add_up(clip):
    rng = np.random.default_rng(0)
    clip = clips.hide(clip, rng.random(clip.confidence.shape) < 0.5)
    prepared = prepare(clip, num_virtual_views=2, pairs_per_instant=3)
    counts = prepared.counts
    assert counts["dropped_views"] > 0
    for name in ("train_pairs", "held_out_pairs", "test_views"):
        rows = {len(column) for column in getattr(prepared, name).values()}
        assert rows == {counts[name]}
    used = counts["train_frames"] + counts["test_frames"] + counts["held_out_frames"]
    assert used + counts["unused_frames"] == counts["frames"] == 40
    tables = ("train_pairs", "test_views", "held_out_pairs")
    kept = {frame for name in tables for frame in frames(getattr(prepared, name))}
    assert len(kept) == used - counts["dropped_instants"]


@pytest.mark.parametrize("num_pairs", [1, 3, 6, 100])
def test_so_many_pairs_are_drawn_of_each_instant(clip, num_pairs):
    clip = clips.hide(clip, np.s_[0, 0])
    columns = prepare(clip, pairs_per_instant=num_pairs).train_pairs
    frame, counts = np.unique(columns["frame"], return_counts=True)
    assert counts.tolist() == [min(num_pairs, 3)] + [min(num_pairs, 6)] * (len(frame) - 1)
    rows = list(zip(columns["frame"], pair_names(columns), strict=True))
    assert len(set(rows)) == len(rows)
    assert "camera_0" not in np.array(pair_names(columns))[columns["frame"] == 0]


def test_pairs_drawn_differ_between_instants_and_seeds(clip):
    first, again, other = (
        pair_names(prepare(clip, pairs_per_instant=1, seed=seed).train_pairs) for seed in (0, 0, 1)
    )
    assert first == again != other
    assert len(set(first)) > 2


def test_virtual_views_are_paired_in_training_alone(clip):
    prepared = prepare(clip, num_virtual_views=2)
    # All but the pair of both virtual views.
    assert prepared.counts["train_pairs"] == 15 * 14
    assert ("virtual_0", "virtual_1") not in pair_names(prepared.train_pairs)
    names = {name for pair in pair_names(prepared.train_pairs) for name in pair}
    assert names == {*clip.camera_names, "virtual_0", "virtual_1"}
    held_out = {name for pair in pair_names(prepared.held_out_pairs) for name in pair}
    assert held_out == set(prepared.test_views["camera"]) == set(clip.camera_names)


def test_pairs_hold_what_the_cameras_saw(clip):
    columns = prepare(clip).train_pairs
    for row in range(0, len(columns["frame"]), 7):
        for side in ("source", "target"):
            view = clip.camera_names.index(columns[f"{side}/camera"][row])
            seen = clip.keypoints_2d[view, columns["frame"][row]]
            np.testing.assert_array_equal(columns[f"{side}/keypoints_2d"][row], seen)
            center = clip.camera.center[view]
            np.testing.assert_array_equal(columns[f"{side}/center"][row], center)


def test_reference_poses_are_in_the_cameras_axes_with_the_root_at_zero(clip):
    columns = prepare(clip).test_views
    for row, (frame, name) in enumerate(zip(columns["frame"], columns["camera"], strict=True)):
        single = random_scenes.one(clip.camera, clip.camera_names.index(name))
        pose = cameras.camera_from_world(clip.pose_world[frame], single)
        expected = pose - pose[skeletons.ROOT]
        reference = columns[tfrecords.REFERENCE_POSE][row].reshape(17, 3)
        np.testing.assert_allclose(reference, expected, atol=1e-9)


def test_instants_whose_reference_lacks_root_or_most_joints_are_not_tested_but_counted(clip):
    pose_world = clip.pose_world.copy()
    pose_world[9, skeletons.ROOT] = np.nan
    pose_world[[10, 20], 7:] = np.nan
    prepared = prepare(dataclasses.replace(clip, pose_world=pose_world))
    assert prepared.counts["instants_without_reference"] == 2
    assert prepared.counts["missing_reference_joints"] == 0
    assert frames(prepared.test_views) == [frame for frame in TEST_FRAMES if frame not in (9, 10)]


def test_a_reference_counts_for_the_joints_that_it_has(clip):
    pose_world = clip.pose_world.copy()
    pose_world[:, 9] = np.nan
    prepared = prepare(dataclasses.replace(clip, pose_world=pose_world))
    assert frames(prepared.test_views) == TEST_FRAMES
    assert prepared.counts["instants_without_reference"] == 0
    assert prepared.counts["missing_reference_joints"] == len(TEST_FRAMES)
    given = prepare(clip).test_views[tfrecords.REFERENCE_POSE]
    pose = prepared.test_views[tfrecords.REFERENCE_POSE]
    assert np.isnan(pose[:, 9]).all()
    others = np.delete(np.arange(17), 9)
    np.testing.assert_array_equal(pose[:, others], given[:, others])


def test_without_a_reference_the_test_is_against_what_all_cameras_triangulate(clip):
    noise = np.random.default_rng(0).normal(0.0, 5.0, clip.keypoints_2d.shape)
    clip = dataclasses.replace(clip, keypoints_2d=clip.keypoints_2d + noise, pose_world=None)
    clip = clips.hide(clip, np.s_[1:, 9, 4])
    points, _ = sequences.triangulate(sequences.instants_of_sequence(clip, np.arange(40)), 0.3)
    prepared = prepare(clip)
    assert prepared.counts["missing_reference_joints"] == 1
    points[9, 4] = np.nan
    columns = prepared.test_views
    for row, (frame, name) in enumerate(zip(columns["frame"], columns["camera"], strict=True)):
        axes = clip.camera.rotation[clip.camera_names.index(name)]
        expected = (points[frame] - points[frame, skeletons.ROOT]) @ axes.T
        reference = columns[tfrecords.REFERENCE_POSE][row].reshape(17, 3)
        np.testing.assert_allclose(reference, expected, atol=1e-9)


def test_every_row_says_where_it_comes_from(clip):
    prepared = prepare(clip, num_virtual_views=1)
    known = frames(prepared.train_pairs) + HELD_OUT_FRAMES
    for columns, frame in (
        (prepared.train_pairs, known),
        (prepared.held_out_pairs, known),
        (prepared.test_views, np.arange(40)),
    ):
        for key, value in {"clip": "clip", "subject": "S1", "action": "walking"}.items():
            assert set(columns[key]) == {value}
        sureness = clip.confidence[:, frame].mean(axis=(1, 2))
        expected = np.tile(sureness, (len(columns["frame"]), 1))
        np.testing.assert_allclose(columns["camera_confidence"], expected)


def test_only_a_camera_that_was_meant_to_film_may_be_found_blind(clip):
    blind = clips.hide(clip, np.s_[1])
    absent = dataclasses.replace(blind, absent=("camera_1",))
    for seen, num_values in ((blind, 4), (absent, 3)):
        sureness = prepare(seen).test_views["camera_confidence"]
        assert sureness.shape[1] == num_values
        assert (sureness == 0).any() == (num_values == 4)


def test_rig_distance_is_how_far_the_cameras_are_from_where_they_look():
    center = np.array([[3.0, 0.0, 0.0], [0.0, -5.0, 0.0], [0.0, 0.0, 7.0]]) + 1
    axes = cameras.look_at(np.tile(np.eye(3), (3, 1, 1)), center, np.ones((3, 3)), [1.0, 1.0, 1.0])
    clip = clips.exact(3, 2, camera=axes)
    # 3, 5 and 7 m from (1, 1, 1).
    np.testing.assert_allclose(preparation.rig_distance(clip), 5.0, atol=1e-4)


def test_a_lone_camera_has_no_rig_distance():
    with pytest.raises(ValueError, match=r"must have two cameras\. Received: 1"):
        preparation.rig_distance(clips.exact(1, 2))
