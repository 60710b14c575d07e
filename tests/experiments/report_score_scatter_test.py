import numpy as np

from keras_mvlift.experiments import report
from tests.visualization import experiment_results


def test_every_cell_is_a_point_of_each_panel():
    groups = experiment_results.make()["score_without_labels"]
    figure = report.draw_scores(groups)
    for panel in figure.axes:
        (points,) = panel.collections
        expected = [[50, 4], [100, 8], [150, 12], [200, 16]]
        np.testing.assert_allclose(np.asarray(points.get_offsets()), expected)


def test_test_sets_have_colors_and_numbers_of_cells_of_their_own():
    (group,) = experiment_results.make()["score_without_labels"]
    few = group | {"cells": group["cells"][:2]}
    few["scores"] = {name: {"pearson": 1.0, "spearman": 0.5} for name in group["scores"]}
    panel = report.draw_scores([group, few]).axes[0]
    colors = {tuple(points.get_facecolor()[0]) for points in panel.collections}
    assert len(colors) == 2
    texts = [text.get_text() for text in panel.get_legend().get_texts()]
    assert texts == ["4 cells, Spearman unknown", "2 cells, Spearman 0.50"]


def test_axes_are_labeled_by_plain_numbers():
    figure = report.draw_scores(experiment_results.make()["score_without_labels"])
    figure.draw_without_rendering()
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            texts = [label.get_text() for label in axis.get_ticklabels(which="both")]
            assert any(texts)
            assert not any("$" in text for text in texts)
