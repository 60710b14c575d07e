"""The measurement of the reading of windows reads all that it says."""

from benchmarks import window_reading
from tests.benchmarks import quick_trials


def test_an_epoch_of_windows_is_read_whole(tmp_path):
    rows = quick_trials.figures(window_reading, tmp_path)
    assert [row["frames"] for row in rows] == [27]
    # Two clips of 200 frames and four cameras hold at most 2400 pairs; few views are dropped.
    assert {row["pairs"] for row in rows} == {2304}
    assert all(row["seconds"] > 0 for row in rows)
