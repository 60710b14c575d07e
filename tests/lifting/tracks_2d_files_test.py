import re

import ezc3d
import numpy as np
import psutil
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import mocap_files, pose_clip, tracks_2d, tracks_2d_files
from tests import refusals
from tests.datasets.rigs import simulated_rigs
from tests.lifting import people
from tests.untrusted import damage

BODY = np.random.default_rng(0).uniform(0.31, 1, (17, 3))
SEEN = [(number, BODY[np.newaxis]) for number in range(6)]
TABLE = "frame,joint,x,y\n0,nose,1,2\n"
PEOPLE_TABLE = """person,frame,time,joint,x,y,confidence
anna,5,0.10,head,10,20,0.9
ben,5,0.10,nose,30,40,0.8
anna,7,0.14,head,50,60,0.7

anna,7,0.14,nose,,,0.7
"""


def read_table(tmp_path, text=PEOPLE_TABLE):
    path = tmp_path / "seen.csv"
    path.write_text(text)
    return tracks_2d_files.read_table(path)


RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(0, 1000, (6, 2, 17, 2))
CONFIDENCE = RNG.uniform(0.1, 1, (6, 2, 17))


def read_arrays(tmp_path, /, option=None, **arrays):
    path = tmp_path / "seen.npz"
    named = {"skeleton", "joint_names", "keypoints"} & {*arrays}
    if option is None and not named and np.shape(arrays.get("keypoints_2d"))[-2:] == (17, 2):
        arrays["skeleton"] = "h36m_17"
    np.savez(path, **arrays)
    return tracks_2d_files.read_arrays(path, option)


POINTS = np.concatenate([RNG.uniform(10, 1000, (6, 4, 2)), RNG.uniform(0.1, 1, (6, 4, 1))], axis=-1)
NAMES = ("anna:head", "ben:nose", "anna:nose", "ben:head")


def write_trc(path, points=POINTS, names=NAMES, unit="px"):
    rows = [
        [7 + index, index / 25, *("" if np.isnan(value) else value for value in frame.ravel())]
        for index, frame in enumerate(points)
    ]
    head = ["DataRate", "NumFrames", "NumMarkers", "Units"]
    lines = [["PathFileType", 4], head, [25.0, len(points), len(names), unit]]
    lines += [["Frame#", "Time", *(f"{name}\t\t" for name in names)], [""], *rows]
    path.write_text("\n".join("\t".join(map(str, line)) for line in lines))


def write_c3d(path, points=POINTS, names=NAMES, unit="px"):
    content = ezc3d.c3d()
    content["parameters"]["POINT"]["RATE"]["value"] = [25.0]
    content["parameters"]["POINT"]["UNITS"]["value"] = [unit]
    content["parameters"]["POINT"]["LABELS"]["value"] = list(names)
    columns = np.moveaxis(points, (2, 1, 0), (0, 1, 2))
    content["data"]["points"] = np.concatenate([columns, np.ones_like(columns[:1])])
    content.write(str(path))


FILES = pytest.mark.parametrize(
    ("write", "read"),
    [(write_trc, tracks_2d_files.read_trc), (write_c3d, tracks_2d_files.read_c3d)],
    ids=["trc", "c3d"],
)


@pytest.mark.parametrize("detector", simulated_rigs.DETECTION_WRITERS)
def test_detectors_are_told_by_what_they_write(tmp_path, detector):
    name = simulated_rigs.DETECTION_WRITERS[detector](tmp_path / "cam", SEEN)
    tracks = tracks_2d_files.read(str(tmp_path / name), "coco_17")
    assert tracks.joint_names == skeletons.COCO_17.joints
    np.testing.assert_allclose(tracks.keypoints_2d[0, 5], BODY[:, :2], atol=1e-4)


def test_tables_and_marker_files_are_told_by_their_endings(tmp_path):
    (tmp_path / "a.CSV").write_text(TABLE)
    assert tracks_2d_files.read(tmp_path / "a.CSV").joint_names == ("nose",)
    write_trc(tmp_path / "a.trc")
    assert tracks_2d_files.read(tmp_path / "a.trc").names == ("anna", "ben")
    write_c3d(tmp_path / "a.c3d")
    assert tracks_2d_files.read(tmp_path / "a.c3d").names == ("anna", "ben")


def test_what_lifting_wrote_as_json_is_read(tmp_path):
    pose_clip.write_json(people.clip(), tmp_path / "a.json")
    tracks = tracks_2d_files.read(tmp_path / "a.json")
    expected = people.track().keypoints_2d
    np.testing.assert_allclose(tracks.keypoints_2d[0], expected, atol=5.1e-4)
    pose_clip.write_json(people.clip(people.track(keypoints_2d=None)), tmp_path / "a.json")
    refusals.refused("`tracks` must hold `keypoints_2d`", tracks_2d_files.read, tmp_path / "a.json")


@pytest.mark.parametrize("name", ["gone.json", "gone.npz", "gone.csv", "gone.trc", "gone.c3d"])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(errors.RecordingError, match=f"{name}: `.*` must be a file that exists"):
        tracks_2d_files.read(tmp_path / name)


def test_other_endings_are_refused_with_those_that_there_are(tmp_path):
    rule = "`input` must be a folder of detections or end in .json, .npz, .csv, .h5, .trc, .c3d."
    refusals.refused(re.escape(rule), tracks_2d_files.read, tmp_path / "a.xlsx")
    refusals.refused("`input` must exist", tracks_2d_files.read, tmp_path / "folder")


def test_a_row_is_a_joint_and_what_has_none_was_not_seen(tmp_path):
    tracks = read_table(tmp_path)
    assert (tracks.names, tracks.joint_names) == (("anna", "ben"), ("head", "nose"))
    assert (tracks.first_frame, tracks.num_frames) == (5, 3)
    # Two frames in 0.04 seconds.
    assert tracks.frame_rate == pytest.approx(50.0)
    expected = np.zeros((2, 3, 2))
    expected[0, 0, 0], expected[1, 0, 1], expected[0, 2, 0] = 0.9, 0.8, 0.7
    np.testing.assert_array_equal(tracks.confidence, expected)
    assert tracks.keypoints_2d[0, 2, 0].tolist() == [50, 60]
    assert (tracks.keypoints_2d[expected == 0] == 0).all()


def test_the_least_table_is_one_person_surely_seen(tmp_path):
    tracks = read_table(tmp_path, "joint,y,x,frame\nhead,2,1,0\n")
    upper = read_table(tmp_path, "Joint,Y,X,Frame\nhead,2,1,0\n")
    np.testing.assert_array_equal(upper.keypoints_2d, tracks.keypoints_2d)
    assert (tracks.names, tracks.frame_rate) == (("person 1",), None)
    assert tracks.keypoints_2d[0, 0, 0].tolist() == [1, 2]
    assert tracks.confidence.tolist() == [[[1.0]]]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("joint", "marker", "`header` must have the columns frame, joint, x, y. Received: person"),
        ("anna,5", "anna,5.5", "`frame` must be whole numbers from 0 on."),
        ("anna,5", "anna,", "`frame` must be whole numbers from 0 on."),
        ("anna,5", "anna,-5", "`frame` must be whole numbers from 0 on."),
        ("anna,5", "anna,9999999", "`frames` must span 1 to 250000 frames"),
        ("anna,5", "anna,five", "`frame` must hold numbers or nothing."),
        ("ben,5,0.10,nose", "anna,5,0.10,head", "one row for each joint of a person in a frame. "),
        (",20,", ",", "`table` must have 7 cells in each row. Received: anna,5,0.10,head,10,0.9."),
        ("10,20", "10,inf", "`keypoints_2d` must be finite."),
        ("0.14", "0.10", "`time` must grow with the frames."),
        ("0.9\n", "1.9\n", "`confidence` must lie in [0, 1]. Received: 0.0 to 1.9."),
        ("anna,5", '"anna,5', "`table` must be comma-separated values."),
        (PEOPLE_TABLE.partition("\n")[2], "", "`table` must have rows. Received: none."),
        (PEOPLE_TABLE, "", "`table` must be comma-separated values."),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused_by_field(tmp_path, old, new, sentence):
    refusals.refused(re.escape(sentence), read_table, tmp_path, PEOPLE_TABLE.replace(old, new))


def test_few_rows_far_apart_of_many_people_and_joints_are_refused_before_they_are_laid_out(
    tmp_path,
):
    rows = [f"p{i},{199_999 * (i % 2)},j{i},1,2" for i in range(12)]
    before = psutil.Process().memory_info().rss
    with pytest.raises(errors.RecordingError, match=r"`table` must span at most 100 times"):
        read_table(tmp_path, "\n".join(["person,frame,joint,x,y", *rows]))
    assert psutil.Process().memory_info().rss - before < 64 * 2**20


def test_all_that_an_archive_tells_is_read(tmp_path):
    tracks = read_arrays(
        tmp_path,
        keypoints_2d=KEYPOINTS,
        confidence=CONFIDENCE,
        frame_rate=25,
        first_frame=7,
        image_size=[640, 480],
        names=["anna", "ben"],
    )
    assert (tracks.frame_rate, tracks.first_frame, tracks.image_size) == (25.0, 7, (640, 480))
    assert (tracks.names, tracks.joint_names) == (("anna", "ben"), skeletons.H36M_17.joints)
    np.testing.assert_array_equal(tracks.keypoints_2d[1], KEYPOINTS[:, 1])
    np.testing.assert_array_equal(tracks.confidence[1], CONFIDENCE[:, 1])


def test_one_person_needs_no_axis_and_nothing_but_keypoints(tmp_path):
    tracks = read_arrays(tmp_path, keypoints_2d=KEYPOINTS[:, 0])
    assert (tracks.names, tracks.frame_rate, tracks.image_size) == (("person 1",), None, None)
    assert (tracks.confidence == 1).all()


@pytest.mark.parametrize(
    ("joints", "arrays", "skeleton", "expected"),
    [
        (17, {"skeleton": "coco_17"}, None, skeletons.COCO_17.joints),
        (17, {"skeleton": "coco_17"}, "h36m_17", skeletons.H36M_17.joints),
        (26, {}, None, skeletons.HALPE_26.joints),
        (25, {}, "body_25b", skeletons.BODY_25B.joints),
        (2, {"joint_names": ["head", "nose"]}, None, ("head", "nose")),
        (2, {"joint_names": ["LKnee", "wing"]}, None, ("left_knee", "wing")),
    ],
)
def test_the_joint_set_is_told_by_option_file_or_number(
    tmp_path, joints, arrays, skeleton, expected
):
    tracks = read_arrays(tmp_path, skeleton, keypoints_2d=np.ones((3, joints, 2)), **arrays)
    assert tracks.joint_names == expected


def test_what_rtmlib_gives_and_what_lifting_wrote_is_read(tmp_path):
    still = np.broadcast_to(KEYPOINTS[0] + [[[0, 0]], [[2000, 0]]], KEYPOINTS.shape)
    tracks = read_arrays(tmp_path, "coco_17", keypoints=still, scores=CONFIDENCE)
    assert tracks.joint_names == skeletons.COCO_17.joints
    assert len(tracks.names) == 2
    pose_clip.write_npz(people.clip(), tmp_path / "poses.npz")
    again = tracks_2d_files.read_arrays(tmp_path / "poses.npz")
    np.testing.assert_array_equal(again.keypoints_2d[0], people.track().keypoints_2d)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"keypoints": KEYPOINTS[:, 0]}, "must call joints `keypoints_2d`. Received: keypoints."),
        ({"kpts": KEYPOINTS, "conf": CONFIDENCE}, "must call joints `keypoints_2d`. Received: kpt"),
        ({"keypoints_2d": KEYPOINTS, "scores": CONFIDENCE}, "must call scores `confidence`."),
        ({"poses": KEYPOINTS}, "`keypoints_2d` must be an array of the archive. Received: poses."),
        ({"a": 1, "keypoints2D": KEYPOINTS}, "Received: a, keypoints2D; did you mean keypoints2D?"),
        ({"keypoints_2d": KEYPOINTS[0, 0, 0]}, "`keypoints_2d` must have shape [T, K, 2]"),
        ({"keypoints_2d": np.zeros((3, 25, 2))}, "must be said by --skeleton: body_25, body_25b."),
        ({"positions_2d": KEYPOINTS}, "`positions_2d` must hold one video's joints [T, K, 2]."),
        ({"keypoints_2d": KEYPOINTS, "skeleton": "coco"}, "`skeleton` must be one of h36m_17"),
        ({"keypoints_2d": KEYPOINTS, "confidence": CONFIDENCE[0]}, "`confidence` must have shape"),
        ({"keypoints_2d": KEYPOINTS, "frame_rate": [1, 2]}, "`frame_rate` must be a number."),
        (
            {"keypoints_2d": KEYPOINTS, "image_size": 640},
            "`image_size` must be width and height in",
        ),
        (
            {"keypoints_2d": KEYPOINTS, "image_size": [1.5, 2]},
            "in whole pixels. Received: (1.5, 2)",
        ),
        ({"keypoints_2d": KEYPOINTS, "first_frame": "x"}, "`first_frame` must be a number."),
        (
            {"keypoints_2d": KEYPOINTS, "first_frame": 1.5},
            "be a whole number from 0 to 1000000000.",
        ),
        ({"keypoints_2d": KEYPOINTS, "first_frame": -1}, "be a whole number from 0 to 1000000000."),
    ],
)
def test_what_does_not_fit_is_refused_by_field(tmp_path, arrays, sentence):
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)):
        read_arrays(tmp_path, **arrays)


def test_people_are_told_from_frames(tmp_path):
    walk, skeleton = people.walking("h36m_17"), "h36m_17"
    rule = r"be \[T, P, K, 2\], time first. Received: \[1, 30, 17, 2\], of people in one place"
    with pytest.raises(errors.RecordingError, match=rule):
        read_arrays(tmp_path, skeleton, keypoints_2d=walk[np.newaxis])
    crowd = walk[:6] + 200 * np.arange(6)[:, np.newaxis, np.newaxis] * [1, 0]
    assert len(read_arrays(tmp_path, skeleton, keypoints_2d=crowd[np.newaxis]).names) == 6
    assert len(read_arrays(tmp_path, skeleton, keypoints_2d=walk[np.newaxis, :4]).names) == 4


@pytest.mark.parametrize("facts", [{}, {"frame_rate": 29.97, "image_size": (640, 480)}])
def test_tracks_that_are_written_are_read_again(tmp_path, facts):
    seen = np.where(RNG.uniform(size=(6, 2, 17)) < 0.2, 0, CONFIDENCE)
    tracks = tracks_2d.of_arrays(*(KEYPOINTS, seen), names=("anna", "ben"), first_frame=7, **facts)
    tracks_2d_files.write_arrays(tracks, tmp_path / "kept.npz")
    again = tracks_2d_files.read_arrays(tmp_path / "kept.npz")
    for name in ("names", "joint_names", "frame_rate", "first_frame", "image_size"):
        assert getattr(again, name) == getattr(tracks, name)
    np.testing.assert_allclose(again.keypoints_2d, tracks.keypoints_2d, atol=1e-3)
    np.testing.assert_allclose(again.confidence, tracks.confidence, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npz"]


@FILES
def test_markers_are_peoples_joints_and_z_is_confidence(tmp_path, write, read):
    write(tmp_path / "seen.c3d", people.hidden(POINTS, (2, 1)))
    tracks = read(tmp_path / "seen.c3d")
    assert (tracks.names, tracks.joint_names) == (("anna", "ben"), ("head", "nose"))
    assert tracks.frame_rate == 25.0
    np.testing.assert_allclose(tracks.keypoints_2d[0, :, 1], POINTS[:, 2, :2], atol=1e-3)
    np.testing.assert_allclose(tracks.confidence[1, :, 0], POINTS[:, 3, 2], atol=1e-6)
    assert (tracks.confidence == 0).nonzero() == ([1], [2], [1])


@FILES
def test_without_any_confidence_all_was_surely_seen(tmp_path, write, read):
    write(tmp_path / "seen.c3d", POINTS[:, :2] * [1, 1, 0], ("head", "nose"))
    tracks = read(tmp_path / "seen.c3d")
    assert tracks.names == ("person 1",)
    assert (tracks.confidence == 1).all()


def test_frames_of_a_trc_count_from_1(tmp_path):
    write_trc(tmp_path / "seen.c3d")
    assert tracks_2d_files.read_trc(tmp_path / "seen.c3d").first_frame == 6


@FILES
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"unit": "mm"}, "be px, X and Y being points of an image and Z confidence. Received: mm."),
        ({"names": ("a:head", "a:nose", "b:head", "b:hip")}, "`markers` must have each joint of"),
        ({"points": POINTS + np.array([0, 0, 5])}, "`confidence` must lie in [0, 1]."),
    ],
)
def test_other_files_are_refused(tmp_path, write, read, change, sentence):
    write(tmp_path / "seen.c3d", **change)
    refusals.refused(re.escape(sentence), read, tmp_path / "seen.c3d")


def test_poses_are_not_taken_for_image_points(tmp_path):
    mocap_files.write_trc(people.clip(), tmp_path / "poses.trc")
    with pytest.raises(errors.RecordingError, match=r"`Units` must be px.*Received: mm"):
        tracks_2d_files.read_trc(tmp_path / "poses.trc")


@pytest.mark.parametrize("ending", ["csv", "npz", "trc"])
def test_damaged_files_end_in_our_error(tmp_path, ending):
    path = tmp_path / f"seen.{ending}"
    if ending == "csv":
        path.write_text(PEOPLE_TABLE)
    elif ending == "npz":
        np.savez(path, keypoints_2d=KEYPOINTS, confidence=CONFIDENCE)
    else:
        write_trc(path)

    def read():
        tracks_2d_files.read(path, "h36m_17" if ending == "npz" else None)

    assert damage.assert_only_our_errors(read, path, count=60) > 5
