from keras_mvlift.visualization import experiment_tables
from tests.visualization import experiment_results

GOLDEN = """\
# Experiments

- Data: motions of walks.npz; 12 clips, 3 test people.
- Filmed, where a table says nothing else: rig ring, noise px 5.0.
- Profile tiny: width 8, 6 steps of 16 pairs; seeds 0, 1.
- A cell is the mean over seeds ± their standard deviation (number of seeds).

## Table 1

Mind <this>.

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
    assert experiment_tables.markdown(results) == GOLDEN


def test_a_table_without_actions_has_five_figures_and_a_seed_alone_no_spread():
    (grid,) = experiment_tables.grids(experiment_results.make()["tables"][2])
    assert grid.headings == ["", "MPJPE, mm", "N-MPJPE, mm", "P-MPJPE, mm", "PCK at 150 mm", "AUC"]
    assert grid.rows[0] == ["2", "90.0 (1)", "81.0 (1)", "45.0 (1)", "72.0 (1)", "36.0 (1)"]
    assert grid.rows[1][1] == "60.0 ± 2.0 (2)"


def test_a_mean_over_some_seeds_says_what_became_of_the_others():
    table = experiment_results.make()["tables"][2]
    table["rows"][0]["cells"] += [{"status": "failed"}, {"status": "failed"}]
    (grid,) = experiment_tables.grids(table)
    assert grid.rows[0][1] == "90.0 (1), 2 failed"


def test_what_is_published_is_never_in_a_grid_of_what_was_measured():
    grids = list(experiment_tables.grids(experiment_results.make()["tables"][0]))
    assert [grid.is_published for grid in grids] == [False, False, True]
    measured = [value for grid in grids[:2] for row in grid.rows for value in row]
    assert not any("43.8" in value for value in measured)
