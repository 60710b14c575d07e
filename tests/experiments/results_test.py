import dataclasses

import numpy as np
import pytest

from keras_mvlift.experiments import methods, results, runs, tables
from tests.experiments import tiny_experiments

ROWS = [
    tables.row("fine", method="triangulation"),
    tables.row("bad", method="triangulation", options=(("mark", 1),)),
]


@pytest.fixture
def gathered(tmp_path, monkeypatch):
    """Two seeds; the error is 10 mm, and 20 mm with the other; the second row fails."""

    def measure(run):
        if run.cell.variant.options:
            raise RuntimeError("no memory")
        shift = np.where(np.arange(17)[:, np.newaxis] == 16, [17, 0, 0], 0.0)
        return run.data.test.reference_pose + 0.01 * (run.cell.seed + 1) * shift

    monkeypatch.setitem(methods.METHODS, "triangulation", measure)
    plan = tiny_experiments.experiments(tmp_path, *ROWS, seeds=(0, 1))
    plan.run()
    return results.gather(plan)


def test_mean_spread_and_number_of_seeds_are_told(gathered):
    fine, bad = gathered["tables"][0]["rows"]
    figure = fine["overall"]["mpjpe_mm"]
    # There is one test person.
    assert (figure.pop("people"), figure.pop("people_spread")) == (1, None)
    expected = {"mean": 15.0, "spread": np.sqrt(50), "seeds": 2}
    assert figure == pytest.approx(expected, rel=1e-3)
    assert fine["per_person"]["S03"]["mpjpe_mm"] == pytest.approx(expected, rel=1e-3)
    assert (bad["overall"], [cell["status"] for cell in bad["cells"]]) == ({}, ["failed"] * 2)


def test_the_data_that_were_measured_on_are_told(gathered):
    assert gathered["data"]["source"] == "studio"
    assert gathered["data"]["filming"]["noise_px"] == 5.0
    assert gathered["data"]["counts"]["test_people"] == 1


def test_what_was_not_run_is_missing_not_wrong(tmp_path):
    plan = tiny_experiments.experiments(tmp_path)
    shown = results.gather(plan)["tables"][0]["rows"]
    assert [(row["cells"], row["overall"]) for row in shown] == [([], {})] * 2


def test_the_score_without_labels_has_a_mean(gathered):
    fine, _ = gathered["tables"][0]["rows"]
    scores = [cell["figures"]["overall"]["held_out_mean_px"] for cell in fine["cells"]]
    assert fine["overall"]["held_out_mean_px"]["mean"] == pytest.approx(np.mean(scores))
    assert len({cell["test"] for cell in fine["cells"]}) == 1


KNOWN = [
    dataclasses.replace(tiny_experiments.SMALL, name=name, rows=tuple(shown))
    for name, shown in {
        "both": [*ROWS[:1], tables.row("other", method="triangulation", options=(("mark", 2),))],
        "same cell again": [ROWS[0]],
        "nothing": [tables.row("solved root")],
    }.items()
]


def names(gathered):
    return {table["name"]: [row["name"] for row in table["rows"]] for table in gathered["tables"]}


def planned(folder, *asked, seeds=(0,), profile=tiny_experiments.PROFILE):
    """Plans rows of the first of the tables above."""
    table = dataclasses.replace(KNOWN[0], rows=asked)
    return runs.Experiments(profile, tiny_experiments.STUDIO, [table], seeds, folder, known=KNOWN)


@pytest.fixture
def perfect(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "triangulation", lambda run: run.data.test[1])


def test_a_later_run_shows_what_earlier_ones_finished(tmp_path, perfect):
    first, second = (planned(tmp_path, row) for row in KNOWN[0].rows)
    first.run()
    assert names(results.gather(second)) == {"both": ["fine", "other"]}
    assert results.gather(first)["tables"][0]["left_out"] == ["other"]
    second.run()
    assert names(results.gather(first)) == {"both": ["fine", "other"]}


def test_seeds_of_earlier_runs_are_counted_and_named(tmp_path, perfect):
    planned(tmp_path, ROWS[0], seeds=(3, 1)).run()
    later = planned(tmp_path, ROWS[0], seeds=(2,))
    later.run()
    gathered = results.gather(later)
    assert gathered["seeds"] == [2, 1, 3]
    (row,) = gathered["tables"][0]["rows"]
    assert [cell["seed"] for cell in row["cells"]] == [1, 2, 3]
    assert row["overall"]["mpjpe_mm"]["seeds"] == 3


def test_a_table_is_shown_for_the_sake_of_cells_that_no_other_shows(tmp_path, perfect):
    planned(tmp_path, ROWS[0]).run()
    elsewhere = dataclasses.replace(planned(tmp_path, ROWS[0]), chosen=[KNOWN[2]])
    assert list(names(results.gather(elsewhere))) == ["both", "nothing"]


def test_cells_of_other_budgets_or_code_are_not_shown(tmp_path, perfect, monkeypatch):
    planned(tmp_path, ROWS[0]).run()
    budget = dataclasses.replace(tiny_experiments.BUDGET, width=9)
    wider = dataclasses.replace(tiny_experiments.PROFILE, budget=budget)
    other = planned(tmp_path, KNOWN[0].rows[1], profile=wider)
    assert names(results.gather(other)) == {"both": ["other"]}
    monkeypatch.setattr(runs, "code_digest", lambda: "another")
    same = planned(tmp_path, KNOWN[0].rows[1])
    assert names(results.gather(same)) == {"both": ["other"]}


def test_the_spread_over_people_is_that_of_their_means_over_seeds():
    def cell(overall, first, second):
        people = {"S1": {"auc": first}, "S2": {"auc": second}}
        return {"overall": {"auc": overall, "held_out": 1.0}, "per_person": people}

    found = results.over_people([cell(3.0, 1.0, 4.0), cell(5.0, 3.0, 8.0)])
    assert set(found) == {"auc"}
    # Means over seeds are 2 and 6.
    assert found["auc"]["people_spread"] == pytest.approx(np.sqrt(8))
    assert found["auc"] | {"people_spread": None} == {
        "mean": 4.0,
        "spread": pytest.approx(np.sqrt(2)),
        "seeds": 2,
        "people": 2,
        "people_spread": None,
    }
    assert results.over_people([]) == {}


NUM_VIEWS = 5


@pytest.fixture
def store(tmp_path):
    """Ours is off by 0, 1, ... cm at each joint but in view 3, where by 9; the peer by 5 cm."""
    store = runs.CellStore(tmp_path)
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


@pytest.mark.parametrize("part", results.PUBLISHED["table1"], ids=["protocol 1", "protocol 2"])
def test_the_papers_averages_are_those_of_its_actions(part):
    for name, figures in part["rows"].items():
        assert np.mean(figures[:-1]) == pytest.approx(figures[-1], abs=0.05), name
