"""The measurement of the reading of windows reads all that it says."""

import json
import sys

from benchmarks import window_reading


def test_an_epoch_of_windows_is_read_whole(tmp_path, monkeypatch):
    path = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["window_reading", "--quick", "--json", str(path)])
    window_reading.main()
    rows = json.loads(path.read_text())
    assert [row["frames"] for row in rows] == [27]
    # Two clips of 200 frames and four cameras hold at most 2400 pairs; few views are dropped.
    assert {row["pairs"] for row in rows} == {2304}
    assert all(row["seconds"] > 0 for row in rows)
