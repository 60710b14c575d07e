import numpy as np
import pytest

from keras_mvlift.experiments import cells, results

NUM_VIEWS = 5


@pytest.fixture
def store(tmp_path):
    """Ours is off by 0, 1, ... cm at each joint but in view 3, where by 9; the peer by 5 cm."""
    store = cells.CellStore(tmp_path)
    truth = np.random.default_rng(0).uniform(-1, 1, (NUM_VIEWS, 17, 3)).round(3)
    names = {
        "clip": np.array([f"clip_{index}" for index in range(NUM_VIEWS)]),
        "camera": np.array(["cam"] * NUM_VIEWS),
        "frame": np.arange(NUM_VIEWS),
    }
    errors = 0.01 * np.array([0, 1, 2, 9, 4])[:, np.newaxis, np.newaxis]
    store.write_poses("truth_1", pose=truth, **names)
    store.write_poses("ours", pose=truth + errors * [1, 0, 0])
    store.write_poses("peer", pose=truth + 0.05 * np.array([0, 0, 1]))
    return store


def row(name, digest, truth="truth_1", status="done"):
    return {"name": name, "cells": [{"digest": digest, "truth": truth, "status": status}]}


def test_the_best_median_and_worst_view_of_ours_are_shown_with_all_rows(store):
    best, median, worst = results.choose(store, [row("peer", "peer"), row(results.OURS, "ours")])
    assert [case["view"]["clip"] for case in (best, median, worst)] == [
        "clip_0",
        "clip_2",
        "clip_3",
    ]
    assert list(worst["poses"]) == ["true", "peer", results.OURS]
    assert worst["poses"][results.OURS]["mpjpe_mm"] == pytest.approx(90, abs=0.5)
    assert worst["poses"]["peer"]["mpjpe_mm"] == pytest.approx(50, abs=0.5)
    true, ours = (np.array(worst["poses"][name]["joints"]) for name in ("true", results.OURS))
    np.testing.assert_allclose(ours - true, np.tile([90, 0, 0], (17, 1)), atol=1)


def test_rows_of_other_views_and_unfinished_rows_are_left_out(store):
    rows = [
        row(results.OURS, "ours"),
        row("elsewhere", "peer", truth="truth_2"),
        row("broken", "none", status="failed"),
        {"name": "not run", "cells": []},
    ]
    assert list(results.choose(store, rows)[0]["poses"]) == ["true", results.OURS]
    assert results.choose(store, rows[2:]) == []
