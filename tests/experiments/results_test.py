import json

import numpy as np
import pytest

from keras_mvlift.experiments import methods, results, tables
from tests.experiments import tiny_experiments

ROWS = [
    tables.row("fine", method="triangulation"),
    tables.row("bad", method="triangulation", options=(("mark", 1),)),
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
    rows = results.gather(plan)["tables"][0]["rows"]
    assert [(row["cells"], row["overall"]) for row in rows] == [([], {})] * 2


def test_the_spread_of_one_seed_is_unknown():
    one = results.spread([dict.fromkeys(results.summary.NAMES, 3.0)])
    assert one["auc"] == {"mean": 3.0, "spread": None, "seeds": 1}
    assert results.spread([]) == {}
