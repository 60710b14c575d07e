import dataclasses
import json

import numpy as np
import pytest

from keras_mvlift.experiments import methods, results, rows
from tests.experiments import tiny_experiments

ROWS = [
    rows.row("fine", method="triangulation"),
    rows.row("bad", method="triangulation", options=(("mark", 1),)),
]


@pytest.fixture
def gathered(tmp_path, monkeypatch):
    """Two seeds; the error is 10 mm, and 20 mm with the other; the second row fails."""

    def measure(cell, data, curve):
        if cell.variant.options:
            raise RuntimeError("no memory")
        shift = np.where(np.arange(17)[:, np.newaxis] == 16, [17, 0, 0], 0.0)
        return data.test.reference_pose + 0.01 * (cell.seed + 1) * shift

    monkeypatch.setitem(methods.METHODS, "triangulation", measure)
    plan = tiny_experiments.experiments(tmp_path, *ROWS, seeds=(0, 1))
    plan.run(is_quiet=True)
    return results.gather(plan)


def test_mean_spread_and_number_of_seeds_are_told(gathered):
    fine, bad = gathered["tables"][0]["rows"]
    assert fine["overall"]["mpjpe_mm"] == pytest.approx(
        {"mean": 15.0, "spread": np.sqrt(50), "seeds": 2}, rel=1e-3
    )
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
    shown = [ROWS[0], rows.row("long", method="triangulation", is_quick=False)]
    plan = tiny_experiments.experiments(tmp_path, *shown)
    quick = dataclasses.replace(plan, profile=dataclasses.replace(plan.profile, is_quick=True))
    for profile, names, left_out in ((plan, ["fine", "long"], []), (quick, ["fine"], ["long"])):
        (table,) = results.gather(profile)["tables"]
        assert ([row["name"] for row in table["rows"]], table["left_out"]) == (names, left_out)


def test_the_spread_of_one_seed_is_unknown():
    one = results.spread([{"auc": 3.0}])
    assert one["auc"] == {"mean": 3.0, "spread": None, "seeds": 1}
    assert results.spread([]) == {}
