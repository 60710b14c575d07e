import dataclasses

import numpy as np
import pytest

from keras_mvlift.diagnosis import residuals, verdicts
from tests.diagnosis import planted


@pytest.mark.parametrize(
    "offsets", [[0, 4], [0, 0, -2], [0, 0, 0, 7], [0, 4, 8, 12], [0, 0, 0, -45], [0] * 7 + [3]]
)
def test_planted_offsets_are_estimated(offsets):
    clean = planted.footage(len(offsets), seed=1)
    estimate = residuals.estimate_offsets(planted.late(clean, offsets))
    assert estimate.frames.tolist() == offsets
    np.testing.assert_allclose(estimate.refined, offsets, atol=0.2)
    assert estimate.after < estimate.before


def test_offsets_are_refined_to_parts_of_a_frame():
    # Every second frame, and of one camera those between: half a frame early.
    dense = planted.footage(3, seed=1, num_frames=300, noise_px=1.0)
    keypoints_2d, confidence = dense.keypoints_2d[:, ::2].copy(), dense.confidence[:, ::2].copy()
    keypoints_2d[2], confidence[2] = dense.keypoints_2d[2, 1::2], dense.confidence[2, 1::2]
    thinned = dataclasses.replace(
        dense,
        keypoints_2d=keypoints_2d,
        confidence=confidence,
        detector_confidence=confidence,
        run=dense.run[::2],
    )
    estimate = residuals.estimate_offsets(thinned)
    np.testing.assert_allclose(estimate.refined[2], -0.5, atol=0.15)


def test_the_largest_group_of_cameras_is_taken_to_be_right():
    estimate = residuals.estimate_offsets(planted.late(planted.footage(), [5, 0, 0, 0]))
    assert estimate.frames.tolist() == [5, 0, 0, 0]


def test_a_person_who_stands_still_tells_no_offset():
    clean = planted.footage()
    frozen = clean.replace_images(
        np.broadcast_to(clean.keypoints_2d[:, :1], clean.keypoints_2d.shape),
        np.broadcast_to(clean.confidence[:, :1], clean.confidence.shape),
    )
    assert [f.name for f in verdicts.reach(frozen).found if f.name == "time_shift"] == []


@pytest.mark.parametrize(
    ("offsets", "late"),
    [([0, 0, 0, 1], ["camera_4"]), ([0, -20, 0], ["camera_2"]), ([0, 3], ["camera_3"])],
)
def test_a_time_shift_is_found_by_name_with_frames_and_seconds(offsets, late):
    clean = planted.footage(len(offsets), seed=1)
    (finding,) = verdicts.reach(planted.late(clean, offsets)).found
    assert finding.name == "time_shift"
    assert list(finding.cameras) == late
    (frames,) = (offset for offset in offsets if offset)
    assert finding.details == {
        "offset_frames": {late[0]: frames},
        "offset_seconds": {late[0]: frames / clean.frame_rate},
    }
    told = f"{late[0]} is {'late' if frames > 0 else 'early'} by {abs(frames)} frame"
    assert told in finding.sentence
