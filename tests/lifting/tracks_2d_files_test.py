import re

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import pose_clip, tracks_2d_files
from tests.datasets.rigs import simulated_rigs
from tests.lifting import people
from tests.lifting import tracks_2d_files_tracks_2d_markers_test as markers_files

BODY = np.random.default_rng(0).uniform(0.31, 1, (17, 3))
SEEN = [(number, BODY[np.newaxis]) for number in range(6)]
TABLE = "frame,joint,x,y\n0,nose,1,2\n"


@pytest.mark.parametrize("detector", simulated_rigs.DETECTION_WRITERS)
def test_detectors_are_told_by_what_they_write(tmp_path, detector):
    name = simulated_rigs.DETECTION_WRITERS[detector](tmp_path / "cam", SEEN)
    tracks = tracks_2d_files.read(str(tmp_path / name), "coco_17")
    assert tracks.joint_names == skeletons.COCO_17.joints
    np.testing.assert_allclose(tracks.keypoints_2d[0, 5], BODY[:, :2], atol=1e-4)


def test_tables_and_marker_files_are_told_by_their_endings(tmp_path):
    (tmp_path / "a.CSV").write_text(TABLE)
    assert tracks_2d_files.read(tmp_path / "a.CSV").joint_names == ("nose",)
    markers_files.write_trc(tmp_path / "a.trc")
    assert tracks_2d_files.read(tmp_path / "a.trc").names == ("anna", "ben")
    markers_files.write_c3d(tmp_path / "a.c3d")
    assert tracks_2d_files.read(tmp_path / "a.c3d").names == ("anna", "ben")


def test_what_lifting_wrote_as_json_is_read(tmp_path):
    pose_clip.write_json(people.clip(), tmp_path / "a.json")
    tracks = tracks_2d_files.read(tmp_path / "a.json")
    expected = people.track().keypoints_2d
    np.testing.assert_allclose(tracks.keypoints_2d[0], expected, atol=5.1e-4)
    pose_clip.write_json(people.clip(people.track(keypoints_2d=None)), tmp_path / "a.json")
    with pytest.raises(errors.RecordingError, match="`tracks` must hold `keypoints_2d`"):
        tracks_2d_files.read(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["gone.json", "gone.npz", "gone.csv", "gone.trc", "gone.c3d"])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(errors.RecordingError, match=f"{name}: `.*` must be a file that exists"):
        tracks_2d_files.read(tmp_path / name)


def test_other_endings_are_refused_with_those_that_there_are(tmp_path):
    rule = "`input` must be a folder of detections or end in .json, .npz, .csv, .trc, .c3d."
    with pytest.raises(errors.RecordingError, match=re.escape(rule)):
        tracks_2d_files.read(tmp_path / "a.xlsx")
    with pytest.raises(errors.RecordingError, match="`input` must exist"):
        tracks_2d_files.read(tmp_path / "folder")
