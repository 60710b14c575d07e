import csv
import dataclasses
import json
import pathlib
import re

import jsonschema
import numpy as np
import pytest

from keras_mvlift.lifting import pose_clip
from tests import refusals
from tests.lifting import people
from tests.untrusted import damage


def rows(clip, tmp_path):
    pose_clip.write_csv(clip, tmp_path / "poses.csv")
    with (tmp_path / "poses.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


SCHEMA = pathlib.Path(__file__).parents[2] / "docs" / "pose_clip.schema.json"
FULL = people.clip(
    people.track(pose=people.hidden(people.pose(), (0, 3)), uncertainty=None),
    people.track("unsure", uncertainty=people.hidden(np.full((12, 17), 0.02), (1, 4))),
    people.track("reference", seed=1, is_reference=True, keypoints_2d=None),
    about={"model": "a", "notes": [1, None]},
)


def test_a_clip_counts_its_frames_and_knows_where_joints_are():
    track = people.track(pose=people.hidden(people.pose(), (2, 5)))
    clip = people.clip(track)
    assert clip.num_frames == 12
    assert np.argwhere(~track.is_present).tolist() == [[2, 5]]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": " "}, "`name` must be a text that is not empty. Received: ' '."),
        ({"pose": np.zeros((12, 17))}, "`pose` must have shape [T, J, 3]. Received: [12, 17] of"),
        ({"pose": np.zeros((12, 17, 3), int)}, "`pose` must have shape [T, J, 3]. Received: [12"),
        ({"pose": np.zeros((0, 17, 3))}, "`pose` must have at least one frame and one joint"),
        ({"pose": np.full((12, 17, 3), np.inf)}, "`pose` must be finite, or NaN in all of"),
        ({"pose": np.ones((12, 17, 1)) * [1, np.nan, 1]}, "`pose` must be finite, or NaN in all"),
        ({"confidence": np.zeros((12, 16))}, "`confidence` must have the frames and joints"),
        ({"confidence": np.full((12, 17), 1.5)}, "`confidence` must lie in [0, 1]. Received: 1.5"),
        ({"confidence": np.full((12, 17), np.nan)}, "`confidence` must lie in [0, 1]. Received:"),
        ({"keypoint_confidence": np.full((12, 17), -1.0)}, "`keypoint_confidence` must lie in"),
        ({"uncertainty": np.full((12, 17), -1.0)}, "`uncertainty` must be finite and at least 0"),
        ({"keypoints_2d": np.zeros((12, 17, 3))}, "`keypoints_2d` must have shape [T, J, 2]"),
        ({"keypoints_2d": np.zeros((9, 17, 2))}, "`keypoints_2d` must have the frames and joints"),
    ],
)
def test_a_track_that_breaks_a_rule_is_refused_by_field(fields, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        people.track(**fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"space": "scene"}, "`space` must be one of root, camera, world. Received: 'scene'."),
        ({"frame_rate": 0.0}, "`frame_rate` must be above 0 and at most 1000 per second. Receive"),
        ({"frame_rate": 1e9}, "at most 1000 per second. Received: 1e+09."),
        ({"frame_rate": "50"}, "`frame_rate` must be a number. Received: '50'."),
        ({"first_frame": -1}, "`first_frame` must be a whole number of at least 0. Received: -1."),
        ({"joint_names": ("hip",) * 17}, "`joint_names` must be texts, each once."),
        ({"parents": (-1,) * 17}, "`parents` must name for each of 17 joints an earlier one"),
        ({"parents": (-1, 0)}, "`parents` must name for each of 17 joints an earlier one"),
        ({"parents": (-1, 2, *range(15))}, "`parents` must name for each of 17 joints an earlier"),
        ({"image_size": (640, 0)}, "`image_size` must be width and height in whole pixels."),
        ({"about": {"seen": {1}}}, "`about` must hold JSON values only."),
        ({"about": {"loss": float("nan")}}, "`about` must hold JSON values only."),
        ({"tracks": ()}, "`tracks` must hold somebody. Received: none."),
    ],
)
def test_a_clip_that_breaks_a_rule_is_refused_by_field(fields, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        dataclasses.replace(people.clip(), **fields)


def test_tracks_of_other_lengths_or_one_name_are_refused():
    with pytest.raises(ValueError, match=r"`tracks` must all have 12 frames and 17 joints.*b with"):
        people.clip(people.track(), people.track("b", num_frames=9))
    with pytest.raises(ValueError, match="`tracks` must each have a name of its own"):
        people.clip(people.track(), people.track(seed=1))


@pytest.mark.parametrize("ending", [*pose_clip.ENDINGS, ".JSON", ".C3D"])
def test_a_clip_is_written_by_its_ending(tmp_path, ending):
    path = tmp_path / f"poses{ending}"
    assert pose_clip.write(people.clip(), str(path)) == (path,)
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("ending", [".json", ".npz"])
def test_a_clip_is_read_by_its_ending(tmp_path, ending):
    path = tmp_path / f"poses{ending}"
    pose_clip.write(people.clip(), path)
    read = pose_clip.read(str(path))
    people.assert_same(read, people.clip(), meters=6e-6, pixels=6e-4, share=6e-4)


def test_other_endings_are_refused_with_those_that_there_are(tmp_path):
    sentence = "`file name` must end in .json, .csv, .npz, .trc, .c3d, .bvh to write poses."
    refusals.refused(re.escape(sentence), pose_clip.write, people.clip(), tmp_path / "poses.xlsx")
    sentence = "`file name` must end in .json, .npz to read poses. Received: poses.trc."
    refusals.refused(re.escape(sentence), pose_clip.read, tmp_path / "poses.trc")


def test_what_was_there_stays_when_a_format_cannot_hold_a_clip(tmp_path):
    path = tmp_path / "poses.bvh"
    path.write_text("old")
    never = people.hidden(people.pose(), (slice(None), 10))
    with pytest.raises(ValueError, match="must have every joint"):
        pose_clip.write(people.clip(people.track(pose=never)), path)
    assert path.read_text() == "old"


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


def test_numpy_alone_reads_the_arrays(tmp_path):
    pose_clip.write_npz(FULL, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["pose"].shape == (3, 12, 17, 3)
        assert arrays["track_names"].tolist() == ["person 1", "unsure", "reference"]
        assert np.isnan(arrays["uncertainty"][0]).all()


def test_other_archives_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, pose=np.zeros((1, 2, 3)))
    rule = "`arrays` must be poses as `keras-mvlift lift` writes them. Received: no `space`"
    refusals.refused(re.escape(rule), pose_clip.read_npz, path)
    path.write_bytes(b"no archive")
    refusals.refused(r"`file` must be an \.npz archive", pose_clip.read_npz, path)


@pytest.mark.parametrize("ending", ["npz", "json"])
def test_damaged_poses_end_in_our_error(tmp_path, ending):
    path = tmp_path / f"poses.{ending}"
    write, read = (getattr(pose_clip, f"{verb}_{ending}") for verb in ("write", "read"))
    write(FULL, path)
    assert damage.assert_only_our_errors(lambda: read(path), path, count=60) > 20


@pytest.mark.parametrize("clip", [FULL, people.clip(image_size=None, space="root")])
def test_what_is_written_is_read_again_and_fits_the_schema(tmp_path, clip):
    pose_clip.write_npz(clip, tmp_path / "poses.npz")
    people.assert_same(pose_clip.read_npz(tmp_path / "poses.npz"), clip)
    path = tmp_path / "poses.json"
    pose_clip.write_json(clip, path)
    people.assert_same(pose_clip.read_json(path), clip, meters=5.1e-6, pixels=5.1e-4, share=5.1e-4)
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(path.read_text()), schema)


def test_an_absent_joint_is_null_and_single_precision_leaves_no_digits(tmp_path):
    pose = people.hidden(np.full((1, 17, 3), 0.1, np.float32), (0, 3))
    bare = people.track(
        num_frames=1,
        pose=pose,
        **dict.fromkeys(("confidence", "uncertainty", "keypoints_2d", "keypoint_confidence")),
    )
    pose_clip.write_json(people.clip(bare), tmp_path / "a.json")
    (track,) = json.loads((tmp_path / "a.json").read_text())["tracks"]
    assert track["pose"][0][2:5] == [[0.1, 0.1, 0.1], None, [0.1, 0.1, 0.1]]
    assert set(track) == {"name", "is_reference", "pose"}


def damaged(change):
    content = {"format": pose_clip.JSON_FORMAT, "version": pose_clip.JSON_VERSION}
    return content | change


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "`format` must be 'keras-mvlift poses' of version 1. Received: list."),
        ({"format": "other"}, "`format` must be 'keras-mvlift poses' of version 1. Received: o"),
        (damaged({"version": 2}), "`format` must be 'keras-mvlift poses' of version 1."),
        (damaged({}), "`tracks` must be poses as docs/pose_clip.schema.json has them. Received"),
    ],
)
def test_other_json_is_refused(tmp_path, content, sentence):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    refusals.refused(re.escape(sentence), pose_clip.read_json, path)


def test_a_rule_that_a_file_breaks_is_told_by_field(tmp_path):
    path = tmp_path / "a.json"
    pose_clip.write_json(FULL, path)
    path.write_text(path.read_text().replace('"space": "world"', '"space": "here"'))
    refusals.refused("`space` must be one of root, camera, world", pose_clip.read_json, path)
