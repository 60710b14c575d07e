import csv

import numpy as np
import pytest

from keras_mvlift.lifting import pose_clip
from tests.lifting import people


def rows(clip, tmp_path):
    pose_clip.write_csv(clip, tmp_path / "poses.csv")
    with (tmp_path / "poses.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


def test_each_joint_of_each_track_in_each_frame_is_a_row(tmp_path):
    tracks = people.track(), people.track("b, the second", seed=1)
    written = rows(people.clip(*tracks), tmp_path)
    assert len(written) == 2 * 12 * 17
    row = written[12 * 17 + 17 + 2]
    assert row["track"] == "b, the second"
    # The second frame behind frame 3, at 50 frames per second.
    assert (row["frame"], row["time"], row["joint"]) == ("4", "0.020000", "right_knee")
    assert row["space"] == "world"
    assert [float(row[axis]) for axis in "xyz"] == pytest.approx(tracks[1].pose[1, 2], abs=5.1e-6)
    told = [float(row[name]) for name in ("confidence", "uncertainty", "keypoint_confidence")]
    track = tracks[1]
    expected = (track.confidence, track.uncertainty, track.keypoint_confidence)
    assert told == pytest.approx([values[1, 2] for values in expected], abs=5.1e-6)
    told = [float(row["keypoint_x"]), float(row["keypoint_y"])]
    assert told == pytest.approx(track.keypoints_2d[1, 2], abs=5.1e-6)


def test_what_is_absent_or_not_known_is_an_empty_cell(tmp_path):
    track = people.track(pose=people.hidden(people.pose(), (0, 1)), uncertainty=None)
    first, second = rows(people.clip(track), tmp_path)[:2]
    assert (first["uncertainty"], second["x"], second["z"]) == ("", "", "")
    assert np.isfinite(float(second["confidence"]))


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@sum", "\tx"])
def test_no_program_of_tables_runs_a_name(tmp_path, name):
    assert rows(people.clip(people.track(name)), tmp_path)[0]["track"] == f"'{name}"
    assert rows(people.clip(people.track("anna")), tmp_path)[0]["track"] == "anna"
