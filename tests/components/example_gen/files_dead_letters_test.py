import json

import pytest

from components.example_gen import files
from keras_mvlift import errors

ERROR = errors.RecordingError("S1/walk.cdf", "Pose", "be finite", "NaN in frame 7")


def losses(number, received="nothing"):
    error = errors.RecordingError("a.cdf", "Pose", "be there", received)
    return [files.of(f"clip_{index}", error) for index in range(number)]


def test_a_loss_says_clip_file_field_reason_and_all_of_it():
    assert files.of("S1_walk", ERROR) == {
        "clip": "S1_walk",
        "file": "S1/walk.cdf",
        "field": "Pose",
        "reason": "must be finite. Received: NaN in frame 7",
        "message": "S1/walk.cdf: `Pose` must be finite. Received: NaN in frame 7.",
    }


def test_the_list_counts_what_was_lost_and_what_was_not():
    listed = json.loads(files.to_json(losses(2), num_clips=9))
    assert listed == {"lost_clips": 2, "read_clips": 7, "clips": losses(2)}


@pytest.mark.parametrize(("number", "too_many"), [(0, False), (1, False), (2, True)])
def test_more_than_the_share_is_too_many(number, too_many):
    assert files.are_too_many(losses(number), 20, 0.05) is too_many


def test_with_a_share_of_nothing_one_loss_is_too_many():
    assert files.are_too_many(losses(1), 1000, 0.0)
    assert not files.are_too_many([], 1000, 0.0)
    assert not files.are_too_many(losses(3), 3, 1.0)


def test_the_complaint_names_share_limit_list_and_the_first_losses():
    text = files.complaint(losses(8), 16, 0.05, "out/7.dead_letters.json")
    assert text.startswith("`max_lost_share` lets a run lose 5.0% of its clips. Received: 8 of 16 ")
    assert (
        "lost, 50.0%; all are listed in out/7.dead_letters.json; the first: clip_0: a.cdf" in text
    )
    assert text.count("a.cdf: `Pose` must be there. Received: nothing.") == 5


def test_the_complaint_stays_readable_whatever_was_received():
    text = files.complaint(losses(2, "0.5 " * 9000), 2, 0.05, "list")
    assert len(text) < 1000
    assert " ..." in text
