import json
import re

import numpy as np
import psutil
import pytest

from keras_mvlift import errors
from keras_mvlift.lifting import tracks_2d_files
from keras_mvlift.studio import rigs

RNG = np.random.default_rng(0)
BODY = np.concatenate([RNG.uniform(0, 200, (17, 2)), np.full((17, 1), 0.8)], axis=1)
ASIDE, UNSURE = np.array([600.0, 0, 0]), np.array([1.0, 1.0, 0.5])


def crowd(number):
    """Returns a person, and a less sure one before or behind in the file."""
    first = BODY + np.array([3.0 * number, 0, 0])
    both = [first, (BODY + ASIDE) * UNSURE]
    return np.array(both[:: 1 if number % 2 else -1])


FRAMES = [(number, crowd(number)) for number in range(4, 12) if number != 7]


def assert_followed(tracks):
    assert tracks.names == ("person 1", "person 2")
    assert (tracks.first_frame, tracks.num_frames, tracks.frame_rate) == (4, 8, None)
    # Frame 7 is missing.
    assert np.flatnonzero(~(tracks.confidence > 0).any(axis=(0, 2))).tolist() == [3]
    for number, _ in FRAMES:
        person, other = tracks.keypoints_2d[:, number - 4]
        np.testing.assert_allclose(person, BODY[:, :2] + [3.0 * number, 0], atol=1e-3)
        np.testing.assert_allclose(other, BODY[:, :2] + [600.0, 0], atol=1e-3)
    np.testing.assert_allclose(tracks.confidence[:, 0, 0], [0.8, 0.4], atol=1e-6)


def renumber(path, idx):
    """Returns all of AlphaPose's people one number, as it does where it tracks nobody."""
    content = [entry | {"idx": idx} for entry in json.loads(path.read_text())]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("detector", rigs.DETECTION_WRITERS)
def test_people_of_every_detector_are_told_apart(tmp_path, detector):
    name = rigs.DETECTION_WRITERS[detector](tmp_path / "cam", FRAMES)
    if detector == "alphapose":
        renumber(tmp_path / name, 0)
    assert_followed(tracks_2d_files.read_detections(tmp_path / name, "coco_17"))
    # Seventeen joints of a detector are COCO's.
    assert_followed(tracks_2d_files.read_detections(tmp_path / name))


@pytest.mark.parametrize("detector", ["openpose", "alphapose"])
def test_the_detectors_own_numbers_count_more_than_places(tmp_path, detector):
    # They swap places from frame to frame; only the numbers tell.
    frames = [(number, crowd(0)[:: 1 if number % 2 else -1]) for number in range(6)]
    name = rigs.DETECTION_WRITERS[detector](tmp_path / "cam", frames)
    if detector == "openpose":
        for path in (tmp_path / name).iterdir():
            content = json.loads(path.read_text())
            for index, person in enumerate(content["people"]):
                person["person_id"] = [index]
            path.write_text(json.dumps(content))
    tracks = tracks_2d_files.read_detections(tmp_path / name)
    steps = np.linalg.norm(np.diff(tracks.keypoints_2d[:, :, 0], axis=1), axis=-1)
    np.testing.assert_allclose(steps, 600.0, atol=1e-3)


def test_openposes_number_for_nobody_tells_nobody(tmp_path):
    # One at a time, and far apart: -1 is not one person's number.
    frames = [(number, crowd(0)[[number // 6]]) for number in range(12)]
    name = rigs.DETECTION_WRITERS["openpose"](tmp_path / "cam", frames)
    assert len(tracks_2d_files.read_detections(tmp_path / name).names) == 2


def write(tmp_path, content):
    path = tmp_path / "seen.json"
    path.write_text(json.dumps(content))
    return path


def mmpose(count, num_frames=1, confidence=1.0):
    person = {"keypoints": [[1.0, 2.0]] * count, "keypoint_scores": [confidence] * count}
    return [{"frame_id": number, "instances": [person]} for number in range(num_frames)]


@pytest.mark.parametrize(
    ("content", "skeleton", "sentence"),
    [
        ({"a": 1}, None, "`file` must be detections of AlphaPose, MMPose or rtmlib, or a folder"),
        ([], None, "`file` must be detections of AlphaPose, MMPose or rtmlib, or a folder"),
        (mmpose(25), None, "`skeleton` must be said (one of h36m_17, coco_17, body_25, body_25b,"),
        (mmpose(25), "coco", "`skeleton` must be one of h36m_17, coco_17"),
        (mmpose(25), "coco_17", "must have the 17 joints of coco_17. Received: 25."),
        ([{"frame_id": 0, "instances": []}], None, "`people` must be there in a frame. Received"),
        (mmpose(17, confidence=0.0), None, "`people` must be there in a frame. Received: nobody"),
        ([*mmpose(17), {"frame_id": 10**8, "instances": []}], None, "`frames` must span 1 to"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_field(tmp_path, content, skeleton, sentence):
    path = write(tmp_path, content)
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)) as caught:
        tracks_2d_files.read_detections(path, skeleton)
    assert caught.value.path == path


def test_people_who_only_flicker_are_refused(tmp_path):
    content = mmpose(17, num_frames=20)
    for number, frame in enumerate(content):
        frame["instances"] = frame["instances"] if number in (0, 9) else []
    with pytest.raises(errors.RecordingError, match="`people` must be there in 5 frames"):
        tracks_2d_files.read_detections(write(tmp_path, content))


def test_many_numbered_people_far_apart_are_refused_before_they_are_laid_out(tmp_path):
    path = tmp_path / "seen.json"
    keypoints = BODY.ravel().tolist()
    entries = [
        {"image_id": f"{frame}.jpg", "keypoints": keypoints, "idx": number}
        for frame in (0, 199_999)
        for number in range(40)
    ]
    path.write_text(json.dumps(entries))
    before = psutil.Process().memory_info().rss
    with pytest.raises(errors.RecordingError, match=r"`people` must span at most 100 times"):
        tracks_2d_files.read_detections(path)
    assert psutil.Process().memory_info().rss - before < 64 * 2**20
