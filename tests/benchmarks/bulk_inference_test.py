"""Lifting files gives all their poses, at a rate that is not lost in reading and writing."""

import pytest

from benchmarks import bulk_inference
from tests.benchmarks import quick_trials

pytestmark = pytest.mark.e2e


def test_the_quick_trial_lifts_all_poses(tmp_path, capsys):
    rows = {row["run"]: row for row in quick_trials.figures(bulk_inference, tmp_path)}
    assert set(rows) == {bulk_inference.IN_MEMORY, "tfrecord to tfrecord"}
    assert {row["poses"] for row in rows.values()} == {bulk_inference.QUICK.num_poses}
    assert rows[bulk_inference.IN_MEMORY]["ratio"] == 1
    for name, row in rows.items():
        if name != bulk_inference.IN_MEMORY:
            # Three poses of 17 joints, a root position, four bytes a number, less what compresses.
            assert 200 < row["bytes_per_pose"] < 750
            assert row["poses_per_s"] == pytest.approx(6000 / row["seconds"])
    assert "tfrecord to tfrecord" in capsys.readouterr().out
