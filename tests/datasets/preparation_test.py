import dataclasses
import itertools

import hypothesis
import numpy as np
import pytest
import tensorflow as tf

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


def assert_references(columns, clip, points):
    """Fails unless references are points in the cameras' axes, about their roots."""
    for row, (frame, name) in enumerate(zip(columns["frame"], columns["camera"], strict=True)):
        axes = clip.camera.rotation[clip.camera_names.index(name)]
        expected = (points[frame] - points[frame, skeletons.ROOT]) @ axes.T
        reference = columns[tfrecords.REFERENCE_POSE][row].reshape(17, 3)
        np.testing.assert_allclose(reference, expected, atol=1e-9)


def test_reference_poses_are_in_the_cameras_axes_with_the_root_at_zero(clip):
    assert_references(prepare(clip).test_views, clip, clip.pose_world)


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
    assert_references(prepared.test_views, clip, points)


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


integers = hypothesis.strategies.integers


def test_blocks_golden():
    # Shares of 20 frames; a block of 4 in the middle of each begins at 8; 3 frames on each side
    # are nobody's.
    frames = preparation.ByBlocks(num_blocks=2, block_length=4, gap=3).frames(clips.exact(2, 40))
    assert frames.test.tolist() == [8, 9, 10, 11, 28, 29, 30, 31]
    unused = {5, 6, 7, 12, 13, 14, 25, 26, 27, 32, 33, 34}
    assert set(frames.train) == set(range(40)) - set(frames.test) - unused


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    num_blocks=integers(1, 4), block_length=integers(1, 8), gap=integers(0, 5), more=integers(1, 25)
)
def test_no_test_frame_is_within_the_gap_of_a_training_frame(num_blocks, block_length, gap, more):
    num_frames = num_blocks * (block_length + 2 * gap) + more
    split = preparation.ByBlocks(num_blocks=num_blocks, block_length=block_length, gap=gap)
    train, test, held_out = split.frames(clips.exact(2, num_frames))
    assert len(held_out) == 0
    assert len(test) == num_blocks * block_length
    assert len(train) == num_frames - num_blocks * (block_length + 2 * gap) == more
    assert np.abs(train[:, np.newaxis] - test).min() == gap + 1


def test_a_clip_too_short_for_its_blocks_is_refused():
    split = preparation.ByBlocks(num_blocks=2, block_length=10, gap=5)
    message = r"Clip 'clip': `frames` must number more than 40 for ByBlocks.*Received: 40"
    with pytest.raises(ValueError, match=message):
        split.frames(clips.exact(2, 40))


@pytest.mark.parametrize("broken", [{"num_blocks": 0}, {"block_length": 0}, {"gap": -1}])
def test_blocks_that_cannot_be_are_refused(broken):
    ((name, value),) = broken.items()
    with pytest.raises(
        ValueError, match=f"`{name}` must be at least {value + 1}. Received: {value}"
    ):
        preparation.ByBlocks(**broken)


PEOPLE = ("S1", "S8", "S9")
CLIPS = ("walk", "run", "sit")
HOLDING_OUT = {
    "blocks": preparation.ByBlocks(num_blocks=1, block_length=4, gap=2, held_out_share=0.2),
    "blocks and a clip": preparation.ByBlocks(block_length=2, gap=2, held_out_clips=("sit",)),
    "clip": preparation.ByClip(test_clips=("run",), held_out_clips=("sit",)),
    "ends of clips": preparation.ByClip(test_clips=("run",), held_out_share=0.2, gap=2),
    "subject": preparation.BySubject(test_subjects=("S9",), held_out_subjects=("S8",)),
    "clips of subjects": preparation.BySubject(test_subjects=("S9",), held_out_clips=("S1 walk",)),
    "ends of subjects": preparation.BySubject(test_subjects=("S9",), held_out_share=0.2, gap=2),
}


@pytest.mark.parametrize("name", HOLDING_OUT)
def test_no_frame_is_in_two_parts_and_each_part_has_some(name):
    split = HOLDING_OUT[name]
    assert split.holds_out
    found = [set(), set(), set()]
    for subject, clip in itertools.product(PEOPLE, CLIPS):
        label = f"{subject} {clip}" if "subject" in name else clip
        frames = split.frames(clips.exact(2, 20, subject=subject, name=label))
        for part, numbers in zip(found, frames, strict=True):
            part |= {(subject, clip, number) for number in numbers}
        for one, other in itertools.combinations(frames, 2):
            if len(one) and len(other):
                assert np.abs(np.subtract.outer(one, other)).min() >= split.gap + 1
    assert all(found)
    assert sum(map(len, found)) == len(set.union(*found))


def test_the_end_of_a_training_clip_is_held_out_golden():
    # A fifth of 20 frames is 4; before them 2 frames are nobody's.
    frames = HOLDING_OUT["ends of clips"].frames(clips.exact(2, 20, name="walk"))
    assert frames.held_out.tolist() == [16, 17, 18, 19]
    assert frames.train.tolist() == list(range(14))


def test_a_clip_too_short_to_hold_out_its_end_trains_whole():
    split = preparation.ByClip(test_clips=("run",), held_out_share=0.2, gap=5)
    assert list(map(len, split.frames(clips.exact(2, 6)))) == [6, 0, 0]
    assert list(map(len, split.frames(clips.exact(2, 8)))) == [1, 0, 2]


@pytest.mark.parametrize("broken", [{"held_out_share": 1.0}, {"held_out_share": -0.1}])
def test_a_share_that_cannot_be_is_refused(broken):
    with pytest.raises(ValueError, match=r"`held_out_share` must lie in \[0, 1\)"):
        preparation.ByClip(test_clips=("run",), **broken)


def test_nobody_is_tested_on_and_held_out():
    with pytest.raises(ValueError, match=r"`held_out_subjects` must name none.*Received: S9"):
        preparation.BySubject(test_subjects=("S9", "S11"), held_out_subjects=("S9",))
    with pytest.raises(ValueError, match=r"`held_out_clips` must name none.*Received: run"):
        preparation.ByClip(test_clips=("run",), held_out_clips=("run",))


def test_nothing_is_held_out_unless_told():
    split = preparation.BySubject(test_subjects=("S9",)), preparation.ByClip(test_clips=("run",))
    assert not any(each.holds_out for each in (*split, preparation.ByBlocks()))


PEOPLE_TEST = preparation.BySubject(test_subjects=("S9", "S11"))
WALK_HELD_OUT = preparation.BySubject(test_subjects=("S9",), held_out_clips=("walk",))
CLIPS_TEST = preparation.ByClip(test_clips=("walk", "run"))


@pytest.mark.parametrize(
    ("split", "subject", "clip", "expected"),
    [
        (PEOPLE_TEST, "S11", "walk", (0, 20, 0)),
        (PEOPLE_TEST, "S1", "S9", (20, 0, 0)),
        (WALK_HELD_OUT, "S1", "walk", (0, 0, 20)),
        (WALK_HELD_OUT, "S9", "walk", (0, 0, 20)),
        (WALK_HELD_OUT, "S9", "run", (0, 20, 0)),
        (WALK_HELD_OUT, "S1", "run", (20, 0, 0)),
        (CLIPS_TEST, "S1", "run", (0, 20, 0)),
        (CLIPS_TEST, "walk", "sit", (20, 0, 0)),
        (HOLDING_OUT["subject"], "S1", "walk", (20, 0, 0)),
        (HOLDING_OUT["subject"], "S8", "walk", (0, 0, 20)),
        (HOLDING_OUT["subject"], "S9", "walk", (0, 20, 0)),
        (HOLDING_OUT["ends of clips"], "S1", "run", (0, 20, 0)),
    ],
)
def test_a_clip_trains_tests_or_is_held_out_as_a_whole(split, subject, clip, expected):
    frames = split.frames(clips.exact(2, 20, subject=subject, name=clip))
    assert tuple(map(len, frames)) == expected


FRAMES = np.arange(30)
NUM_VIEWS = 6


def add(clip, seed=0, num_views=NUM_VIEWS, min_confidence=0.3):
    real = sequences.instants_of_sequence(clip, FRAMES)
    rng = np.random.default_rng(seed)
    return real, preparation.add_virtual_views(real, num_views, min_confidence, rng)


def virtual(views, num_real=4):
    """The virtual cameras' part, fields `[T, NUM_VIEWS, ...]`."""
    camera = cameras.Camera(*(value[:, num_real:] for value in views.camera))
    return camera, views.keypoints_2d[:, num_real:], views.confidence[:, num_real:]


@pytest.fixture(scope="module")
def noisy(clip):
    noise = np.random.default_rng(0).normal(0.0, 8.0, clip.keypoints_2d.shape)
    return dataclasses.replace(clip, keypoints_2d=clip.keypoints_2d + noise)


def test_real_views_come_first_as_they_were(noisy):
    real, views = add(noisy)
    assert views.camera_names == (*noisy.camera_names, *(f"virtual_{i}" for i in range(6)))
    assert views.keypoints_2d.shape == (30, 10, 17, 2)
    np.testing.assert_array_equal(views.frame, FRAMES)
    np.testing.assert_array_equal(views.keypoints_2d[:, :4], real.keypoints_2d)
    np.testing.assert_array_equal(views.confidence[:, :4], real.confidence)
    for field, expected in zip(views.camera, real.camera, strict=True):
        np.testing.assert_array_equal(field[:, :4], expected)


NOTHING_HIDDEN = np.zeros((30, NUM_VIEWS, 17), bool)


def assert_seen(views, points, hidden=NOTHING_HIDDEN):
    """Fails unless virtual cameras see points where they are, and not those that are hidden."""
    camera, keypoints_2d, confidence = virtual(views)
    np.testing.assert_array_equal(confidence == 0, hidden)
    assert (keypoints_2d[hidden] == 0).all()
    for index in np.ndindex(len(FRAMES), NUM_VIEWS):
        single = random_scenes.one(camera, index)
        expected = random_scenes.project(random_scenes.move(points[index[0]], single), single)
        seen = ~hidden[index]
        np.testing.assert_allclose(keypoints_2d[index][seen], expected[seen], atol=1e-6)


def test_virtual_views_see_the_triangulated_points(noisy):
    real, views = add(noisy)
    points, _ = sequences.triangulate(real, 0.3)
    assert_seen(views, points)
    assert np.abs(points - noisy.pose_world[FRAMES]).max() > 0.01


def test_virtual_cameras_stand_on_the_rigs_sphere_and_aim_at_the_root(clip):
    real, views = add(clip)
    camera, keypoints_2d, _ = virtual(views)
    root = clip.pose_world[FRAMES, np.newaxis, skeletons.ROOT]
    real_offset, offset = real.camera.center - root, camera.center - root
    real_distance, distance = (np.linalg.norm(x, axis=-1) for x in (real_offset, offset))
    assert (distance >= real_distance.min(axis=1, keepdims=True) - 1e-4).all()
    assert (distance <= real_distance.max(axis=1, keepdims=True) + 1e-4).all()
    real_up, up = (
        np.arcsin(real_offset[..., 2] / real_distance),
        np.arcsin(offset[..., 2] / distance),
    )
    margin = preparation.ELEVATION_MARGIN + 1e-4
    assert (up >= real_up.min(axis=1, keepdims=True) - margin).all()
    assert (up <= real_up.max(axis=1, keepdims=True) + margin).all()
    center = camera.intrinsics[..., :2, 2]
    np.testing.assert_allclose(keypoints_2d[:, :, skeletons.ROOT], center, atol=0.01)
    np.testing.assert_allclose(camera.intrinsics[0, 0], real.camera.intrinsics[0].mean(axis=0))


def test_virtual_cameras_stand_as_much_higher_and_lower_as_asked(clip):
    # The cameras and the subject are of one height, and so are all the virtual ones by themselves.
    aim = np.array([0.0, 0.0, 2.0])
    level = clip.camera._replace(center=clip.camera.center * [1, 1, 0] + aim)
    real = sequences.instants_of_sequence(dataclasses.replace(clip, camera=level), FRAMES)
    highest = []
    for margin in (0.0, 0.5):
        rng, points = np.random.default_rng(0), np.tile(aim, (30, 17, 1))
        views = preparation.add_virtual_views(
            real, 6, 0.3, rng, points=points, elevation_margin=margin
        )
        offset = virtual(views)[0].center - aim
        highest.append(np.arcsin(offset[..., 2] / np.linalg.norm(offset, axis=-1)).max())
    np.testing.assert_allclose(highest[0], 0.0, atol=1e-6)
    assert 0.4 < highest[1] <= 0.5


def test_points_may_be_given_instead_with_holes_where_they_are_unknown(noisy):
    points = noisy.pose_world[FRAMES] + 0.2
    points[4, 7] = points[5, skeletons.ROOT] = np.nan
    real = sequences.instants_of_sequence(noisy, FRAMES)
    views = preparation.add_virtual_views(
        real, NUM_VIEWS, 0.3, np.random.default_rng(0), points=points
    )
    hidden = np.zeros((30, NUM_VIEWS, 17), bool)
    hidden[4, :, 7] = hidden[5, :, skeletons.ROOT] = True
    assert_seen(views, points, hidden)


def test_virtual_cameras_stand_all_around_and_anew_at_each_instant(clip):
    camera, _, _ = virtual(add(clip)[1])
    offset = camera.center - clip.pose_world[FRAMES, np.newaxis, skeletons.ROOT]
    azimuth = np.arctan2(offset[..., 1], offset[..., 0])
    counts, _ = np.histogram(azimuth, bins=6, range=(-np.pi, np.pi))
    assert counts.min() > azimuth.size / 6 / 2
    assert len(np.unique(azimuth.round(6))) == azimuth.size


def test_the_dice_decide(clip):
    first, again, other = (add(clip, seed)[1].camera.center for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[:, 4:], other[:, 4:])


@pytest.mark.parametrize("min_confidence", [0.0, 0.3])
def test_a_virtual_joint_is_as_sure_as_the_views_that_saw_it(clip, min_confidence):
    clip = clips.hide(clip, np.s_[1, 4, 7])
    _, _, confidence = virtual(add(clip, min_confidence=min_confidence)[1])
    expected = clip.confidence[:, FRAMES].mean(axis=0)
    expected[4, 7] = clip.confidence[[0, 2, 3], 4, 7].mean()
    for view in range(NUM_VIEWS):
        np.testing.assert_allclose(confidence[:, view], expected)


def test_a_joint_that_could_not_be_triangulated_is_not_seen(clip):
    clip = clips.hide(clip, np.s_[1:, 4, 7])
    _, keypoints_2d, confidence = virtual(add(clip)[1])
    hidden = np.zeros((30, NUM_VIEWS, 17), bool)
    hidden[4, :, 7] = True
    np.testing.assert_array_equal(confidence == 0, hidden)
    assert (keypoints_2d[hidden] == 0).all()


def test_without_a_root_cameras_aim_at_the_middle_of_what_was_seen(clip):
    clip = clips.hide(clip, np.s_[1:, 4, skeletons.ROOT])
    camera, _, _ = virtual(add(clip)[1])
    middle = clip.pose_world[4, 1:].mean(axis=0)
    forward = camera.rotation[4, :, 2]
    offset = middle - camera.center[4]
    np.testing.assert_allclose(np.cross(forward, offset), np.zeros((NUM_VIEWS, 3)), atol=1e-3)


@pytest.mark.parametrize("frames", [np.s_[4:6], np.s_[:]])
def test_frames_in_which_nobody_is_seen_give_finite_cameras_that_see_nothing(clip, frames):
    clip = clips.hide(clip, np.s_[:, frames])
    camera, _, confidence = virtual(add(clip)[1])
    assert all(np.isfinite(field).all() for field in camera)
    assert (confidence[frames] == 0).all()


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


def test_test_views_alone_hold_a_reference_pose_and_other_records_two_views_only():
    train, held_out, test_views = records(clips.exact())
    for record in train + held_out:
        assert sizes(record) == PAIR | ABOUT | {"baseline": 1}
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


def test_virtual_cameras_see_the_reference_in_training_only_when_it_is_asked_for_by_name():
    clip = clips.exact()
    moved = dataclasses.replace(clip, pose_world=clip.pose_world + 0.1)
    by_name = dataclasses.replace(CONFIG, virtual_points="reference")
    field = "target/keypoints_2d"
    first, second = (preparation.prepare(c, SPLIT, CONFIG) for c in (clip, moved))
    np.testing.assert_array_equal(first.train_pairs[field], second.train_pairs[field])
    first, second = (preparation.prepare(c, SPLIT, by_name) for c in (clip, moved))
    for name, column in first.held_out_pairs.items():
        np.testing.assert_array_equal(column, second.held_out_pairs[name])
    differs = np.not_equal(first.train_pairs[field], second.train_pairs[field]).any(axis=(1, 2))
    is_virtual = np.char.startswith(first.train_pairs["target/camera"].astype(str), "virtual")
    assert is_virtual.any()
    np.testing.assert_array_equal(differs, is_virtual)


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
