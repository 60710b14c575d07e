import re

import ezc3d
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.lifting import mocap_files, tracks_2d_files
from tests.lifting import people

RNG = np.random.default_rng(0)
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
    [
        (write_trc, tracks_2d_files.read_trc),
        (write_c3d, tracks_2d_files.read_c3d),
    ],
    ids=["trc", "c3d"],
)


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
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)):
        read(tmp_path / "seen.c3d")


def test_poses_are_not_taken_for_image_points(tmp_path):
    mocap_files.write_trc(people.clip(), tmp_path / "poses.trc")
    with pytest.raises(errors.RecordingError, match=r"`Units` must be px.*Received: mm"):
        tracks_2d_files.read_trc(tmp_path / "poses.trc")
