import html.parser
import json
import re

import numpy as np
from PIL import Image

from keras_mvlift import skeletons
from keras_mvlift.experiments import report
from tests.visualization import experiment_results

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>'


class Page(html.parser.HTMLParser):
    """Tells the elements, what they link to, and the JSON that scripts hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.data, self._is_data = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._is_data = tag == "script" and dict(attrs).get("type") == "application/json"
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        self._is_data = False

    def handle_data(self, data):
        if self._is_data:
            self.data.append(json.loads(data))


def page():
    return report.render(experiment_results.make(), {"cameras": SVG})


def test_the_page_needs_nothing_else():
    text = page()
    assert all(link.startswith("#") for link in Page(text).links)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    addresses = set(re.findall(r"https?://[^\"'\s<>]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_poses_and_skeleton_are_in_the_page():
    poses, skeleton = Page(page()).data
    assert [pose["name"] for pose in poses] == ["true", "ours"]
    assert poses[1]["joints"][16] == [160, -80, 16]
    assert len(skeleton["bones"]) == len(skeleton["sides"]) - 1 == 16
    assert skeleton["sides"][skeletons.H36M_17.joints.index("right_knee")] == "right"
    assert [0, skeletons.H36M_17.joints.index("left_hip")] in skeleton["bones"]
    assert Page(page()).tags.count("canvas") == 2


def test_the_true_pose_comes_first_wherever_it_stands():
    results = experiment_results.make()
    case = results["tables"][2]["cases"][0]
    case["poses"] = dict(reversed(case["poses"].items()))
    poses = Page(report.render(results, {})).data[0]
    assert [pose["name"] for pose in poses] == ["true", "ours"]


def test_what_files_are_named_is_text_and_no_markup():
    text = page()
    assert "&lt;/script&gt;&lt;b&gt;" in text
    assert "Mind &lt;this&gt;." in text
    assert "b" not in Page(text).tags


def test_a_pose_that_holds_markup_cannot_end_its_script():
    results = experiment_results.make()
    case = results["tables"][2]["cases"][0]
    case["poses"]["</script><i>"] = case["poses"].pop("ours")
    parsed = Page(report.render(results, {}))
    assert parsed.data[0][1]["name"] == "</script><i>"
    assert "i" not in parsed.tags


def test_figures_published_tables_and_errors_are_shown():
    text = page()
    assert '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>' in text
    assert 'class="published ' in text
    assert "other, seed 0: the loss must be finite" in text


def test_the_best_of_each_figure_is_bold_and_cases_are_linked():
    text = page()
    for heading, value in (("MPJPE, mm", "60.0"), ("AUC", "36.0")):
        assert f'data-label="{heading}"><strong>{value}</strong>' in text
    assert text.count("<strong>") == 5
    assert '<a href="#cameras-case-1">Best of 9 views for ours</a>' in text
    assert '<h3 id="cameras-case-1">' in text


def lines(figure, panel):
    return {line.get_label(): line.get_xydata() for line in figure.axes[panel].lines}


def test_figures_are_written_as_png_and_svg_for_the_tables_that_have_some(tmp_path):
    drawn = report.write_curves(experiment_results.make(), tmp_path / "figures")
    assert set(drawn) == {"figure6"}
    # A page wants no XML declaration and no document type.
    assert drawn["figure6"].startswith("<svg")
    for name, svg in drawn.items():
        assert (tmp_path / "figures" / f"{name}.svg").read_text() == svg
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).min() < 100


def test_pretraining_ends_at_epoch_zero_and_has_no_loss():
    figure = report.epochs(experiment_results.make()["tables"][1])
    np.testing.assert_allclose(lines(figure, 0)["with"], [[1, 30], [2, 15]])
    np.testing.assert_allclose(lines(figure, 1)["with"], [[0, 200], [1, 200], [2, 100]])


def test_of_many_rows_that_were_not_run_some_are_named():
    table = {"note": "", "left_out": [f"row {number}, plain" for number in range(8)]}
    (note,) = report.notes(table)
    assert "row 5, plain; and 2 more, which `--list` names." in note
    (note,) = report.notes(table | {"left_out": table["left_out"][:6]})
    assert note.endswith("row 5, plain.")


def test_nothing_is_drawn_of_rows_without_figures(tmp_path):
    results = experiment_results.make()
    for table in results["tables"]:
        for row in table["rows"]:
            row.update(cells=[], overall={})
    assert report.write_curves(results, tmp_path) == {}


GOLDEN = """\
# Experiments

- Data: motions of walks.npz; 12 clips, 3 test people.
- Filmed, where a table says nothing else: rig ring, noise px 5.0.
- Profile tiny: width 8, 6 steps of 16 pairs; seeds 0, 1.
- A cell is the mean over seeds ± their standard deviation (number of seeds) and, \
where there are several test people, [± the standard deviation over them].

## Table 1

Mind <this>.

Further rows, not run here: long one; long two.

**Measured here: Protocol 1, MPJPE, mm**

|  | walking | mean over actions | mean over frames |
| --- | ---: | ---: | ---: |
| ours | 50.0 ± 0.5 (3) | 60.0 ± 1.2 (3) | 60.0 ± 1.2 (3) |
| other | 1 diverged | 1 diverged | 1 diverged |
| not run | - | - | - |

**Measured here: Protocol 2, P-MPJPE, mm**

|  | walking | mean over actions | mean over frames |
| --- | ---: | ---: | ---: |
| ours | 25.0 ± 0.5 (3) | 30.0 ± 1.2 (3) | 30.0 ± 1.2 (3) |
| other | 1 diverged | 1 diverged | 1 diverged |
| not run | - | - | - |

**As published: Human3.6M**

|  | Walk |
| --- | ---: |
| ours | 43.8 |
| b | - |
"""


def test_markdown_golden():
    results = experiment_results.make()
    results["tables"] = results["tables"][:1]
    assert report.markdown(results) == GOLDEN


def test_a_score_without_labels_stands_beside_the_errors():
    table = experiment_results.make()["tables"][2]
    score = {"mean": 12.34, "spread": None, "seeds": 1}
    table["rows"][0]["overall"]["held_out_mean_px"] = score
    (grid,) = report.grids(table)
    column = grid.headings.index("held-out views, mean px")
    assert [row[column] for row in grid.rows] == ["12.3 (1)", "-"]


def test_a_table_without_actions_has_all_figures_and_a_seed_alone_no_spread():
    (grid,) = report.grids(experiment_results.make()["tables"][2])
    assert grid.headings[1:4] == ["MPJPE, mm", "N-MPJPE, mm", "P-MPJPE, mm"]
    figures = ["90.0 (1)", "81.0 (1)", "45.0 (1)", "72.0 (1)", "36.0 (1)"]
    assert grid.rows[0] == ["2", *figures, "-", "-"]
    assert grid.rows[1][1] == "60.0 ± 2.0 (2)"


def test_a_mean_over_some_seeds_says_what_became_of_the_others():
    table = experiment_results.make()["tables"][2]
    table["rows"][0]["cells"] += [{"status": "failed"}, {"status": "failed"}]
    (grid,) = report.grids(table)
    assert grid.rows[0][1] == "90.0 (1), 2 failed"


def test_what_is_published_is_never_in_a_grid_of_what_was_measured():
    grids = list(report.grids(experiment_results.make()["tables"][0]))
    assert [grid.is_published for grid in grids] == [False, False, True]
    measured = [value for grid in grids[:2] for row in grid.rows for value in row]
    assert not any("43.8" in value for value in measured)


def test_the_spread_over_people_stands_in_brackets_where_it_is_known():
    table = experiment_results.make()["tables"][2]
    overall = [row["overall"]["mpjpe_mm"] for row in table["rows"]]
    overall[0] |= {"people": 5, "people_spread": 7.25}
    overall[1] |= {"people": 1, "people_spread": None}
    (grid,) = report.grids(table)
    assert [row[1] for row in grid.rows] == ["90.0 (1) [± 7.2]", "60.0 ± 2.0 (2)"]


def test_another_precision_is_named():
    results = experiment_results.make()
    assert " in " not in report.data_lines(results)[2]
    results["budget"]["precision"] = "mixed_bfloat16"
    line = report.data_lines(results)[2]
    assert line == ("Profile tiny: width 8, 6 steps of 16 pairs in mixed_bfloat16; seeds 0, 1.")
