import json

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import detections
from tests.datasets.rigs import surest_people
from tests.untrusted import damage


def entry(image="0.jpg", confidence=0.5, **changes):
    points = np.random.default_rng(0).uniform(1, 1000, (17, 3))
    points[:, 2] = confidence
    return {
        "image_id": image,
        "category_id": 1,
        "keypoints": points.ravel().tolist(),
        "score": 2.9,
        "box": [1.0, 2.0, 3.0, 4.0],
        "idx": [0.0],
    } | changes


def write(tmp_path, content):
    path = tmp_path / "alphapose-results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path):
    return surest_people.track(detections.alphapose_frames(path), skeletons.COCO_17)


@pytest.mark.parametrize(
    ("image", "number"),
    [
        ("0.jpg", 0),
        ("12.jpg", 12),
        ("cam1_000034.png", 34),
        ("7", 7),
        (5, 5),
        ("a.b.0042.jpeg", 42),
    ],
)
def test_frames_are_numbered_by_their_images(tmp_path, image, number):
    track = read(write(tmp_path, [entry(image)]))
    assert track.frames.tolist() == [number]
    expected = np.reshape(entry()["keypoints"], (17, 3))
    np.testing.assert_array_equal(track.keypoints_2d[0], expected[:, :2])


def test_people_of_one_image_are_one_frame_wherever_they_stand(tmp_path):
    path = write(tmp_path, [entry("1.jpg", 0.3), entry("0.jpg", 0.4), entry("1.jpg", 0.6)])
    track = read(path)
    assert track.frames.tolist() == [0, 1]
    assert track.confidence[:, 0].tolist() == [0.4, 0.6]


def test_confidences_above_one_are_cut_not_scaled(tmp_path):
    confidence = np.array([4.5, 0.5] + [0.7] * 15)
    track = read(write(tmp_path, [entry(confidence=confidence)]))
    assert track.confidence[0].tolist() == [1.0, 0.5] + [0.7] * 15


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ("[", "results", "be JSON"),
        ({"bodies": []}, "results", "be AlphaPose's list of people. Received: dict"),
        ([{"keypoints": []}], "[0]", "have an `image_id` and `keypoints`.*no `image_id`"),
        ([entry(), entry("first.jpg")], "image_id", "hold a frame number.*first.jpg"),
        (
            [entry(f"{part}_{number}_1.jpg") for part in "ab" for number in range(3)],
            "image_id",
            "hold a number that is each frame's own. Received: a_0_1.jpg and a_1_1.jpg among 6",
        ),
        ([entry("3.jpg", keypoints=[1, 2, 0.5])], "keypoints of frame 3", "the 17 joints.*: 1"),
    ],
)
def test_a_file_that_is_not_alphaposes_is_refused(tmp_path, content, field, message):
    path = write(tmp_path, content)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        read(path)
    assert (caught.value.path, caught.value.field) == (path, field)


def test_damaged_files_end_in_our_error(tmp_path):
    path = write(tmp_path, [entry(), entry("1.jpg")])
    data = path.read_bytes()
    assert damage.assert_only_our_errors(lambda: read(path), path, data, count=200) > 60
