import functools
import json
import pathlib

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import detections
from keras_mvlift.untrusted import files
from tests import refusals
from tests.datasets import recordings
from tests.datasets.rigs import simulated_rigs, surest_people
from tests.untrusted import damage

PATH = pathlib.Path("seen.json")
COCO = skeletons.COCO_17


def person(confidence, seed=0):
    points = np.random.default_rng(seed).uniform(1, 1000, (17, 3))
    points[:, 2] = confidence
    return points


def frame(number, *people):
    return detections.Frame(
        number, PATH, f"frame {number}", [each.ravel().tolist() for each in people]
    )


def test_frames_are_put_in_order_and_gaps_stay():
    track = surest_people.track([frame(9, person(0.9)), frame(2, person(0.2)), frame(4)], COCO)
    assert track.frames.tolist() == [2, 4, 9]
    assert track.confidence[:, 0].tolist() == [0.2, 0.0, 0.9]
    np.testing.assert_array_equal(track.keypoints_2d[[0, 2]], [person(0)[:, :2]] * 2)
    assert (track.keypoints_2d[1] == 0).all()


def test_the_person_most_surely_seen_is_chosen_by_the_sum_before_confidences_are_cut():
    loud, steady = person(0.3), person(0.9, seed=1)
    # Cut first, its sum would be 1 + 16 * 0.3 = 5.8, less than 15.3.
    loud[0, 2] = 20.0
    track = surest_people.track([frame(0, steady, loud)], COCO)
    np.testing.assert_array_equal(track.keypoints_2d[0], loud[:, :2])
    assert track.confidence[0].tolist() == [1.0] + [0.3] * 16


def test_each_frame_has_its_own_choice_and_of_equals_the_first():
    first, second, third, surer = (person(0.2, seed) for seed in range(4))
    surer[:, 2] = 0.3
    track = surest_people.track([frame(0, first, second), frame(1, third, surer)], COCO)
    np.testing.assert_array_equal(track.keypoints_2d, [first[:, :2], surer[:, :2]])


@pytest.mark.parametrize("frames", [[], [frame(0), frame(1)]], ids=["no frame", "nobody"])
def test_nobody_is_a_track_too(frames):
    track = surest_people.track(frames, COCO)
    assert track.confidence.shape == (len(frames), 17)
    assert not track.confidence.any()


def test_people_may_be_rows_of_joints():
    nested = detections.Frame(0, PATH, "frame", [person(0.4).tolist()])
    mixed = detections.Frame(1, PATH, "frame", [person(0.4).ravel().tolist()])
    track = surest_people.track([nested, mixed], COCO)
    np.testing.assert_array_equal(track.keypoints_2d[0], track.keypoints_2d[1])


@pytest.mark.parametrize(
    ("bad", "field", "message"),
    [
        (frame(3), "frame number", "be the only one of its frame. Received: 3"),
        (frame(-1), "frame number", "be from 0 to 1000000000. Received: -1"),
        (frame(10**12), "frame number", "be from 0 to 1000000000"),
        (frame("4"), "frame number", "Received: 4"),
        (frame(5, np.ones((18, 3))), "frame 5", "have the 17 joints of coco_17. Received: 18"),
        (frame(5, np.ones(50)), "frame 5", "have the 17 joints.*Received: 50 numbers"),
        (frame(5, person(np.nan)), "frame 5", "be finite.*Received: nan"),
        (frame(5, person(0.5), person(-0.1)), "frame 5", "at least 0. Received: -0.1"),
        (detections.Frame(5, PATH, "frame 5", ["none"]), "frame 5", "hold x, y and confidence"),
        (detections.Frame(5, PATH, "frame 5", [{"x": 1}]), "frame 5", "hold x, y and confidence"),
    ],
)
def test_what_cannot_be_is_refused_by_file_and_frame(bad, field, message):
    frames = [frame(3, person(0.5)), bad]
    refusals.refused(message, surest_people.track, frames, COCO, at=(PATH, field))


def test_scores_that_are_no_shares_are_refused_with_the_scale_and_read_with_it():
    # SimCC's scores reach some 10.
    body = person(0.5)
    body[:, 2] = np.linspace(1.0, 9.0, 17)
    frames = [frame(number, body) for number in range(4)]
    rule = r"`max_score` be told, likely 10. .* 94% above, up to 9"
    refusals.refused(rule, detections.follow, frames, COCO)
    track = surest_people.track(frames, COCO, max_score=9.0)
    np.testing.assert_allclose(track.confidence[2], np.linspace(1.0, 9.0, 17) / 9)
    shares = [frame(number, person(0.9)) for number in range(4)]
    with pytest.raises(errors.RecordingError, match=r"in \[0, 10\], or another .*, likely 1\. R"):
        detections.follow(shares, COCO, max_score=10.0)


def test_shares_of_the_images_size_are_no_pixels():
    pixels = np.random.default_rng(0).uniform(100, 900, (2, 5, 17, 2))
    seen = np.ones((2, 5, 17))
    detections.require_pixels("file", pixels, seen)
    pixels[1] /= 1000
    refused = refusals.refused
    refused("be pixels.*shares of the image's size", detections.require_pixels, "a", pixels, seen)
    percents = np.clip(pixels[:1] / 10, 10, 90)
    rule = "be pixels.* in all frames of a camera, percents of the image's size"
    refused(rule, detections.require_pixels, "file", percents, seen[:1])
    # What nobody sees says nothing.
    detections.require_pixels("file", pixels, seen * [[[1.0]], [[0.0]]])


def test_tracks_are_laid_out_on_the_clips_frames_and_zero_elsewhere():
    frames = np.array([0, 1, 3])
    keypoints = np.arange(12.0).reshape(3, 2, 2) + 1
    confidence = np.array([[0.1, 0.2], [0.3, 0.0], [0.5, 0.6]])
    people = np.concatenate([keypoints, confidence[..., np.newaxis]], axis=-1)
    crowd = detections.Crowd(frames, np.arange(3), people)
    first = detections.Stream(crowd, np.array([0.0, 1.0, 3.0]))
    # One frame earlier: what was frame 0 is before the clip.
    second = detections.Stream(crowd, np.array([-1.0, 0.2, 1.9]))
    streams = [first, None, second]
    chosen = detections.most_surely_seen(streams, 4)
    laid, sure = detections.side_by_side(streams, chosen, 2)
    assert laid.shape == (3, 4, 2, 2)
    zero = [0, 0]
    assert sure[0].tolist() == [[0.1, 0.2], [0.3, 0.0], zero, [0.5, 0.6]]
    assert sure[1].tolist() == [zero] * 4
    assert sure[2].tolist() == [[0.3, 0.0], zero, [0.5, 0.6], zero]
    np.testing.assert_array_equal(laid[0, 3], keypoints[2])
    np.testing.assert_array_equal(laid[2, 2], keypoints[2])
    assert (laid[sure == 0] == 0).all()


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
        *(("0.jpg", 0), ("12.jpg", 12), ("cam1_000034.png", 34), ("7", 7), (5, 5)),
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


def shot(number, *instances):
    return {"frame_id": number, "instances": list(instances)}


@pytest.mark.parametrize("wrap", [list, lambda frames: {"meta_info": {}, "instance_info": frames}])
def test_frames_of_the_inferencer_and_of_the_demos_are_read(tmp_path, wrap):
    frames = [shot(1, instance(0.3), instance(0.7)), shot(2), shot(4, instance(0.4))]
    track = read_mmpose(write(tmp_path, wrap(frames)))
    assert track.frames.tolist() == [1, 2, 4]
    assert track.confidence[:, 0].tolist() == [0.7, 0.0, 0.4]
    np.testing.assert_array_equal(track.keypoints_2d[2], POINTS)


def test_a_negative_score_is_not_seen(tmp_path):
    seen = instance(keypoint_scores=[-0.01] + [0.5] * 16)
    track = read_mmpose(write(tmp_path, [shot(0, seen)]))
    assert track.confidence[0].tolist() == [0.0] + [0.5] * 16


def test_many_frames_with_nobody_are_refused_before_they_are_laid_out(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FREE_NUMBERS", 1000)
    nobody = [shot(number) for number in range(1, 102)]
    assert len(read_mmpose(write(tmp_path, [shot(0, instance()), *nobody[:-2]])).frames) == 100
    with pytest.raises(errors.RecordingError, match=r"`people` must span at most 100 times"):
        read_mmpose(write(tmp_path, [shot(0, instance()), *nobody]))


def body(confidence=0.5, num_joints=25):
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
    written = body()
    (tmp_path / name).write_text(recordings.detections(written))
    track = read_openpose(tmp_path)
    assert track.frames.tolist() == [number]
    np.testing.assert_array_equal(track.keypoints_2d, [written[:, :2]])
    np.testing.assert_array_equal(track.confidence, [written[:, 2]])


def test_the_person_most_surely_seen_is_read_wherever_in_the_list(tmp_path):
    sure, unsure = body(0.6), body(0.3)
    (tmp_path / "0.json").write_text(recordings.detections(unsure, sure))
    (tmp_path / "1.json").write_text(recordings.detections(sure, unsure, unsure))
    np.testing.assert_array_equal(read_openpose(tmp_path).confidence, [sure[:, 2]] * 2)


def test_in_a_frame_without_a_person_no_joint_is_seen(tmp_path):
    (tmp_path / "0.json").write_text(recordings.detections())
    (tmp_path / "1.json").write_text('{"people": [{"pose_keypoints_2d": []}]}')
    (tmp_path / "2.json").write_text(recordings.detections(body()))
    track = read_openpose(tmp_path)
    assert track.frames.tolist() == [0, 1, 2]
    assert (track.confidence > 0).all(axis=1).tolist() == [False, False, True]
    assert (track.keypoints_2d[:2] == 0).all()


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "0.json").write_text(recordings.detections(body()))
    (tmp_path / "notes.txt").write_text("nothing")
    assert read_openpose(tmp_path).frames.tolist() == [0]


def broken(*first):
    numbers = [*first, *([1.0, 2.0, 0.5] * 25)[len(first) :]]
    return json.dumps({"people": [{"pose_keypoints_2d": numbers}]})


@pytest.mark.parametrize(
    ("text", "field", "received"),
    [
        (recordings.detections(body())[:-20], "people", "no `,` in line 1"),
        ("", "people", "an empty file"),
        ("[]", "people", "something else there"),
        ('{"persons": []}', "people", "no `people`"),
        ('{"people": [{"points": []}]}', "people", "no `pose_keypoints_2d`"),
        (recordings.detections(body().ravel()[:-1]), "pose_keypoints_2d", "74 numbers"),
        (broken("x"), "pose_keypoints_2d", "'x'"),
        (broken(1.0, 10**400), "pose_keypoints_2d", "OverflowError"),
        (broken(1.0, float("inf")), "pose_keypoints_2d", "inf"),
        (broken(-9.0, 2.0, -0.5), "pose_keypoints_2d", "-0.5"),
    ],
)
def test_a_file_that_is_not_openposes_is_refused_by_name(tmp_path, text, field, received):
    (tmp_path / "0.json").write_text(recordings.detections(body()))
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
            "a number that is each frame's own. Received: cam01.0003 and cam02.0003",
        ),
        (["7"], 26, "7.json: `pose_keypoints_2d` must have the 25 joints of body_25b. Received: 2"),
    ],
)
def test_a_folder_of_other_names_or_joints_is_refused(tmp_path, names, num_joints, rule):
    for name in names:
        seen = recordings.detections(body(num_joints=num_joints))
        (tmp_path / f"{name}.json").write_text(seen)
    refusals.refused(rule, read_openpose, tmp_path)


@pytest.mark.parametrize("name", ["cam_{:03d}_keypoints", "{:02d}_rtmpose_26", "v2.{}.x3"])
def test_the_number_that_tells_files_apart_is_the_frames(tmp_path, name):
    for number in (7, 9, 11):
        (tmp_path / f"{name.format(number)}.json").write_text(recordings.detections(body()))
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
        ("mmpose", [shot(0, instance()), shot(1, {"keypoints": []})], "[1]", "no `keypoint_sco"),
        ("mmpose", [shot(0, instance(keypoint_scores=[0.5]))], "[0]", "1 scores for 34 numbers o"),
        ("mmpose", [shot(0, instance(keypoints=None))], "[0]", "keypoints"),
        ("mmpose", [shot(7, POINT)], "frame 7", "the 17 joints"),
    ],
)
def test_a_file_that_is_not_the_programs_is_refused(tmp_path, program, content, field, message):
    path = write(tmp_path, content)
    refusals.refused(message, READERS[program], path, at=(path, field))


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_alphapose, [entry(), entry("1.jpg")]),
        (read_mmpose, [shot(0, instance(), instance(0.2)), shot(1, instance())]),
        (read_openpose, recordings.detections(body(), body(0.2))),
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
