import dataclasses

import numpy as np
import pytest

from keras_mvlift.diagnosis import footage
from keras_mvlift.diagnosis import footage as footages
from tests.diagnosis import planted


def test_runs_have_no_gaps_and_stay_within_the_frames_asked_for():
    clips = planted.sequences(num_clips=3, num_frames=1100)
    taken = footages.of_sequences(clips, max_frames=1000)
    assert taken.num_frames == 1000
    assert np.bincount(taken.run).tolist() == [500, 500]
    # The first run of the first clip and the last one of the last.
    np.testing.assert_array_equal(taken.keypoints_2d[:, :500], clips[0].keypoints_2d[:, :500])


def test_the_same_clips_give_the_same_frames():
    clips = planted.sequences()
    first, second = (footages.of_sequences(clips, max_frames=100) for _ in range(2))
    np.testing.assert_array_equal(first.keypoints_2d, second.keypoints_2d)
    assert first.num_frames == 100


def test_doubtful_detections_are_not_seen_but_their_confidence_is_kept():
    (clip, *_) = planted.sequences()
    clip = dataclasses.replace(clip, confidence=np.full_like(clip.confidence, 0.2))
    taken = footages.of_sequences([clip])
    assert (taken.confidence == 0).all()
    assert (taken.detector_confidence == 0.2).all()


def test_shifting_a_camera_moves_its_frames_within_their_run():
    clean = planted.footage()
    shifted = clean.shifted([0, 3, 0, -2])
    np.testing.assert_array_equal(shifted.keypoints_2d[0], clean.keypoints_2d[0])
    np.testing.assert_array_equal(shifted.keypoints_2d[1, :140], clean.keypoints_2d[1, 3:143])
    np.testing.assert_array_equal(shifted.keypoints_2d[3, 2:140], clean.keypoints_2d[3, :138])
    last = np.flatnonzero(np.diff(clean.run))[0]
    assert (shifted.confidence[1, last - 2 : last + 1] == 0).all()
    assert (shifted.confidence[3, last + 1 : last + 3] == 0).all()


def test_reordering_moves_what_was_seen_and_leaves_the_cameras():
    clean = planted.footage()
    reordered = clean.reordered([1, 0, 2, 3])
    np.testing.assert_array_equal(reordered.keypoints_2d[0], clean.keypoints_2d[1])
    np.testing.assert_array_equal(reordered.camera.center, clean.camera.center)


def test_the_person_has_the_size_of_the_joints_box():
    clean = planted.footage()
    points = np.zeros_like(clean.keypoints_2d)
    points[:, :, 0] = [30.0, 40.0]
    seen = clean.replace_images(points, np.ones_like(clean.confidence))
    np.testing.assert_allclose(seen.person_size, 50.0)


def test_clips_of_different_rigs_are_sorted():
    first, second = planted.sequences(), planted.sequences(seed=1)
    groups = footages.rigs([first[0], second[0], first[1]])
    assert [[clip.name for clip in group] for group in groups] == [
        [first[0].name, first[1].name],
        [second[0].name],
    ]


@pytest.mark.parametrize(
    ("names", "every", "expected"),
    [
        *(("a", "abcd", "a"), ("ac", "abcd", "a and c"), ("abd", "abcd", "a, b and d")),
        *(("abcd", "abcd", "all 4 cameras"), ("ab", "ab", "both cameras")),
    ],
)
def test_cameras_are_listed_as_one_says_them(names, every, expected):
    assert footage.listed(tuple(names), tuple(every)) == expected
