import functools
import json

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import detections
from keras_mvlift.untrusted import files
from tests import refusals
from tests.datasets import recordings
from tests.datasets.rigs import simulated_rigs, surest_people
from tests.untrusted import damage


def read(name, skeleton, path):
    return surest_people.track(detections.READERS[name](path), skeleton)


read_alphapose = functools.partial(read, "alphapose", skeletons.COCO_17)
read_mmpose = functools.partial(read, "mmpose", skeletons.COCO_17)
read_openpose = functools.partial(read, "openpose", skeletons.BODY_25B)
read_rtmlib = functools.partial(read, "rtmlib", skeletons.HALPE_26)
READERS = {"alphapose": read_alphapose, "mmpose": read_mmpose, "rtmlib": read_rtmlib}


def write(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("skeleton", skeletons.SKELETONS.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("detection_format", detections.READERS)
def test_every_format_gives_the_same_track(tmp_path, detection_format, skeleton):
    rng = np.random.default_rng(0)
    crowd = rng.uniform([1, 1, 0.3], [1000, 1000, 0.9], (4, 2, skeleton.num_joints, 3))
    crowd[:, 0, :, 2] *= 0.3
    crowd[1, 1, 0] = 0.0
    people = [(number, crowd[row]) for row, number in enumerate([5, 6, 8, 9])]
    written = simulated_rigs.DETECTION_WRITERS[detection_format](tmp_path / "clip" / "cam1", people)
    frames = detections.READERS[detection_format](tmp_path / "clip" / written)
    track = surest_people.track(frames, skeleton)
    assert track.frames.tolist() == [5, 6, 8, 9]
    np.testing.assert_allclose(track.keypoints_2d, crowd[:, 1, :, :2], atol=1e-4)
    np.testing.assert_allclose(track.confidence, crowd[:, 1, :, 2], atol=1e-4)


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
    track = read_alphapose(write(tmp_path, [entry(image)]))
    assert track.frames.tolist() == [number]
    expected = np.reshape(entry()["keypoints"], (17, 3))
    np.testing.assert_array_equal(track.keypoints_2d[0], expected[:, :2])


def test_people_of_one_image_are_one_frame_wherever_they_stand(tmp_path):
    path = write(tmp_path, [entry("1.jpg", 0.3), entry("0.jpg", 0.4), entry("1.jpg", 0.6)])
    track = read_alphapose(path)
    assert track.frames.tolist() == [0, 1]
    assert track.confidence[:, 0].tolist() == [0.4, 0.6]


def test_confidences_above_one_are_cut_not_scaled(tmp_path):
    confidence = np.array([4.5, 0.5] + [0.7] * 15)
    track = read_alphapose(write(tmp_path, [entry(confidence=confidence)]))
    assert track.confidence[0].tolist() == [1.0, 0.5] + [0.7] * 15


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


@pytest.mark.parametrize("wrap", [list, lambda frames: {"meta_info": {}, "instance_info": frames}])
def test_frames_of_the_inferencer_and_of_the_demos_are_read(tmp_path, wrap):
    frames = [frame(1, instance(0.3), instance(0.7)), frame(2), frame(4, instance(0.4))]
    track = read_mmpose(write(tmp_path, wrap(frames)))
    assert track.frames.tolist() == [1, 2, 4]
    assert track.confidence[:, 0].tolist() == [0.7, 0.0, 0.4]
    np.testing.assert_array_equal(track.keypoints_2d[2], POINTS)


def test_a_negative_score_is_not_seen(tmp_path):
    seen = instance(keypoint_scores=[-0.01] + [0.5] * 16)
    track = read_mmpose(write(tmp_path, [frame(0, seen)]))
    assert track.confidence[0].tolist() == [0.0] + [0.5] * 16


def test_many_frames_with_nobody_are_refused_before_they_are_laid_out(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FREE_NUMBERS", 1000)
    nobody = [frame(number) for number in range(1, 102)]
    assert len(read_mmpose(write(tmp_path, [frame(0, instance()), *nobody[:-2]])).frames) == 100
    with pytest.raises(errors.RecordingError, match=r"`people` must span at most 100 times"):
        read_mmpose(write(tmp_path, [frame(0, instance()), *nobody]))


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
    track = read_openpose(tmp_path)
    assert track.frames.tolist() == [number]
    np.testing.assert_array_equal(track.keypoints_2d, [written[:, :2]])
    np.testing.assert_array_equal(track.confidence, [written[:, 2]])


def test_the_person_most_surely_seen_is_read_wherever_in_the_list(tmp_path):
    sure, unsure = person(0.6), person(0.3)
    (tmp_path / "0.json").write_text(recordings.detections(unsure, sure))
    (tmp_path / "1.json").write_text(recordings.detections(sure, unsure, unsure))
    np.testing.assert_array_equal(read_openpose(tmp_path).confidence, [sure[:, 2]] * 2)


def test_in_a_frame_without_a_person_no_joint_is_seen(tmp_path):
    (tmp_path / "0.json").write_text(recordings.detections())
    (tmp_path / "1.json").write_text('{"people": [{"pose_keypoints_2d": []}]}')
    (tmp_path / "2.json").write_text(recordings.detections(person()))
    track = read_openpose(tmp_path)
    assert track.frames.tolist() == [0, 1, 2]
    assert (track.confidence > 0).all(axis=1).tolist() == [False, False, True]
    assert (track.keypoints_2d[:2] == 0).all()


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "0.json").write_text(recordings.detections(person()))
    (tmp_path / "notes.txt").write_text("nothing")
    assert read_openpose(tmp_path).frames.tolist() == [0]


def broken(*first):
    numbers = [*first, *([1.0, 2.0, 0.5] * 25)[len(first) :]]
    return json.dumps({"people": [{"pose_keypoints_2d": numbers}]})


@pytest.mark.parametrize(
    ("text", "field", "received"),
    [
        (recordings.detections(person())[:-20], "people", "no `,` in line 1"),
        ("", "people", "an empty file"),
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
    at = (tmp_path / "1.json", field)
    refusals.refused(rf"Received: .*{received}", read_openpose, tmp_path, at=at)


@pytest.mark.parametrize(
    ("names", "num_joints", "rule"),
    [
        ([], 25, r"`\*\.json` must exist"),
        (["first"], 25, "`file name` must hold a frame number. Received: first."),
        (
            ["cam01.0003", "cam02.0003", "cam01.0004", "cam02.0004"],
            25,
            r"`file name` must hold a number that is each frame's own. Received: cam01.0003 and",
        ),
        (
            ["7"],
            26,
            "7.json: `pose_keypoints_2d` must have the 25 joints of body_25b. Received: 26",
        ),
    ],
)
def test_a_folder_of_other_names_or_joints_is_refused(tmp_path, names, num_joints, rule):
    for name in names:
        seen = recordings.detections(person(num_joints=num_joints))
        (tmp_path / f"{name}.json").write_text(seen)
    refusals.refused(rule, read_openpose, tmp_path)


@pytest.mark.parametrize("name", ["cam_{:03d}_keypoints", "{:02d}_rtmpose_26", "v2.{}.x3"])
def test_the_number_that_tells_files_apart_is_the_frames(tmp_path, name):
    for number in (7, 9, 11):
        (tmp_path / f"{name.format(number)}.json").write_text(recordings.detections(person()))
    # What a Mac leaves beside a file.
    (tmp_path / f"._{name.format(7)}.json").write_bytes(b"\0\5\x16\7")
    assert read_openpose(tmp_path).frames.tolist() == [7, 9, 11]


def test_a_joint_at_no_place_was_not_seen(tmp_path):
    for number, nowhere in enumerate((0.0, -1.0, float("nan"))):
        (tmp_path / f"{number}.json").write_text(broken(nowhere, nowhere, 0.9))
    assert (read_openpose(tmp_path).confidence == 0).sum(axis=1).tolist() == [1, 1, 1]


def arrays(num_frames=3, num_people=2):
    rng = np.random.default_rng(1)
    return {
        "keypoints": rng.uniform(1, 1000, (num_frames, num_people, 26, 2)).astype(np.float32),
        "scores": rng.uniform(0.2, 0.9, (num_frames, num_people, 26)).astype(np.float32),
    }


def write_arrays(tmp_path, **changes):
    path = tmp_path / "cam1.npz"
    np.savez(path, **(arrays() | changes))
    return path


def test_arrays_are_read_and_the_surest_person_chosen(tmp_path):
    content = arrays()
    track = read_rtmlib(write_arrays(tmp_path))
    assert track.frames.tolist() == [0, 1, 2]
    best = content["scores"].sum(axis=-1).argmax(axis=1)
    assert len(set(best.tolist())) == 2
    rows = np.arange(3)
    np.testing.assert_array_equal(track.keypoints_2d, content["keypoints"][rows, best])
    np.testing.assert_array_equal(track.confidence, content["scores"][rows, best])


def test_frames_may_be_numbered(tmp_path):
    track = read_rtmlib(write_arrays(tmp_path, frames=np.array([4, 7, 5])))
    assert track.frames.tolist() == [4, 5, 7]


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
    track = read_rtmlib(path)
    assert track.frames.tolist() == [0, 1, 9]
    assert (track.confidence > 0).all(axis=1).tolist() == [True, False, True]
    np.testing.assert_array_equal(track.keypoints_2d[2], content["keypoints"][2, 0])


def test_what_pose2sim_writes_of_it_is_openposes_folder(tmp_path):
    person = np.random.default_rng(0).uniform(0.1, 0.9, (26, 3))
    (tmp_path / "cam1_000003.json").write_text(recordings.detections(person))
    track = read_rtmlib(tmp_path)
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
    path = write_arrays(tmp_path, **changes)
    refusals.refused(message, read_rtmlib, path, at=(path, field))


def test_an_archive_of_other_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "cam1.npz", poses=np.zeros(3))
    rule = r"`keypoints` must be .*Received: poses"
    refusals.refused(rule, read_rtmlib, tmp_path / "cam1.npz")


@pytest.mark.parametrize("content", ["{}", "[3]", '[{"keypoints": []}]', '[{"scores": 1}]', "["])
def test_a_file_of_another_form_is_refused(tmp_path, content):
    path = write(tmp_path, content)
    assert refusals.refused("must", read_rtmlib, path).path == path


# Files of another form, and damaged ones.


UNTOLD = [entry(f"{part}_{number}_1.jpg") for part in "ab" for number in range(3)]
SHORT = entry("3.jpg", keypoints=[1, 2, 0.5])
POINT = instance(keypoints=[[1, 2]], keypoint_scores=[1])


@pytest.mark.parametrize(
    ("program", "content", "field", "message"),
    [
        ("alphapose", "[", "results", "be JSON"),
        ("alphapose", {"bodies": []}, "results", "be AlphaPose's list of people. Received: dict"),
        ("alphapose", [{"keypoints": []}], "[0]", "`image_id` and `keypoints`.*no `image_id`"),
        ("alphapose", [entry(), entry("first.jpg")], "image_id", "hold a frame number.*first.jpg"),
        ("alphapose", UNTOLD, "image_id", "each frame's own. Received: a_0_1.jpg and a_1_1.jpg am"),
        ("alphapose", [SHORT], "keypoints of frame 3", "the 17 joints.*: 1"),
        ("mmpose", "{", "frames", "be JSON"),
        ("mmpose", {"frames": []}, "frames", "be MMPose's list.*Received: dict"),
        ("mmpose", [{"instances": []}], "[0]", "have a `frame_id`.*no `frame_id`"),
        ("mmpose", [frame(0, instance()), frame(1, {"keypoints": []})], "[1]", "no `keypoint_sco"),
        (
            "mmpose",
            [frame(0, instance(keypoint_scores=[0.5]))],
            "[0]",
            "1 scores for 34 numbers of",
        ),
        ("mmpose", [frame(0, instance(keypoints=None))], "[0]", "keypoints"),
        ("mmpose", [frame(7, POINT)], "frame 7", "the 17 joints"),
    ],
)
def test_a_file_that_is_not_the_programs_is_refused(tmp_path, program, content, field, message):
    path = write(tmp_path, content)
    refusals.refused(message, READERS[program], path, at=(path, field))


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_alphapose, [entry(), entry("1.jpg")]),
        (read_mmpose, [frame(0, instance(), instance(0.2)), frame(1, instance())]),
        (read_openpose, recordings.detections(person(), person(0.2))),
        (read_rtmlib, None),
    ],
    ids=["alphapose", "mmpose", "openpose", "rtmlib"],
)
def test_damaged_files_end_in_our_error(tmp_path, read, content):
    path = write_arrays(tmp_path) if content is None else write(tmp_path, content)
    if read is read_openpose:
        path = path.rename(tmp_path / "0.json")
    data, source = path.read_bytes(), tmp_path if read is read_openpose else path
    count = 100 if content is None else 200
    refused = damage.assert_only_our_errors(lambda: read(source), path, data, count=count)
    assert refused > (30 if content is None else 60)
