"""Lifting files gives all their poses, at a rate that is not lost in reading and writing."""

import json
import sys

import pytest

from benchmarks import bulk_inference

pytestmark = pytest.mark.e2e


def test_the_quick_trial_lifts_all_poses(tmp_path, monkeypatch, capsys):
    path = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["bulk_inference", "--quick", "--json", str(path)])
    bulk_inference.main()
    rows = {row["run"]: row for row in json.loads(path.read_text())}
    assert set(rows) == {bulk_inference.IN_MEMORY, "tfrecord to tfrecord"}
    assert {row["poses"] for row in rows.values()} == {bulk_inference.QUICK.num_poses}
    assert rows[bulk_inference.IN_MEMORY]["ratio"] == 1
    for name, row in rows.items():
        if name != bulk_inference.IN_MEMORY:
            # Three poses of 17 joints, a root position, four bytes a number, less what compresses.
            assert 200 < row["bytes_per_pose"] < 750
            assert row["poses_per_s"] == pytest.approx(6000 / row["seconds"])
    assert "tfrecord to tfrecord" in capsys.readouterr().out
