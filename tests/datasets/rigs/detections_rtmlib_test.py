import json

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import detections
from tests.datasets import recordings
from tests.datasets.rigs import surest_people
from tests.untrusted import damage

HALPE = skeletons.HALPE_26


def arrays(num_frames=3, num_people=2):
    rng = np.random.default_rng(1)
    return {
        "keypoints": rng.uniform(1, 1000, (num_frames, num_people, 26, 2)).astype(np.float32),
        "scores": rng.uniform(0.2, 0.9, (num_frames, num_people, 26)).astype(np.float32),
    }


def write(tmp_path, **changes):
    path = tmp_path / "cam1.npz"
    np.savez(path, **(arrays() | changes))
    return path


def read(path):
    return surest_people.track(detections.rtmlib_frames(path), HALPE)


def test_arrays_are_read_and_the_surest_person_chosen(tmp_path):
    content = arrays()
    track = read(write(tmp_path))
    assert track.frames.tolist() == [0, 1, 2]
    best = content["scores"].sum(axis=-1).argmax(axis=1)
    assert len(set(best.tolist())) == 2
    rows = np.arange(3)
    np.testing.assert_array_equal(track.keypoints_2d, content["keypoints"][rows, best])
    np.testing.assert_array_equal(track.confidence, content["scores"][rows, best])


def test_frames_may_be_numbered(tmp_path):
    assert read(write(tmp_path, frames=np.array([4, 7, 5]))).frames.tolist() == [4, 5, 7]


def test_a_list_of_frames_may_have_different_numbers_of_people(tmp_path):
    content = arrays()
    frames = [
        {"keypoints": content["keypoints"][0].tolist(), "scores": content["scores"][0].tolist()},
        {"keypoints": [], "scores": []},
        {
            "frame": 9,
            "keypoints": content["keypoints"][2, :1].tolist(),
            "scores": content["scores"][2, :1].tolist(),
        },
    ]
    path = tmp_path / "cam1.json"
    path.write_text(json.dumps(frames))
    track = read(path)
    assert track.frames.tolist() == [0, 1, 9]
    assert (track.confidence > 0).all(axis=1).tolist() == [True, False, True]
    np.testing.assert_array_equal(track.keypoints_2d[2], content["keypoints"][2, 0])


def test_what_pose2sim_writes_of_it_is_openposes_folder(tmp_path):
    person = np.random.default_rng(0).uniform(0.1, 0.9, (26, 3))
    (tmp_path / "cam1_000003.json").write_text(recordings.detections(person))
    track = read(tmp_path)
    assert track.frames.tolist() == [3]
    np.testing.assert_array_equal(track.confidence[0], person[:, 2])


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"scores": np.ones((3, 2, 25))}, "keypoints", "fit the `scores`"),
        ({"frames": np.arange(2)}, "frames", r"number the 3 frames.*Received: shape \(2,\)"),
        ({"frames": np.zeros(3, int)}, "frame number", "be the only one of its frame"),
        ({"scores": np.full((3, 2, 26), np.nan)}, "keypoints of frame 0", "be finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changes, field, message):
    path = write(tmp_path, **changes)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        read(path)
    assert (caught.value.path, caught.value.field) == (path, field)


def test_an_archive_of_other_arrays_is_refused(tmp_path):
    path = tmp_path / "cam1.npz"
    np.savez(path, poses=np.zeros(3))
    with pytest.raises(errors.RecordingError, match=r"`keypoints` must be .*Received: poses"):
        read(path)


@pytest.mark.parametrize("content", ["{}", "[3]", '[{"keypoints": []}]', '[{"scores": 1}]', "["])
def test_a_file_of_another_form_is_refused(tmp_path, content):
    path = tmp_path / "cam1.json"
    path.write_text(content)
    with pytest.raises(errors.RecordingError) as caught:
        read(path)
    assert caught.value.path == path


def test_damaged_files_end_in_our_error(tmp_path):
    path = write(tmp_path)
    data = path.read_bytes()
    assert damage.assert_only_our_errors(lambda: read(path), path, data) > 30
