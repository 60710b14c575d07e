import json

import numpy as np

from keras_mvlift.studio import rigs

PERSON = np.array([[10.0, 20.0, 0.5], [30.0, 40.0, 0.25]])
PEOPLE = [(3, PERSON[np.newaxis]), (4, np.stack([PERSON, PERSON + 1]))]


def written(tmp_path, name):
    target = rigs.DETECTION_WRITERS[name](tmp_path / "cam1", PEOPLE)
    return tmp_path / target


def test_openposes_files_are_named_by_frame(tmp_path):
    folder = written(tmp_path, "openpose")
    names = [f"cam1_{number:012d}_keypoints.json" for number in (3, 4)]
    assert sorted(path.name for path in folder.iterdir()) == names
    content = json.loads((folder / names[1]).read_text())
    assert content["people"][0] == {
        "person_id": [-1],
        "pose_keypoints_2d": [10.0, 20.0, 0.5, 30.0, 40.0, 0.25],
    }
    assert len(content["people"]) == 2


def test_alphaposes_file_is_a_list_of_people(tmp_path):
    content = json.loads(written(tmp_path, "alphapose").read_text())
    assert [entry["image_id"] for entry in content] == ["3.jpg", "4.jpg", "4.jpg"]
    assert content[0]["keypoints"] == PERSON.ravel().tolist()
    assert content[0]["box"] == [10.0, 20.0, 30.0, 40.0]


def test_mmposes_file_is_a_list_of_frames(tmp_path):
    content = json.loads(written(tmp_path, "mmpose").read_text())
    assert [(frame["frame_id"], len(frame["instances"])) for frame in content] == [(3, 1), (4, 2)]
    (instance,) = content[0]["instances"]
    assert instance["keypoint_scores"] == [0.5, 0.25]
    assert instance["bbox"] == [[10.0, 20.0, 30.0, 40.0]]


def test_rtmlibs_arrays_are_padded_with_people_not_seen(tmp_path):
    content = np.load(written(tmp_path, "rtmlib"))
    assert content["frames"].tolist() == [3, 4]
    assert content["keypoints"].shape == (2, 2, 2, 2)
    assert content["scores"].tolist() == [[[0.5, 0.25], [0, 0]], [[0.5, 0.25], [1.5, 1.25]]]
