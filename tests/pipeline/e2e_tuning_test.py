"""Runs the pipeline as if nothing true were known: tuned, stopped and blessed without labels."""

import json

import jsonschema
import pytest

from tests.pipeline import studio_runs

pytestmark = pytest.mark.e2e

SCHEMA = json.loads((studio_runs.ROOT / "docs" / "results.schema.json").read_text())
CHANGES = {
    "finetune": {"num_epochs": 3, "decay_every": 0, "batch_size": 32, "patience": 1},
    "tune": {"num_trials": 2, "num_epochs": 1},
    "worsening": {},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run twice, with a bound that is kept and with one that is missed."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "home").mkdir()
    workshop = studio_runs.Workshop(folder)
    arguments = []
    for name, bound in (("kept", 1e6), ("missed", 1e-3)):
        bounds = {"held_out_median_mm": bound}
        path = workshop.settings(f"{name}.json", **CHANGES, bounds=bounds)
        arguments.append([f"--settings={path}", "--output_root=out"])
    return workshop, *workshop.run_in_turn(*arguments)


def test_a_search_runs_quietly_before_finetuning(runs):
    _, first, _ = runs
    assert first.other_lines == []
    order = [*first.components]
    assert order.index("Tuner") < order.index("Trainer.Finetune")
    for trial in ("Trial 1/2", "Trial 2/2", "Finetune"):
        assert any(line.startswith(f"  {trial} ") for line in first.lines)
    assert "Tuned" in first.stdout


def test_a_bound_without_labels_blesses_and_pushes(runs):
    workshop, first, _ = runs
    assert first.status == 0
    assert "held_out_median_mm" in first.stdout
    assert len([*(workshop.home("out") / "serving" / "mvlift").iterdir()]) == 1


def test_a_missed_bound_without_labels_is_reported_and_nothing_is_pushed(runs):
    workshop, _, second = runs
    results = workshop.results("out")
    jsonschema.validate(results, SCHEMA)
    score = results["held_out"]["median_mm"]
    assert second.status == 1
    assert (results["blessed"], results["model"]) == (False, None)
    assert results["reasons"] == [f"held_out_median_mm {score:.3g} is not at most 0.001."]
    assert set(results["tuned"]) == {"transform_weight", "learning_rate"}


def test_a_search_is_answered_from_the_cache(runs):
    _, _, second = runs
    for name in ("Tuner", "Trainer.Finetune", "HeldOutViews"):
        assert second.components[name] == "cached"
    assert second.components["Evaluator"] != "cached"
