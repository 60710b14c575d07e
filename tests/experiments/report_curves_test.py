import numpy as np
from PIL import Image

from keras_mvlift.experiments import report
from tests.visualization import experiment_results


def lines(figure, panel):
    return {line.get_label(): line.get_xydata() for line in figure.axes[panel].lines}


def test_figures_are_written_as_png_and_svg_for_the_tables_that_have_some(tmp_path):
    drawn = report.write_curves(experiment_results.make(), tmp_path / "figures")
    assert set(drawn) == {"figure6", "cameras", "score_without_labels"}
    for name, svg in drawn.items():
        assert (tmp_path / "figures" / f"{name}.svg").read_text() == svg
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).min() < 100


def test_equal_results_give_equal_figures(tmp_path):
    first, second = (report.write_curves(experiment_results.make(), tmp_path) for _ in range(2))
    assert first == second


def test_pretraining_ends_at_epoch_zero_and_has_no_loss():
    figure = report.epochs(experiment_results.make()["tables"][1])
    np.testing.assert_allclose(lines(figure, 0)["with"], [[1, 30], [2, 15]])
    np.testing.assert_allclose(lines(figure, 1)["with"], [[0, 200], [1, 200], [2, 100]])


def test_axes_are_labeled_by_plain_numbers():
    figure = report.epochs(experiment_results.make()["tables"][1])
    figure.draw_without_rendering()
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            texts = [label.get_text() for label in axis.get_ticklabels()]
            assert any(texts)
            assert not any("$" in text for text in texts)


def test_a_sweep_is_drawn_over_the_numbers_of_its_rows():
    figure = report.sweep(experiment_results.make()["tables"][2])
    data = [line.get_xydata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert any(np.array_equal(points, [[2, 90], [4, 60]]) for points in data)
    assert figure.axes[0].get_ylim()[0] == 0


def test_nothing_is_drawn_of_rows_without_figures(tmp_path):
    results = experiment_results.make() | {"score_without_labels": []}
    for table in results["tables"]:
        for row in table["rows"]:
            row.update(cells=[], overall={})
    assert report.write_curves(results, tmp_path) == {}
