import json
import re

import numpy as np
import pytest

from keras_mvlift.cli import experiments, main
from keras_mvlift.experiments import profiles, runs, tables
from tests.experiments import tiny_experiments
from tests.visualization import experiment_results


@pytest.fixture
def tiny(monkeypatch):
    """Puts the tiny profile and one table of two rows in place of the quick ones."""
    monkeypatch.setitem(profiles.PROFILES, "quick", tiny_experiments.PROFILE)
    monkeypatch.setattr(tables, "TABLES", {"small": tiny_experiments.SMALL})


def test_rows_are_chosen_by_name_added_to_what_is_there_and_written_to_all_outputs(
    tiny, tmp_path, capsys
):
    out = tmp_path / "out"
    for chosen, count in (
        (["--rows", "triangulation"], 1),
        (["--rows", "solved root"], 2),
        ([], 2),
    ):
        assert main.main(["experiments", "--output", str(out), *chosen]) == 0
        assert capsys.readouterr() == (f"{out / 'report.html'}: {count} cells done\n", "")
    results = json.loads((out / "results.json").read_text())
    (table,) = results["tables"]
    assert [row["name"] for row in table["rows"]] == ["solved root", "triangulation"]
    assert [row["overall"]["mpjpe_mm"]["seeds"] for row in table["rows"]] == [1, 1]
    assert [case["view"]["clip"][:3] for case in table["cases"]] == ["S03"] * 3
    ours = next(row for row in table["rows"] if row["name"] == "triangulation")
    value = ours["overall"]["mpjpe_mm"]["mean"]
    assert f"{value:.1f} (1)" in (out / "tables.md").read_text()
    page = (out / "report.html").read_text()
    assert re.search(rf">{value:.1f}(</strong>)? <small>\(1\)</small>", page)
    assert {path.name for path in (out / "figures").iterdir()} == {"small.png", "small.svg"}


def test_published_rows_stay_in_the_papers_order(tmp_path):
    rows = {"Trans Reproj": [59.0], "ADV": [106.6]}
    measured = experiment_results.make()
    measured["tables"][0]["published"][0]["rows"] = rows
    experiments.write(measured, tmp_path)
    for name in ("results.json", "tables.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert text.index("Trans Reproj") < text.index("ADV")


def test_an_interrupt_is_a_sentence(tiny, tmp_path, monkeypatch, capsys):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs.Experiments, "run", interrupt)
    status = main.main(["experiments", "--output", str(tmp_path)])
    assert status == experiments._INTERRUPTED
    assert capsys.readouterr().err == "Interrupted; 2 cells are left. Run it again to go on.\n"


def test_tables_and_rows_are_listed_without_running_any(capsys, tmp_path):
    assert main.main(["experiments", "--list", "--output", str(tmp_path / "out")]) == 0
    listed = capsys.readouterr().out
    for table in tables.TABLES.values():
        assert f"{table.name}: {table.title}\n" in listed
    assert "    Trans Reproj+DA\n" in listed
    assert "    pseudo labels, robust\n" in listed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "table9"], ["`only` must name some of table1, "]),
        (["--motions", "none.npz"], ["none.npz"]),
        (
            ["--rows", "papr"],
            ["names that --list shows of the tables chosen; nearest are", "'paper'", ": 'papr'"],
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(refused, tmp_path, arguments, said):
    error = refused(said[0], "experiments", *arguments, "--output", tmp_path)
    assert all(part in error for part in said)


def test_what_fails_the_cells_is_told_and_ends_with_status_1(tiny, tmp_path, capsys):
    np.savez(tmp_path / "flat.npz", **{f"{who}_walk_1": np.zeros((20, 3)) for who in "AB"})
    arguments = ["experiments", "--motions", str(tmp_path / "flat.npz")]
    assert main.main([*arguments, "--output", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert printed.out.endswith("report.html: 2 cells failed\n")
    assert printed.err.startswith("keras-mvlift experiments: solved root: RecordingError: ")
    assert "must have shape [any, 17, 3]" in printed.err
    assert printed.err.count("\n") == 1


def test_steps_width_and_precision_make_other_cells(tiny, tmp_path, capsys):
    out = ["experiments", "--rows", "solved root", "--output", str(tmp_path)]
    assert main.main([*out, "--steps", "3", "--width", "4", "--precision", "mixed_bfloat16"]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    chosen = {"num_epochs": 1, "steps_per_epoch": 3, "width": 4, "precision": "mixed_bfloat16"}
    assert chosen.items() <= results["budget"].items()
    (cell,) = results["tables"][0]["rows"][0]["cells"]
    assert (cell["status"], len(cell["curve"])) == ("done", 1)
