import dataclasses
import json

import numpy as np
import pytest

from keras_mvlift.experiments import cells, methods, results, runs, tables
from tests.experiments import tiny_experiments

ROWS = [
    tables.row("fine", method="triangulation"),
    tables.row("bad", method="triangulation", options=(("mark", 1),)),
]


@pytest.fixture
def gathered(tmp_path, monkeypatch):
    """Two seeds; the error is 10 mm, and 20 mm with the other; the second row fails."""

    def measure(cell, data, watch):
        if cell.variant.options:
            raise RuntimeError("no memory")
        shift = np.where(np.arange(17)[:, np.newaxis] == 16, [17, 0, 0], 0.0)
        return data.test.reference_pose + 0.01 * (cell.seed + 1) * shift

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


def test_results_are_json(gathered):
    text = json.dumps(gathered, allow_nan=False)
    assert json.loads(text)["format"] == results.FORMAT


def test_what_was_not_run_is_missing_not_wrong(tmp_path):
    plan = tiny_experiments.experiments(tmp_path)
    shown = results.gather(plan)["tables"][0]["rows"]
    assert [(row["cells"], row["overall"]) for row in shown] == [([], {})] * 2


def test_the_score_without_labels_has_a_mean_and_cells_to_correlate(gathered):
    fine, _ = gathered["tables"][0]["rows"]
    scores = [cell["figures"]["overall"]["held_out_mean_px"] for cell in fine["cells"]]
    assert fine["overall"]["held_out_mean_px"]["mean"] == pytest.approx(np.mean(scores))
    # Two cells are too few.
    assert gathered["score_without_labels"] == []
    assert len({cell["test"] for cell in fine["cells"]}) == 1


def test_rows_of_the_full_profile_are_named_where_they_are_left_out(tmp_path):
    shown = [ROWS[0], tables.row("long", method="triangulation", is_quick=False)]
    plan = tiny_experiments.experiments(tmp_path, *shown)
    quick = dataclasses.replace(plan, profile=dataclasses.replace(plan.profile, is_quick=True))
    for profile, names, left_out in ((plan, ["fine", "long"], []), (quick, ["fine"], ["long"])):
        (table,) = results.gather(profile)["tables"]
        assert ([row["name"] for row in table["rows"]], table["left_out"]) == (names, left_out)


def test_the_spread_of_one_seed_is_unknown():
    one = results.spread([{"auc": 3.0}])
    assert one["auc"] == {"mean": 3.0, "spread": None, "seeds": 1}
    assert results.spread([]) == {}


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
    monkeypatch.setitem(methods.METHODS, "triangulation", lambda _, data, __: data.test[1])


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
    monkeypatch.setattr(cells, "code_digest", lambda: "another")
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
