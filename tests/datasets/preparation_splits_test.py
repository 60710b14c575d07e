import itertools

import hypothesis
import numpy as np
import pytest

from keras_mvlift.datasets import preparation
from tests.datasets import clips

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


def sides(split, **fields):
    """The numbers of training, test and held-out frames of a clip of twenty."""
    return tuple(map(len, split.frames(clips.exact(2, 20, **fields))))


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


def test_people_who_are_held_out_neither_train_nor_test():
    split = HOLDING_OUT["subject"]
    assert [sides(split, subject=subject).index(20) for subject in PEOPLE] == [0, 2, 1]


def test_the_end_of_a_training_clip_is_held_out_golden():
    # A fifth of 20 frames is 4; before them 2 frames are nobody's.
    split = HOLDING_OUT["ends of clips"]
    frames = split.frames(clips.exact(2, 20, name="walk"))
    assert frames.held_out.tolist() == [16, 17, 18, 19]
    assert frames.train.tolist() == list(range(14))
    assert sides(split, name="run") == (0, 20, 0)


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


@pytest.mark.parametrize(
    "split",
    [
        preparation.ByBlocks(),
        preparation.ByClip(test_clips=("run",)),
        preparation.BySubject(test_subjects=("S9",)),
    ],
)
def test_nothing_is_held_out_unless_told(split):
    assert not split.holds_out


def test_clips_of_test_subjects_test_whole_and_others_train():
    split = preparation.BySubject(test_subjects=("S9", "S11"))
    assert sides(split, subject="S11", name="walk") == (0, 20, 0)
    assert sides(split, subject="S1", name="S9") == (20, 0, 0)


def test_held_out_clips_neither_train_nor_test():
    split = preparation.BySubject(test_subjects=("S9",), held_out_clips=("walk",))
    for subject in ("S1", "S9"):
        frames = split.frames(clips.exact(2, 5, subject=subject, name="walk"))
        assert list(map(len, frames)) == [0, 0, 5]


def test_where_clips_are_held_out_the_test_clips_are_not():
    split = preparation.BySubject(test_subjects=("S9",), held_out_clips=("walk",))
    frames = split.frames(clips.exact(2, 5, subject="S9", name="run"))
    assert list(map(len, frames)) == [0, 5, 0]
    frames = split.frames(clips.exact(2, 5, subject="S1", name="run"))
    assert list(map(len, frames)) == [5, 0, 0]


def test_test_clips_test_whole_and_others_train():
    split = preparation.ByClip(test_clips=("walk", "run"))
    assert sides(split, subject="S1", name="run") == (0, 20, 0)
    assert sides(split, subject="walk", name="sit") == (20, 0, 0)


def test_splits_are_found_by_name():
    assert set(preparation.SPLITS) == {"subject", "clip", "blocks"}
    assert preparation.SPLITS["blocks"] is preparation.ByBlocks
