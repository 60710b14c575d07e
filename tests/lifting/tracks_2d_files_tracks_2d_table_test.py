import re

import numpy as np
import psutil
import pytest

from keras_mvlift import errors
from keras_mvlift.lifting import tracks_2d_files

TABLE = """person,frame,time,joint,x,y,confidence
anna,5,0.10,head,10,20,0.9
ben,5,0.10,nose,30,40,0.8
anna,7,0.14,head,50,60,0.7

anna,7,0.14,nose,,,0.7
"""


def read(tmp_path, text=TABLE):
    path = tmp_path / "seen.csv"
    path.write_text(text)
    return tracks_2d_files.read_table(path)


def test_a_row_is_a_joint_and_what_has_none_was_not_seen(tmp_path):
    tracks = read(tmp_path)
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
    tracks = read(tmp_path, "joint,y,x,frame\nhead,2,1,0\n")
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
        ("anna,5", "anna,9999999", "`frames` must span 1 to 200000 frames"),
        ("anna,5", "anna,five", "`frame` must hold numbers or nothing."),
        ("ben,5,0.10,nose", "anna,5,0.10,head", "one row for each joint of a person in a frame. "),
        (",20,", ",", "`table` must have 7 cells in each row. Received: anna,5,0.10,head,10,0.9."),
        ("10,20", "10,inf", "`keypoints_2d` must be finite."),
        ("0.14", "0.10", "`time` must grow with the frames."),
        ("0.9\n", "1.9\n", "`confidence` must lie in [0, 1]. Received: 0.0 to 1.9."),
        ("anna,5", '"anna,5', "`table` must be comma-separated values."),
        (TABLE.partition("\n")[2], "", "`table` must have rows. Received: none."),
        (TABLE, "", "`table` must be comma-separated values."),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused_by_field(tmp_path, old, new, sentence):
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)):
        read(tmp_path, TABLE.replace(old, new))


def test_few_rows_far_apart_of_many_people_and_joints_are_refused_before_they_are_laid_out(
    tmp_path,
):
    rows = [f"p{i},{199_999 * (i % 2)},j{i},1,2" for i in range(12)]
    before = psutil.Process().memory_info().rss
    with pytest.raises(errors.RecordingError, match=r"`table` must span at most 100 times"):
        read(tmp_path, "\n".join(["person,frame,joint,x,y", *rows]))
    assert psutil.Process().memory_info().rss - before < 64 * 2**20
