import hypothesis
import numpy as np
import pytest

from keras_mvlift.datasets import splits
from tests.datasets import clips

integers = hypothesis.strategies.integers


def test_blocks_golden():
    # Shares of 20 frames; a block of 4 in the middle of each begins at 8; 3 frames on each side
    # are nobody's.
    frames = splits.ByBlocks(num_blocks=2, block_length=4, gap=3).frames(clips.exact(2, 40))
    assert frames.test.tolist() == [8, 9, 10, 11, 28, 29, 30, 31]
    unused = {5, 6, 7, 12, 13, 14, 25, 26, 27, 32, 33, 34}
    assert set(frames.train) == set(range(40)) - set(frames.test) - unused


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    num_blocks=integers(1, 4), block_length=integers(1, 8), gap=integers(0, 5), more=integers(1, 25)
)
def test_no_test_frame_is_within_the_gap_of_a_training_frame(num_blocks, block_length, gap, more):
    num_frames = num_blocks * (block_length + 2 * gap) + more
    split = splits.ByBlocks(num_blocks=num_blocks, block_length=block_length, gap=gap)
    train, test, _ = split.frames(clips.exact(2, num_frames))
    assert len(test) == num_blocks * block_length
    assert len(train) == num_frames - num_blocks * (block_length + 2 * gap) == more
    assert np.abs(train[:, np.newaxis] - test).min() == gap + 1


def test_a_clip_too_short_for_its_blocks_is_refused():
    split = splits.ByBlocks(num_blocks=2, block_length=10, gap=5)
    message = r"Clip 'clip': `frames` must number more than 40 for ByBlocks.*Received: 40"
    with pytest.raises(ValueError, match=message):
        split.frames(clips.exact(2, 40))


@pytest.mark.parametrize("broken", [{"num_blocks": 0}, {"block_length": 0}, {"gap": -1}])
def test_blocks_that_cannot_be_are_refused(broken):
    (setting,) = broken.items()
    message = "`num_blocks` and `block_length` must.*at least 1 and `gap` at least 0.*{}={}"
    with pytest.raises(ValueError, match=message.format(*setting)):
        splits.ByBlocks(**broken)


def sides(split, **fields):
    """The numbers of training and test frames of a clip of five; the latter are held out."""
    frames = split.frames(clips.exact(2, 5, **fields))
    np.testing.assert_array_equal(frames.held_out, frames.test)
    return len(frames.train), len(frames.test)


def test_clips_of_test_subjects_test_whole_and_others_train():
    split = splits.BySubject(test_subjects=("S9", "S11"))
    assert sides(split, subject="S11", name="walk") == (0, 5)
    assert sides(split, subject="S1", name="S9") == (5, 0)


def test_held_out_clips_neither_train_nor_test():
    split = splits.BySubject(test_subjects=("S9",), held_out_clips=("walk",))
    for subject in ("S1", "S9"):
        frames = split.frames(clips.exact(2, 5, subject=subject, name="walk"))
        assert list(map(len, frames)) == [0, 0, 5]


def test_where_clips_are_held_out_the_test_clips_are_not():
    split = splits.BySubject(test_subjects=("S9",), held_out_clips=("walk",))
    frames = split.frames(clips.exact(2, 5, subject="S9", name="run"))
    assert list(map(len, frames)) == [0, 5, 0]
    frames = split.frames(clips.exact(2, 5, subject="S1", name="run"))
    assert list(map(len, frames)) == [5, 0, 0]


def test_test_clips_test_whole_and_others_train():
    split = splits.ByClip(test_clips=("walk", "run"))
    assert sides(split, subject="S1", name="run") == (0, 5)
    assert sides(split, subject="walk", name="sit") == (5, 0)


def test_splits_are_found_by_name():
    assert set(splits.SPLITS) == {"subject", "clip", "blocks"}
    assert splits.SPLITS["blocks"] is splits.ByBlocks
