import pytest

from benchmarks import score_without_labels, scored_runs
from keras_mvlift.metrics import held_out_views


def row(score, error):
    scores = {
        f"{way}/{name}": score for way in scored_runs.WAYS for name in held_out_views.SCORE_NAMES
    }
    return scores | dict.fromkeys(scored_runs.ERRORS, error)


def test_correlations_by_hand():
    # The order agrees. With means 2 and 16 / 3, Pearson's is 8 / sqrt(2 * 34.667).
    rows = [row(1.0, 2.0), row(2.0, 4.0), row(3.0, 10.0)]
    pearson, spearman = score_without_labels.correlations(rows)["solved/mean_px", "mpjpe_mm"]
    assert spearman == pytest.approx(1.0)
    assert pearson == pytest.approx(8.0 / (2 * 34.6666667) ** 0.5)
