import json

import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.datasets import errors, openpose
from tests.datasets import recordings


def person(confidence=0.5, num_joints=25):
    points = np.random.default_rng(0).uniform(1, 1000, (num_joints, 3))
    points[:, 2] = confidence
    return points


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
    frames = openpose.read_folder(tmp_path)
    assert list(frames) == [number]
    np.testing.assert_array_equal(frames[number], written)


def test_the_person_most_surely_seen_is_read_wherever_in_the_list(tmp_path):
    sure, unsure = person(0.6), person(0.3)
    (tmp_path / "0.json").write_text(recordings.detections(unsure, sure))
    (tmp_path / "1.json").write_text(recordings.detections(sure, unsure, unsure))
    for frame in openpose.read_folder(tmp_path).values():
        np.testing.assert_array_equal(frame, sure)


def test_a_frame_without_a_person_has_no_joints(tmp_path):
    (tmp_path / "0.json").write_text(recordings.detections())
    (tmp_path / "1.json").write_text('{"people": [{"pose_keypoints_2d": []}]}')
    (tmp_path / "2.json").write_text(recordings.detections(person()))
    shapes = {number: frame.shape for number, frame in openpose.read_folder(tmp_path).items()}
    assert shapes == {0: (0, 3), 1: (0, 3), 2: (25, 3)}


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "0.json").write_text(recordings.detections(person()))
    (tmp_path / "notes.txt").write_text("nothing")
    assert list(openpose.read_folder(tmp_path)) == [0]


def broken(**changes):
    return json.dumps({"people": [{"pose_keypoints_2d": [1.0, 2.0, 0.5]} | changes]})


@pytest.mark.parametrize(
    ("text", "field", "received"),
    [
        (recordings.detections(person())[:-20], "people", "JSONDecodeError"),
        ("", "people", "JSONDecodeError"),
        ("[]", "people", "TypeError"),
        ('{"persons": []}', "people", "KeyError: 'people'"),
        ('{"people": [{"points": []}]}', "people", "KeyError: 'pose_keypoints_2d'"),
        (broken(pose_keypoints_2d=[1.0, 2.0]), "people", "ValueError.*size 2"),
        (broken(pose_keypoints_2d=["x", 2.0, 0.5]), "people", "ValueError.*'x'"),
        (broken(pose_keypoints_2d=[float("nan"), 2.0, 0.5]), "pose_keypoints_2d", "nan"),
        (broken(pose_keypoints_2d=[float("inf"), 2.0, 0.5]), "pose_keypoints_2d", "inf"),
        (broken(pose_keypoints_2d=[-9.0, 2.0, -0.5]), "pose_keypoints_2d", "-0.5"),
    ],
)
def test_a_file_that_is_not_openposes_is_refused_by_name(tmp_path, text, field, received):
    (tmp_path / "0.json").write_text(recordings.detections(person()))
    (tmp_path / "1.json").write_text(text)
    with pytest.raises(errors.RecordingError, match=rf"Received: .*{received}") as caught:
        openpose.read_folder(tmp_path)
    assert (caught.value.path, caught.value.field) == (tmp_path / "1.json", field)


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(errors.RecordingError, match=r"`\*\.json` must exist") as caught:
        openpose.read_folder(tmp_path)
    assert caught.value.path == tmp_path


def test_a_file_without_a_frame_number_is_refused(tmp_path):
    (tmp_path / "first.json").write_text(recordings.detections(person()))
    rule = "`file name` must end in a frame number. Received: first.json"
    with pytest.raises(errors.RecordingError, match=rule):
        openpose.read_folder(tmp_path)


def test_two_files_of_one_frame_are_refused(tmp_path):
    for name in ("cam01.0003.json", "cam02.0003.json"):
        (tmp_path / name).write_text(recordings.detections(person()))
    rule = r"cam02.0003.json: `file name` must be the only one of its frame. Received: 3"
    with pytest.raises(errors.RecordingError, match=rule):
        openpose.read_folder(tmp_path)


def test_joint_names_are_those_of_the_skeleton(tmp_path):
    for skeleton in (skeletons.BODY_25, skeletons.BODY_25B):
        assert openpose.joint_names(25, skeleton.name, tmp_path) == skeleton.joints


@pytest.mark.parametrize(
    ("arguments", "field", "message"),
    [
        ((26, "body_25"), "pose_keypoints_2d", "have the 25 joints of body_25. Received: 26"),
        ((25, "halpe_26"), "skeleton", "be one of h36m_17, body_25, body_25b. Received: halpe_26"),
    ],
)
def test_joints_of_another_skeleton_are_refused(tmp_path, arguments, field, message):
    with pytest.raises(errors.RecordingError, match=message) as caught:
        openpose.joint_names(*arguments, tmp_path)
    assert (caught.value.path, caught.value.field) == (tmp_path, field)
