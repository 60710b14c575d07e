import json

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import detections
from tests.datasets import recordings
from tests.datasets.rigs import surest_people
from tests.untrusted import damage


def person(confidence=0.5, num_joints=25):
    points = np.random.default_rng(0).uniform(1, 1000, (num_joints, 3))
    points[:, 2] = confidence
    return points


def read(folder):
    return surest_people.track(detections.openpose_frames(folder), skeletons.BODY_25B)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("cam01.0042.json", 42),
        ("walk_000000000042_keypoints.json", 42),
        ("42.json", 42),
        ("take2_cam01_0000.json", 0),
    ],
)
def test_frames_are_numbered_by_the_end_of_the_file_name(tmp_path, name, number):
    written = person()
    (tmp_path / name).write_text(recordings.detections(written))
    track = read(tmp_path)
    assert track.frames.tolist() == [number]
    np.testing.assert_array_equal(track.keypoints_2d, [written[:, :2]])
    np.testing.assert_array_equal(track.confidence, [written[:, 2]])


def test_the_person_most_surely_seen_is_read_wherever_in_the_list(tmp_path):
    sure, unsure = person(0.6), person(0.3)
    (tmp_path / "0.json").write_text(recordings.detections(unsure, sure))
    (tmp_path / "1.json").write_text(recordings.detections(sure, unsure, unsure))
    np.testing.assert_array_equal(read(tmp_path).confidence, [sure[:, 2]] * 2)


def test_in_a_frame_without_a_person_no_joint_is_seen(tmp_path):
    (tmp_path / "0.json").write_text(recordings.detections())
    (tmp_path / "1.json").write_text('{"people": [{"pose_keypoints_2d": []}]}')
    (tmp_path / "2.json").write_text(recordings.detections(person()))
    track = read(tmp_path)
    assert track.frames.tolist() == [0, 1, 2]
    assert (track.confidence > 0).all(axis=1).tolist() == [False, False, True]
    assert (track.keypoints_2d[:2] == 0).all()


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "0.json").write_text(recordings.detections(person()))
    (tmp_path / "notes.txt").write_text("nothing")
    assert read(tmp_path).frames.tolist() == [0]


def broken(*first):
    numbers = [*first, *([1.0, 2.0, 0.5] * 25)[len(first) :]]
    return json.dumps({"people": [{"pose_keypoints_2d": numbers}]})


@pytest.mark.parametrize(
    ("text", "field", "received"),
    [
        (recordings.detections(person())[:-20], "people", "JSONDecodeError"),
        ("", "people", "JSONDecodeError"),
        ("[]", "people", "something else there"),
        ('{"persons": []}', "people", "no `people`"),
        ('{"people": [{"points": []}]}', "people", "no `pose_keypoints_2d`"),
        (recordings.detections(person().ravel()[:-1]), "pose_keypoints_2d", "74 numbers"),
        (broken("x"), "pose_keypoints_2d", "'x'"),
        (broken(1.0, 10**400), "pose_keypoints_2d", "OverflowError"),
        (broken(1.0, float("inf")), "pose_keypoints_2d", "inf"),
        (broken(-9.0, 2.0, -0.5), "pose_keypoints_2d", "-0.5"),
    ],
)
def test_a_file_that_is_not_openposes_is_refused_by_name(tmp_path, text, field, received):
    (tmp_path / "0.json").write_text(recordings.detections(person()))
    (tmp_path / "1.json").write_text(text)
    with pytest.raises(errors.RecordingError, match=rf"Received: .*{received}") as caught:
        read(tmp_path)
    assert (caught.value.path, caught.value.field) == (tmp_path / "1.json", field)


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(errors.RecordingError, match=r"`\*\.json` must exist") as caught:
        read(tmp_path)
    assert caught.value.path == tmp_path


def test_a_file_without_a_frame_number_is_refused(tmp_path):
    (tmp_path / "first.json").write_text(recordings.detections(person()))
    rule = "`file name` must hold a frame number. Received: first."
    with pytest.raises(errors.RecordingError, match=rule):
        read(tmp_path)


@pytest.mark.parametrize("name", ["cam_{:03d}_keypoints", "{:02d}_rtmpose_26", "v2.{}.x3"])
def test_the_number_that_tells_files_apart_is_the_frames(tmp_path, name):
    for number in (7, 9, 11):
        (tmp_path / f"{name.format(number)}.json").write_text(recordings.detections(person()))
    # What a Mac leaves beside a file.
    (tmp_path / f"._{name.format(7)}.json").write_bytes(b"\0\5\x16\7")
    assert read(tmp_path).frames.tolist() == [7, 9, 11]


def test_a_joint_at_no_place_was_not_seen(tmp_path):
    for number, nowhere in enumerate((0.0, -1.0, float("nan"))):
        (tmp_path / f"{number}.json").write_text(broken(nowhere, nowhere, 0.9))
    assert (read(tmp_path).confidence == 0).sum(axis=1).tolist() == [1, 1, 1]


def test_two_files_of_one_frame_are_refused(tmp_path):
    for name in ("cam01.0003", "cam02.0003", "cam01.0004", "cam02.0004"):
        (tmp_path / f"{name}.json").write_text(recordings.detections(person()))
    rule = r"`file name` must hold a number that is each frame's own. Received: cam01.0003 and"
    with pytest.raises(errors.RecordingError, match=rule):
        read(tmp_path)


def test_joints_of_another_skeleton_are_refused(tmp_path):
    (tmp_path / "7.json").write_text(recordings.detections(person(num_joints=26)))
    rule = "`pose_keypoints_2d` must have the 25 joints of body_25b. Received: 26"
    with pytest.raises(errors.RecordingError, match=rule) as caught:
        read(tmp_path)
    assert caught.value.path == tmp_path / "7.json"


def test_damaged_files_end_in_our_error(tmp_path):
    data = recordings.detections(person(), person(0.2)).encode()
    path = tmp_path / "0.json"
    assert damage.assert_only_our_errors(lambda: read(tmp_path), path, data, count=200) > 60
