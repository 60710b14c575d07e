import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import trc
from tests import random_scenes, refusals
from tests.datasets import recordings


def written(tmp_path, **options):
    points = random_scenes.points(np.random.default_rng(0), 5, len(recordings.MARKERS))
    path = tmp_path / "reference.trc"
    path.write_text(recordings.reference(points, **options))
    return path, points


def test_golden(tmp_path):
    # OpenSim's y is up and its x and z lie on the floor: (1, 2, 3) is 3, 1 on the floor, 2 up.
    path = tmp_path / "reference.trc"
    path.write_text(
        "PathFileType\t4\t(X/Y/Z)\treference.trc\n"
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\n"
        "50\t50\t2\t2\tmm\n"
        "Frame#\tTime\tRBigToe\t\t\tNeck\t\t\n"
        "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
        "1\t0.00\t1000\t2000\t3000\t4000\t5000\t6000\n"
        "2\t0.02\t10\t20\t30\t\t\t\n"
    )
    names, frame_rate, points_world, *_ = trc.read(path)
    assert (names, frame_rate) == (("right_big_toe", "neck"), 50.0)
    expected = [[[3, 1, 2], [6, 4, 5]], [[0.03, 0.01, 0.02], [np.nan] * 3]]
    np.testing.assert_allclose(points_world, expected)


@pytest.mark.parametrize("word", ["m", "mm", "meters", "Millimeters"])
def test_what_was_written_is_read_back(tmp_path, word):
    unit = {"meters": "m", "Millimeters": "mm"}.get(word, word)
    path, points = written(tmp_path, unit=unit, frame_rate=120)
    path.write_text(path.read_text().replace(f"\t{unit}\t", f"\t{word}\t", 1))
    names, frame_rate, points_world, *_ = trc.read(path)
    assert names == recordings.MARKERS
    assert frame_rate == 120.0
    np.testing.assert_allclose(points_world, points, atol=1e-12)


def test_a_marker_at_the_origin_is_missing_and_a_unit_that_is_none_named(tmp_path):
    path, points = written(tmp_path)
    lost = points.copy()
    lost[2, 1] = 0.0
    path.write_text(recordings.reference(lost))
    found = trc.read(path).points
    assert np.argwhere(np.isnan(found).all(axis=-1)).tolist() == [[2, 1]]
    path.write_text(path.read_text().replace("\tm\t", "\tkm\t"))
    with pytest.raises(errors.RecordingError, match="`Units` must be one of m, cm, mm, meters"):
        trc.read(path)


@pytest.mark.parametrize(
    ("told", "changed", "sentence"),
    [
        ("\t5\t", "\t9\t", "`NumFrames` is 9, but 5 by what stands below it"),
        ("60\t60", "30\t30", "`DataRate` is 30, but 60"),
    ],
)
def test_a_header_that_says_other_than_the_rows_is_warned_about(tmp_path, told, changed, sentence):
    path, points = written(tmp_path, frame_rate=60)
    header, rest = path.read_text().split("Frame#")
    assert told in header
    path.write_text(header.replace(told, changed) + "Frame#" + rest)
    with pytest.warns(errors.InputWarning, match=sentence):
        assert len(trc.read(path).points) == len(points)


def test_empty_lines_and_windows_line_ends_are_no_frames(tmp_path):
    path, points = written(tmp_path)
    path.write_bytes((path.read_text() + "\n  \n").replace("\n", "\r\n").encode())
    np.testing.assert_allclose(trc.read(path).points, points, atol=1e-12)


def cut(text, line, end):
    lines = text.splitlines()
    lines[line] = lines[line][:end]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("change", "received"),
    [
        (lambda text: "", "too few"),
        (lambda text: "\n".join(text.splitlines()[:5]), "too few"),
        (lambda text: text.replace("Units", "Unit"), "no `Units`"),
        (lambda text: text.replace("DataRate\t", "Rate\t", 1), "no `DataRate`"),
        (lambda text: cut(text, 2, 8), "too few"),
        (lambda text: cut(text, 7, 40), "lists of"),
        (lambda text: text.replace("0.1", "O.1"), ".*O.1"),
    ],
)
def test_a_file_that_is_not_a_trc_is_refused(tmp_path, change, received):
    path, _ = written(tmp_path)
    path.write_text(change(path.read_text()))
    rule = "`header` must have a TRC header and a full row of numbers for each frame"
    assert refusals.refused(rf"{rule}. Received: {received}", trc.read, path).path == path
