import pytest

from keras_mvlift.experiments import results


def cell(digest, error, score, test="a", **changes):
    overall = {"mpjpe_mm": error} | dict.fromkeys(results.SCORES, score)
    return {"digest": digest, "seed": 0, "test": test, "figures": {"overall": overall}} | changes


def table(*cells):
    return {"name": "t", "rows": [{"name": "r", "cells": list(cells)}]}


def test_correlations_golden():
    # Of (1, 2, 3, 4) and (1, 2, 4, 3): covariance 4, variances 5 and 5.
    cells = [cell(str(n), n + 1.0, score) for n, score in enumerate([1.0, 2.0, 4.0, 3.0])]
    (group,) = results.correlate([table(*cells)])
    for both in group["scores"].values():
        assert both == pytest.approx({"pearson": 0.8, "spearman": 0.8})
    assert set(group["scores"]) == set(results.SCORES)
    assert group["cells"][0]["row"] == "t: r"


def test_only_ranks_count_for_spearman():
    cells = [cell(str(n), 10.0**n, float(n)) for n in range(5)]
    (group,) = results.correlate([table(*cells)])
    both = group["scores"]["held_out_mean_px"]
    assert both["spearman"] == pytest.approx(1.0)
    assert both["pearson"] < 0.9


def test_a_cell_of_two_tables_counts_once_and_other_tests_apart():
    cells = [cell(str(n), n, n) for n in range(4)]
    others = [cell(f"b{n}", n, -n, test="b") for n in range(5)]
    few = [cell(f"c{n}", n, n, test="c") for n in range(3)]
    found = results.correlate([table(*cells, *others), table(*cells, *few)])
    assert [(group["test"], len(group["cells"])) for group in found] == [("b", 5), ("a", 4)]
    assert found[0]["scores"]["held_out_mean_mm"]["pearson"] == pytest.approx(-1.0)


def test_cells_without_a_score_are_left_out():
    cells = [cell(str(n), n, n) for n in range(4)]
    failed = cell("x", 9.0, 9.0, figures=None)
    unscored = cell("y", 9.0, 9.0, figures={"overall": {"mpjpe_mm": 9.0}})
    (group,) = results.correlate([table(failed, unscored, *cells)])
    assert len(group["cells"]) == 4


def test_equal_scores_have_no_correlation():
    (group,) = results.correlate([table(*(cell(str(n), n, 1.0) for n in range(4)))])
    assert group["scores"]["held_out_mean_px"] == {"pearson": None, "spearman": None}
