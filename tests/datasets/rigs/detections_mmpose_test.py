import json

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import detections
from keras_mvlift.untrusted import files
from tests.datasets.rigs import surest_people
from tests.untrusted import damage

POINTS = np.random.default_rng(0).uniform(1, 1000, (17, 2))


def instance(score=0.5, **changes):
    return {
        "keypoints": POINTS.tolist(),
        "keypoint_scores": [score] * 17,
        # A tuple of one box, as the programs write it.
        "bbox": [[1.0, 2.0, 3.0, 4.0]],
        "bbox_score": 0.9,
    } | changes


def frame(number, *instances):
    return {"frame_id": number, "instances": list(instances)}


def write(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path):
    return surest_people.track(detections.mmpose_frames(path), skeletons.COCO_17)


@pytest.mark.parametrize("wrap", [list, lambda frames: {"meta_info": {}, "instance_info": frames}])
def test_frames_of_the_inferencer_and_of_the_demos_are_read(tmp_path, wrap):
    frames = [frame(1, instance(0.3), instance(0.7)), frame(2), frame(4, instance(0.4))]
    track = read(write(tmp_path, wrap(frames)))
    assert track.frames.tolist() == [1, 2, 4]
    assert track.confidence[:, 0].tolist() == [0.7, 0.0, 0.4]
    np.testing.assert_array_equal(track.keypoints_2d[2], POINTS)


def test_a_negative_score_is_not_seen(tmp_path):
    seen = instance(keypoint_scores=[-0.01] + [0.5] * 16)
    track = read(write(tmp_path, [frame(0, seen)]))
    assert track.confidence[0].tolist() == [0.0] + [0.5] * 16


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ("{", "frames", "be JSON"),
        ({"frames": []}, "frames", "be MMPose's list.*Received: NoneType"),
        ([{"instances": []}], "[0]", "have a `frame_id`.*no `frame_id`"),
        ([frame(0, instance()), frame(1, {"keypoints": []})], "[1]", "no `keypoint_scores`"),
        ([frame(0, instance(keypoint_scores=[0.5]))], "[0]", r"keypoints \(17, 2\) and scores"),
        ([frame(0, instance(keypoints=None))], "[0]", "keypoints"),
        ([frame(7, instance(keypoints=[[1, 2]], keypoint_scores=[1]))], "frame 7", "the 17 joints"),
    ],
)
def test_a_file_that_is_not_mmposes_is_refused(tmp_path, content, field, message):
    path = write(tmp_path, content)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        read(path)
    assert (caught.value.path, caught.value.field) == (path, field)


def test_damaged_files_end_in_our_error(tmp_path):
    path = write(tmp_path, [frame(0, instance(), instance(0.2)), frame(1, instance())])
    data = path.read_bytes()
    assert damage.assert_only_our_errors(lambda: read(path), path, data, count=200) > 60


def test_many_frames_with_nobody_are_refused_before_they_are_laid_out(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FREE_NUMBERS", 1000)
    nobody = [frame(number) for number in range(1, 102)]
    assert len(read(write(tmp_path, [frame(0, instance()), *nobody[:-2]])).frames) == 100
    with pytest.raises(errors.RecordingError, match=r"`people` must span at most 100 times"):
        read(write(tmp_path, [frame(0, instance()), *nobody]))
