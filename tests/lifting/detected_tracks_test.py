import functools
import json
import pickle
import re

import h5py
import numpy as np
import psutil
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import detected_tracks, tracks_2d_files
from tests import refusals
from tests.datasets.rigs import simulated_rigs
from tests.lifting import people
from tests.untrusted import damage, gadgets

BODY = np.concatenate([people.walking()[0] / 4, np.full((17, 1), 0.8)], axis=1)
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


SIX_POINTS = np.random.default_rng(0).uniform(0, 100, (6, 2))


def person(x, confidence=1.0, joints=range(6)):
    seen = np.isin(np.arange(6), [*joints])
    return np.concatenate(
        [SIX_POINTS + np.array([x, 0]), (confidence * seen)[:, np.newaxis]], axis=1
    )


def follow(*frames):
    """Follows `(number, person, ...)`."""
    numbers = [number for number, *crowd in frames for _ in crowd]
    return detected_tracks.follow(
        np.array(numbers), np.array([each for _, *crowd in frames for each in crowd])
    )


@pytest.mark.parametrize("detector", simulated_rigs.DETECTION_WRITERS)
def test_people_of_every_detector_are_told_apart(tmp_path, detector):
    name = simulated_rigs.DETECTION_WRITERS[detector](tmp_path / "cam", FRAMES)
    if detector == "alphapose":
        renumber(tmp_path / name, 0)
    assert_followed(detected_tracks.read(tmp_path / name, "coco_17"))
    # Seventeen joints of a detector are COCO's.
    assert_followed(detected_tracks.read(tmp_path / name))


def crossing(number):
    """Returns two who are in one place in frame 10."""
    shifts = np.array([[8.0 * number, 0, 0], [160 - 8.0 * number, 0, 0]])
    return BODY + shifts[:, np.newaxis]


def number_people(folder, numbers):
    """Gives the people of each of OpenPose's files numbers."""
    for path in folder.iterdir():
        content = json.loads(path.read_text())
        for person, number in zip(content["people"], numbers, strict=True):
            person["person_id"] = [number]
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("detector", ["openpose", "alphapose"])
def test_the_detectors_own_numbers_count_more_than_places(tmp_path, detector):
    # They cross slowly in front of each other; only the numbers tell who was in front.
    frames = [(number, crossing(number)) for number in range(20)]
    name = simulated_rigs.DETECTION_WRITERS[detector](tmp_path / "cam", frames)
    if detector == "openpose":
        number_people(tmp_path / name, (0, 1))
    tracks = detected_tracks.read(tmp_path / name)
    assert len(tracks.names) == 2
    steps = np.diff(tracks.keypoints_2d[:, :, 0, 0], axis=1)
    np.testing.assert_allclose(sorted(steps[:, 0]), [-8.0, 8.0], atol=1e-3)
    np.testing.assert_allclose(np.diff(steps, axis=1), 0.0, atol=1e-3)


def test_openposes_number_for_nobody_tells_nobody(tmp_path):
    # -1 is not one person's number.
    frames = [(number, crowd(0)) for number in range(12)]
    name = simulated_rigs.DETECTION_WRITERS["openpose"](tmp_path / "cam", frames)
    number_people(tmp_path / name, (-1, -1))
    assert len(detected_tracks.read(tmp_path / name).names) == 2


def test_numbers_that_are_places_in_the_list_are_not_believed(tmp_path):
    frames = [(number, crowd(0)[:: 1 if number % 2 else -1]) for number in range(12)]
    name = simulated_rigs.DETECTION_WRITERS["alphapose"](tmp_path / "cam", frames)
    with pytest.warns(errors.InputWarning, match=r"jump 22 times .* told apart by where they were"):
        tracks = detected_tracks.read(tmp_path / name)
    assert len(tracks.names) == 2
    np.testing.assert_allclose(np.diff(tracks.keypoints_2d, axis=1), 0.0, atol=1e-3)


def test_somebody_who_is_given_another_number_on_the_way_is_the_same(tmp_path):
    frames = [(number, crowd(0)) for number in range(12)]
    path = tmp_path / simulated_rigs.DETECTION_WRITERS["alphapose"](tmp_path / "cam", frames)
    content = json.loads(path.read_text())
    ids = [number for frame in range(12) for number in ((1, 2) if frame < 6 else (1, 9))]
    content = [entry | {"idx": idx} for entry, idx in zip(content, ids, strict=True)]
    path.write_text(json.dumps(content))
    with pytest.warns(errors.InputWarning, match="change 1 times: the first ones are kept"):
        tracks = detected_tracks.read(path)
    assert tracks.names == ("person 1", "person 2")
    assert (tracks.confidence > 0).any(axis=-1).all()
    np.testing.assert_allclose(np.diff(tracks.keypoints_2d, axis=1), 0.0, atol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4, 0.6])
def test_one_person_a_frame_who_is_another_in_some_is_two(tmp_path, share):
    is_other = np.random.default_rng(0).random(60) < share
    frames = [(number, [BODY + ASIDE * other]) for number, other in enumerate(is_other)]
    name = simulated_rigs.DETECTION_WRITERS["mmpose"](tmp_path / "cam", frames)
    with pytest.warns(errors.InputWarning, match="jumps to and fro: they are told apart by where"):
        tracks = detected_tracks.read(tmp_path / name)
    np.testing.assert_allclose(np.ptp(tracks.keypoints_2d[:, is_other], axis=1), 0.0, atol=1e-3)
    there = (tracks.confidence > 0).any(axis=-1)
    assert there.sum(axis=0).max() == 1
    first = int(share > 0.5)
    np.testing.assert_array_equal(there[first], ~is_other)
    np.testing.assert_array_equal(there[1 - first], is_other)


def test_frames_numbered_far_apart_are_told(tmp_path):
    frames = [(33 * number, BODY[np.newaxis]) for number in range(12)]
    name = simulated_rigs.DETECTION_WRITERS["mmpose"](tmp_path / "cam", frames)
    tracks = detected_tracks.read(tmp_path / name)
    assert "frames are numbered 33 apart, with none between: as times are?" in tracks.notes


@pytest.mark.parametrize("step", [0.5, 3.0])
def test_a_single_person_is_followed_however_far_it_moves(tmp_path, step):
    size = np.ptp(BODY[:, 1])
    frames = [(number, BODY[np.newaxis] + [step * size * number, 0, 0]) for number in range(8)]
    name = simulated_rigs.DETECTION_WRITERS["mmpose"](tmp_path / "cam", frames)
    tracks = detected_tracks.read(tmp_path / name)
    assert (len(tracks.names), tracks.num_frames) == (1, 8)
    assert (tracks.confidence > 0).all()


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
        ({"a": 1}, None, "`file` must be detections of AlphaPose, MMPose, Ultralytics or rtmlib"),
        (
            [{"frame_id": 0, "instances": [{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1]}]}],
            None,
            "of each instance. Received: 1 scores for 34 numbers of keypoints.",
        ),
        ([], None, "`people` must be there in a frame. Received: nobody in any."),
        (None, None, "or a folder of OpenPose's files. Received: null."),
        (mmpose(25), None, "`skeleton` must be said by --skeleton: body_25, body_25b. Received: 2"),
        (mmpose(25), "coco", "`skeleton` must be one of h36m_17, coco_17"),
        (
            mmpose(25),
            "coco_17",
            "have the 17 joints of coco_17. Received: 25, as body_25 and body_25b has.",
        ),
        ([{"frame_id": 0, "instances": []}], None, "`people` must be there in a frame. Received"),
        (
            mmpose(17, confidence=0.0),
            "coco_17",
            "`people` must be there in a frame. Received: nobody",
        ),
        (mmpose(17, confidence=0.0), None, "`people` must be there in a frame. Received: nobody"),
        ([*mmpose(17), {"frame_id": 10**8, "instances": []}], "coco_17", "`frames` must span 1 to"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_field(tmp_path, content, skeleton, sentence):
    path = write(tmp_path, content)
    assert refusals.refused(re.escape(sentence), detected_tracks.read, path, skeleton).path == path


def test_people_who_only_flicker_are_refused(tmp_path):
    content = mmpose(17, num_frames=20)
    for number, frame in enumerate(content):
        both = [frame["instances"][0], frame["instances"][0]]
        frame["instances"] = both if number in (0, 9) else []
    with pytest.raises(errors.RecordingError, match=r"`people` must be .* 4 detections, too far"):
        detected_tracks.read(write(tmp_path, content), "coco_17")


WALK = np.concatenate([people.walking(), np.full((30, 17, 1), 0.8)], axis=-1)


def instance(person):
    return {"keypoints": person[:, :2].tolist(), "keypoint_scores": person[:, 2].tolist()}


@pytest.mark.parametrize("away", [[0.0, 0.0, 0.9], [500.0, 500.0, 0.0]])
def test_the_set_is_told_by_people_who_are_seen_however_late(tmp_path, monkeypatch, away):
    monkeypatch.setattr(detected_tracks, "_MOST_EXAMINED", 6)
    rows = [np.broadcast_to(away, (17, 3))] * 8 + [*WALK]
    content = [{"frame_id": n, "instances": [instance(row)]} for n, row in enumerate(rows)]
    tracks = detected_tracks.read(write(tmp_path, content))
    assert tracks.joint_names == skeletons.COCO_17.joints
    np.testing.assert_allclose(tracks.keypoints_2d[0, 8:], WALK[..., :2])


def result(person):
    x, y, visible = person.T.tolist()
    return {"name": "person", "class": 0, "keypoints": {"x": x, "y": y, "visible": visible}}


def a_file_an_image(folder, make):
    for number, person in enumerate(WALK):
        (folder / f"cam_{number:04d}.json").write_text(json.dumps([make(person)]))
    return folder


def coco_annotations(folder):
    people_seen = [np.concatenate([p[:, :2], np.full((17, 1), 2)], axis=1).ravel() for p in WALK]
    content = {
        "images": [{"id": 90 + n, "file_name": f"{n:06d}.jpg"} for n in range(len(WALK))],
        "annotations": [
            {"image_id": 90 + n, "keypoints": seen.tolist()} for n, seen in enumerate(people_seen)
        ],
    }
    return write(folder, content)


def sleap(folder):
    nodes = [name.title().replace("_", " ") for name in skeletons.COCO_17.joints]
    head = ["track", "frame_idx", "instance.score"]
    head += [f"{node}.{part}" for node in nodes for part in ("x", "y", "score")]
    rows = [["track_0", number, 0.9, *person.ravel()] for number, person in enumerate(WALK)]
    path = folder / "analysis.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in [head, *rows]))
    return path


def coco_in_its_own_order(folder):
    content = json.loads(coco_annotations(folder).read_text())
    for annotation in content["annotations"]:
        points = np.reshape(annotation["keypoints"], (17, 3))
        annotation["keypoints"] = points[::-1].ravel().tolist()
    content["categories"] = [{"keypoints": skeletons.COCO_17.joints[::-1]}]
    return write(folder, content)


def deeplabcut(folder):
    head = [["scorer"] + 51 * ["net"], ["bodyparts"], ["coords"] + 17 * ["x", "y", "likelihood"]]
    head[1] += [joint for joint in skeletons.COCO_17.joints for _ in range(3)]
    rows = [[number, *person.ravel()] for number, person in enumerate(WALK)]
    path = folder / "dlc.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in [*head, *rows]))
    return path


LABELS = [
    ("net", joint, axis) for joint in skeletons.COCO_17.joints for axis in ("x", "y", "likelihood")
]


def deeplabcut_hdf5(folder, labels=LABELS, seen=WALK):
    """As `DataFrame.to_hdf(format="table")` writes it: one that pandas wrote was read, too."""
    values = seen.reshape(len(WALK), -1)
    rows = np.zeros(len(WALK), [("index", "<i8"), ("values_block_0", "<f8", values.shape[1:])])
    rows["index"], rows["values_block_0"] = range(len(WALK)), values
    with h5py.File(folder / "dlc.h5", "w") as file:
        table = file.create_dataset("df_with_missing/table", data=rows)
        table.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(labels, 0))
    return folder / "dlc.h5"


def sleap_hdf5(folder):
    with h5py.File(folder / "sleap.analysis.h5", "w") as file:
        file["tracks"] = WALK[np.newaxis, ..., :2].transpose(0, 3, 2, 1)
        file["point_scores"] = WALK[np.newaxis, ..., 2].transpose(0, 2, 1)
        file["node_names"] = [name.title().replace("_", " ") for name in skeletons.COCO_17.joints]
        file["track_names"] = ["track_0"]
    return folder / "sleap.analysis.h5"


def videopose3d(folder):
    views = {"walk.mp4": {"custom": [WALK[..., :2].astype(np.float32)]}}
    notes = {"layout_name": "coco", "video_metadata": {"walk.mp4": {"w": 1920, "h": 1080}}}
    path = folder / "data_2d_custom_mine.npz"
    np.savez_compressed(path, positions_2d=np.array(views), metadata=np.array(notes))
    return path


OTHERS = {
    "deeplabcut hdf5": deeplabcut_hdf5,
    "sleap hdf5": sleap_hdf5,
    "videopose3d": videopose3d,
    "mmpose an image": lambda folder: a_file_an_image(folder, instance),
    "ultralytics an image": lambda folder: a_file_an_image(folder, result),
    "ultralytics": lambda folder: write(folder, [[result(person)] for person in WALK]),
    "coco annotations": coco_annotations,
    "coco annotations in their own order": coco_in_its_own_order,
    "deeplabcut": deeplabcut,
    "sleap": sleap,
}


@pytest.mark.parametrize("form", OTHERS)
def test_what_else_people_have_is_read(tmp_path, form):
    tracks = tracks_2d_files.read(OTHERS[form](tmp_path))
    assert tracks.joint_names == skeletons.COCO_17.joints
    assert (len(tracks.names), tracks.first_frame) == (1, 0)
    np.testing.assert_allclose(tracks.keypoints_2d[0], WALK[..., :2], atol=1e-3)


def test_individuals_of_a_table_are_people(tmp_path):
    labels = [("net", who, *label[1:]) for who in ("anna", "ben") for label in LABELS]
    tracks = tracks_2d_files.read(deeplabcut_hdf5(tmp_path, labels, np.tile(WALK, (1, 2, 1))))
    assert tracks.names == ("anna", "ben")
    np.testing.assert_allclose(tracks.keypoints_2d, [WALK[..., :2]] * 2)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (LABELS[1:] + LABELS[-1:], "`table` must have each frame and column once."),
        (LABELS[:-1], "`table` must be DeepLabCut's."),
        (gadgets.Calls(print, 1), "`columns` must hold NumPy arrays and plain containers only."),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path, labels, sentence):
    refusals.refused(re.escape(sentence), tracks_2d_files.read, deeplabcut_hdf5(tmp_path, labels))


def test_films_of_several_are_not_one_clip(tmp_path):
    views = {"walk": {"custom": [WALK[..., :2]]}, "run": {"custom": [WALK[..., :2]]}}
    np.savez(tmp_path / "two.npz", positions_2d=np.array(views))
    sentence = (
        "`positions_2d` must hold one video's joints [T, K, 2]. Received: 2, of walk custom, run"
    )
    refusals.refused(re.escape(sentence), tracks_2d_files.read, tmp_path / "two.npz")


@pytest.mark.parametrize("name", ["tracks", "df/table"])
def test_tracks_that_lie_in_another_file_are_refused(tmp_path, name):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["node_names" if name == "tracks" else "other"] = ["nose"]
        file[name] = h5py.ExternalLink("secret.h5", "x")
    refusals.refused("must lie in the file itself", tracks_2d_files.read, tmp_path / "a.h5")


@pytest.mark.parametrize("detector", simulated_rigs.DETECTION_WRITERS)
@pytest.mark.parametrize("skeleton", ["h36m_17", "coco_17", "body_25", "body_25b", "coco_133"])
def test_a_joint_set_is_told_by_where_joints_lie(tmp_path, detector, skeleton):
    seen = people.walking(skeleton)
    seen = np.concatenate([seen, np.full((*seen.shape[:2], 1), 0.8)], axis=-1)
    frames = [(number, person[np.newaxis]) for number, person in enumerate(seen)]
    path = tmp_path / simulated_rigs.DETECTION_WRITERS[detector](tmp_path / "cam", frames)
    tracks = tracks_2d_files.read(path)
    assert tracks.joint_names == skeletons.by_name(skeleton).joints
    is_one = skeleton == "coco_133"
    assert tracks.notes == (() if is_one else (f"joints read as {skeleton}'s by where they lie",))


def written(folder, people_seen):
    frames = [{"frame_id": n, "instances": [instance(p)]} for n, p in enumerate(people_seen)]
    return write(folder, frames)


def test_a_set_that_the_anatomy_contradicts_is_warned_about(tmp_path):
    path = written(tmp_path, WALK)
    with pytest.warns(errors.InputWarning, match="look like coco_17's and are read as h36m_17's"):
        tracks_2d_files.read(path, "h36m_17")


@pytest.mark.parametrize(
    ("scale", "expected", "notes"),
    [
        (1.0, 0.8, ()),
        (1.5, 1.0, ()),
        (10.0, 0.8, ("scores reach 8 and are divided by 10",)),
        (100.0, 0.8, ("scores reach 80 and are divided by 100",)),
    ],
)
def test_scores_are_shares_or_scaled_and_told(tmp_path, scale, expected, notes):
    tracks = detected_tracks.read(written(tmp_path, WALK * [1, 1, scale]), "coco_17")
    np.testing.assert_allclose(tracks.confidence, expected)
    assert tracks.notes == notes
    path = written(tmp_path, WALK[:1] * [1, 1, 1000])
    with pytest.raises(errors.RecordingError, match=r"`scores` must lie in \[0, 1\]. .* up to 800"):
        detected_tracks.read(path, "coco_17")


def test_who_is_hardly_seen_is_not_and_it_is_told(tmp_path):
    unsure = WALK.copy()
    unsure[:, [3, 15, 16], 2] = 0.2
    path = written(tmp_path, unsure)
    tracks = tracks_2d_files.read(path, "coco_17")
    assert np.flatnonzero((tracks.confidence == 0).all(axis=(0, 1))).tolist() == [3, 15, 16]
    assert tracks.notes == ("17.6% of joints less sure than 0.3 count as not seen",)
    assert (tracks_2d_files.read(path, "coco_17", 0.1).confidence > 0).all()
    with pytest.raises(ValueError, match=r"`min_confidence` must lie in \[0, 1\]"):
        tracks_2d_files.read(path, "coco_17", 30)


@pytest.mark.parametrize("nowhere", [(0, 0), (-1, -1)])
def test_a_joint_at_no_place_neither_parts_a_person_nor_counts(tmp_path, nowhere):
    holes = WALK.copy()
    rng = np.random.default_rng(0)
    is_hole = rng.uniform(size=holes.shape[:2]) < 0.3
    holes[is_hole, :2] = nowhere
    tracks = tracks_2d_files.read(written(tmp_path, holes), "coco_17")
    assert len(tracks.names) == 1
    np.testing.assert_array_equal(tracks.confidence[0] == 0, is_hole)


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
    refusals.refused(r"`people` must", detected_tracks.read, path, "coco_17")
    assert psutil.Process().memory_info().rss - before < 64 * 2**20


@pytest.mark.parametrize(
    "form",
    [
        *("ultralytics", "coco annotations", "deeplabcut"),
        *("deeplabcut hdf5", "sleap hdf5", "videopose3d"),
    ],
)
def test_damaged_files_end_in_our_error(tmp_path, form, monkeypatch):
    if form in ("ultralytics", "coco annotations", "deeplabcut"):
        monkeypatch.setitem(globals(), "WALK", WALK[:3])
    path = OTHERS[form](tmp_path)
    read = functools.partial(tracks_2d_files.read, path, "coco_17")
    assert damage.assert_only_our_errors(read, path, path.read_bytes(), 3, 60) > 5


def test_two_who_change_their_order_in_the_file_stay_who_they_are():
    crowds = [(number, person(2 * number), person(500 - 2 * number)) for number in range(4)]
    crowds[2] = (2, *crowds[2][:0:-1])
    assert follow(*crowds).tolist() == [0, 1, 0, 1, 1, 0, 0, 1]


def test_the_nearest_pair_is_joined_first():
    # Of one known at 0 and one at 30, both are in reach of both.
    assert follow((0, person(0), person(30)), (1, person(28), person(55))).tolist() == [0, 1, 1, 2]


def test_someone_far_off_is_somebody_else():
    assert follow((0, person(0)), (1, person(400)), (2, person(3))).tolist() == [0, 1, 0]


def test_the_way_grows_with_a_gap_but_ends_with_a_long_one():
    size = np.linalg.norm(np.ptp(SIX_POINTS, axis=0))
    step = 0.9 * size
    assert follow((0, person(0)), (1, person(step))).tolist() == [0, 1]
    assert follow((0, person(0)), (3, person(step))).tolist() == [0, 0]
    assert follow((0, person(0)), (31, person(0))).tolist() == [0, 1]


def test_joints_that_both_have_decide():
    legs, arms = person(0, joints=[0, 1, 2]), person(500, joints=[3, 4, 5])
    again = person(3, joints=[2, 3])
    assert follow((0, legs, arms), (1, again)).tolist() == [0, 1, 0]
    # Without one in common nobody is known again.
    assert follow((0, legs), (1, person(0, joints=[3, 4]))).tolist() == [0, 1]


def test_a_joint_is_remembered_while_it_is_hidden():
    frames = (0, person(0)), (1, person(0, joints=[0])), (2, person(0, joints=[4, 5]))
    assert follow(*frames).tolist() == [0, 0, 0]


def test_the_most_surely_seen_is_first_and_a_flicker_is_left_out():
    labels = np.array([0, 1, 2] + [0, 1] * 5)
    confidence = np.where(labels == 1, 0.9, 0.5)[:, np.newaxis] * np.ones(6)
    assert detected_tracks.ranking(labels, confidence, 6).tolist() == [1, 0]
    assert sorted(detected_tracks.ranking(labels[:3], confidence[:3], 1)) == [0, 1, 2]
