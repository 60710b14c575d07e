import numpy as np
import pytest

from keras_mvlift import configs
from keras_mvlift.experiments import origins

OPTIONS = '{"num_subjects": 2, "num_clips": 1, "num_frames": 12}'
CONFIG = configs.DataConfig(
    source="studio",
    source_options=OPTIONS,
    split="subject",
    split_options='{"test_subjects": ["S02"]}',
    stride=5,
    test_stride=4,
)


@pytest.fixture(scope="module")
def whole():
    return origins.read_recordings(CONFIG, "", is_whole=True)


@pytest.fixture(scope="module")
def thinned():
    return origins.read_recordings(CONFIG, "")


def test_only_frames_that_are_used_are_kept_and_know_their_numbers(whole, thinned):
    train, test = thinned.clips
    assert thinned.numbers[train.name].tolist() == [0, 5, 10]
    assert thinned.numbers[test.name].tolist() == [0, 4, 8]
    for clip, full in zip(thinned.clips, whole.clips, strict=True):
        number = thinned.numbers[clip.name]
        np.testing.assert_array_equal(clip.keypoints_2d, full.keypoints_2d[:, number])
        np.testing.assert_array_equal(clip.pose_world, full.pose_world[number])


def test_each_kept_frame_stays_on_its_side(thinned):
    frames = [thinned.frames[clip.name] for clip in thinned.clips]
    assert [(len(given.train), len(given.test)) for given in frames] == [(3, 0), (0, 3)]


def test_blocks_of_a_clip_train_and_test():
    config = configs.DataConfig(
        source="studio",
        source_options='{"num_subjects": 1, "num_clips": 1, "num_frames": 50}',
        split_options='{"num_blocks": 1, "block_length": 6, "gap": 3}',
        stride=10,
        test_stride=2,
    )
    found = origins.read_recordings(config, "")
    number, given = found.numbers[found.clips[0].name], found.frames[found.clips[0].name]
    # The block is that of frames 22 to 27; frames 19 to 30 are too near to train on.
    assert number[given.test].tolist() == [22, 24, 26]
    assert number[given.train].tolist() == [0, 10, 40]


def test_whole_recordings_keep_all_frames(whole):
    assert [clip.num_frames for clip in whole.clips] == [12, 12]
    assert len(whole.frames[whole.clips[0].name].train) == 12


def test_other_recordings_may_test_what_these_train(thinned):
    joined = thinned.joined(thinned)
    names = [clip.name for clip in joined.clips]
    assert names == ["S01_walking_01", "elsewhere_S02_walking_01"]
    train, test = (joined.frames[name] for name in names)
    assert (len(train.train), len(train.test)) == (3, 0)
    assert (len(test.train), len(test.test)) == (0, 3)
    assert joined.numbers[names[1]].tolist() == [0, 4, 8]
