from keras_mvlift.experiments import report
from tests.visualization import experiment_results

GOLDEN = """\
# Experiments

- Data: motions of walks.npz; 12 clips, 3 test people.
- Filmed, where a table says nothing else: rig ring, noise px 5.0.
- Profile tiny: width 8, 6 steps of 16 pairs; seeds 0, 1.
- A cell is the mean over seeds ± their standard deviation (number of seeds) and, \
where there are several test people, [± the standard deviation over them].

## Table 1

Mind <this>.

Further rows, not run here: long one, long two.

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

## Score without labels: errors in held-out views against MPJPE
"""
GOLDEN_SCORES = """
**Test set 1: 4 cells**

| error in held-out views | Pearson | Spearman |
| --- | ---: | ---: |
| mean, px | 0.988 | - |
| median, px | 0.988 | - |
| mean, mm | 0.988 | - |
| median, mm | 0.988 | - |
"""


def test_markdown_golden():
    results = experiment_results.make()
    results["tables"] = results["tables"][:1]
    note = f"\n{report.SCORE_NOTE}\n"
    assert report.markdown(results) == GOLDEN + note + GOLDEN_SCORES


def test_without_scores_there_is_no_section_about_them():
    results = experiment_results.make() | {"score_without_labels": []}
    assert "Score without labels" not in report.markdown(results)


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
