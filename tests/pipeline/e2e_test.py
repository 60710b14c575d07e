"""Runs the whole pipeline through the real command line, on a studio of two people."""

import functools
import json
import os
import pathlib
import re
import shutil
import signal

import jsonschema
import pytest

from benchmarks import pipeline_overhead
from keras_mvlift.training import stages
from keras_mvlift.visualization import tables
from tests import tiny_studio
from tests.datasets import recordings
from tests.pipeline import studio_runs

pytestmark = pytest.mark.e2e

SCHEMA = json.loads((studio_runs.ROOT / "docs" / "results.schema.json").read_text())
COMPONENTS = [
    "RecordingExampleGen",
    *("Schema.Pairs", "Schema.TestViews", "StatisticsGen.Pairs", "StatisticsGen.TestViews"),
    *("ExampleValidator.Pairs", "ExampleValidator.TestViews"),
    *("DataGate.Pairs", "DataGate.TestViews", "Trainer.Pretrain", "Trainer.Finetune"),
    *("HeldOutViews", "LastBlessedModel", "Evaluator", "Pusher", "Baselines", "Report"),
    "BlessingGate",
]
# As if nothing true were known: tuned, stopped and blessed without labels.
LABEL_FREE = {
    "finetune": {"num_epochs": 3, "decay_every": 0, "batch_size": 32, "patience": 1},
    "tune": {"num_trials": 2, "num_epochs": 1},
    "worsening": {},
}
# Epochs of fine-tuning after which runs are stopped.
INTERRUPTED_AFTER, KILLED_AFTER = 1, 3
RECORDING = {
    "name": "recording",
    "rival": "",
    "data": {
        "source_options": {"reference": "opensim/reference.trc"},
        "split_options": {"num_blocks": 1, "block_length": 2, "gap": 0},
        "num_virtual_views": 0,
    },
}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my work") / "mv lift"
    (folder / "home").mkdir(parents=True)
    return studio_runs.Workshop(folder)


@pytest.fixture(scope="module")
def settings(workshop):
    return workshop.settings("tiny.json")


@pytest.fixture(scope="module")
def first(workshop, settings):
    run = studio_runs.ended(workshop.run_create(settings=settings, output_root="out"))
    assert run.status == 0, run.stderr
    return run, workshop.results("out")


def stop_after(num_epochs, number):
    """Has this process, and those it started, get a signal once so many epochs are saved."""
    save = stages.EpochCheckpoints.on_epoch_end

    def save_and_stop(callback, epoch, logs=None):
        save(callback, epoch, logs)
        if callback.folder.name.startswith("finetune") and epoch + 1 == num_epochs:
            os.killpg(0, number)

    stages.EpochCheckpoints.on_epoch_end = save_and_stop


@pytest.fixture(scope="module")
def stopped(workshop, settings):
    """A run that was interrupted in fine-tuning, and the next one, which was killed there."""
    arguments = [f"--settings={settings}", "--output_root=killed"]
    stops = (INTERRUPTED_AFTER, signal.SIGINT), (KILLED_AFTER, signal.SIGKILL)
    return [
        workshop.run_in_turn(arguments, prepare=functools.partial(stop_after, *stop))[0]
        for stop in stops
    ]


@pytest.fixture(scope="module")
def in_turn(first, stopped, workshop, settings):
    """Runs in one process, by name; the first two go on from what other processes did."""
    large = workshop.settings("large_batch.json", finetune={"batch_size": 100_000})
    # Less trained than the blessed model, and asked to be better.
    short = {"num_epochs": 1, "decay_every": 0, "batch_size": 32}
    strict = workshop.settings(
        "strict.json", finetune=short, bounds={"mpjpe_mm": 1.0}, worsening={"mpjpe_mm": -0.5}
    )
    (workshop.folder / "recording.json").write_text(json.dumps(RECORDING))
    recordings.write(workshop.folder / "whole", num_views=3, num_frames=6)
    for name in ("broken", "blind"):
        shutil.copytree(workshop.folder / "whole", workshop.folder / name)
    reference = workshop.folder / "broken" / "opensim" / "reference.trc"
    reference.write_text(reference.read_text().replace("\tm\t", "\tft\t"))
    for path in (workshop.folder / "blind" / "pose" / "cam2_json").iterdir():
        path.write_text(blinded(path.read_text()))
    runs = {
        "second": [f"--settings={settings}", "--output_root=out"],
        "resumed": [f"--settings={settings}", "--output_root=killed"],
        "large_batch": [f"--settings={large}", "--output_root=out"],
        "mended": [f"--settings={settings}", "--output_root=out"],
        "strict": [f"--settings={strict}", "--output_root=out"],
    }
    for name in ("broken", "blind"):
        runs[name] = [f"--data_root={name}", "--settings=recording.json", f"--output_root={name}"]
    for name, bound in (("kept", 1e6), ("missed", 1e-3)):
        bounds = {"held_out_median_mm": bound}
        path = workshop.settings(f"{name}.json", **LABEL_FREE, bounds=bounds)
        runs[name] = [f"--settings={path}", "--output_root=killed"]
    return dict(zip(runs, workshop.run_in_turn(*runs.values()), strict=True))


def blinded(text):
    frame = json.loads(text)
    for person in frame["people"]:
        person["pose_keypoints_2d"][2::3] = [0.001] * (len(person["pose_keypoints_2d"]) // 3)
    return json.dumps(frame)


def log_of(stdout):
    return stdout.splitlines()[-1].split()[-1]


def test_a_run_shows_its_components_and_nothing_else(first):
    run, _ = first
    assert sorted(run.components) == sorted(COMPONENTS)
    assert "cached" not in run.components.values()
    assert run.other_lines == []


def test_a_run_prints_its_results(first):
    run, results = first
    announced, log = f"Running the pipeline. Full log: {results['log']}", results["log"]
    created = "Creating a run for pipeline: tiny"
    assert run.stdout == "\n".join(
        ["CLI", announced, created, tables.rendered(tables.parts(results))]
    )
    assert log.startswith("out/tiny/logs/")


def test_results_keep_the_documented_schema(first, workshop):
    _, results = first
    jsonschema.validate(results, SCHEMA)
    assert results["blessed"]
    assert results["data"]["clips"] == [
        f"{subject}_{action}_01" for subject in ("S01", "S02") for action in ("turning", "walking")
    ]
    for key in ("results", "picture", "log"):
        assert (workshop.folder / results[key]).is_file()


def test_the_full_log_is_in_the_file_and_tells_the_times(first, workshop):
    log = (workshop.folder / first[1]["log"]).read_text()
    assert "Component Trainer.Finetune is finished." in log
    assert not [word for word in ("Traceback", "sdist") if word in log]  # nor is TFX packed
    timed = {part.name: part for part in pipeline_overhead.components(log) if part.executed}
    assert {*timed} == {*COMPONENTS} - {"LastBlessedModel"}
    assert all(0 <= part.own_seconds < part.seconds for part in timed.values())
    assert timed["Trainer.Finetune"].own_seconds > 0


def test_the_pushed_model_needs_nothing_of_ours(first, workshop):
    model = workshop.folder / first[1]["model"]
    served = workshop.serve(model)
    assert model.parent == workshop.home("out") / "serving" / "mvlift"
    assert served.status == 0, served.stderr
    shapes = "('pose_camera', 3, 17, 3) ('root_position', 3, 3) ('root_relative_pose', 3, 17, 3)"
    assert served.stdout.strip() == shapes


def test_a_second_run_is_answered_from_the_cache_and_shows_its_results(first, in_turn, workshop):
    second = in_turn["second"]
    cached = {name for name, how in second.components.items() if how == "cached"}
    # Which model is compared with is looked up each time.
    assert cached == {*COMPONENTS} - {"LastBlessedModel"}
    assert second.status == 0
    assert second.other_lines == []
    _, results = first
    again = results | {"log": second.stdout.splitlines()[0].split()[-1]}
    assert second.stdout.endswith(tables.rendered(tables.parts(again)))
    assert len(list((workshop.home("out") / "serving" / "mvlift").iterdir())) == 1


def test_a_killed_run_goes_on_where_it_was(stopped, in_turn, workshop):
    (interrupted, killed), run = stopped, in_turn["resumed"]
    assert interrupted.status == 130
    assert interrupted.other_lines == ["Stopped. The same command goes on from what was done."]
    done = {name for name, how in run.components.items() if how == "cached"}
    assert killed.status == -9
    assert set(killed.components) == done
    assert "Trainer.Pretrain" in done
    assert run.status == 0
    assert run.other_lines == []
    histories = workshop.home("killed").glob("artifacts/Trainer.Finetune/*/*/history.csv")
    # Others trained there later.
    history = min(histories, key=lambda path: int(path.parent.name))
    epochs = [line.split(",")[0] for line in history.read_text().splitlines()[1:]]
    assert epochs == [str(epoch) for epoch in range(studio_runs.NUM_EPOCHS)]
    # What was done before was not done again.
    log = (workshop.folder / log_of(run.stdout)).read_text()
    assert re.findall(r"Training begins after epoch (\d+)\.", log) == [str(KILLED_AFTER)]


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(first, in_turn, workshop):
    pushed = first[1], in_turn["resumed"].results
    assert tiny_studio.same(*map(workshop.weights, pushed))
    assert not any((workshop.home("killed") / "checkpoints").iterdir())


def test_a_failed_component_is_told_in_a_sentence(in_turn):
    run = in_turn["large_batch"]
    assert run.status == 1
    failed, more = run.other_lines
    assert failed.startswith("The run failed: Finetune: `batch_size` must be at most the number of")
    assert more == f"The log says more: {log_of(run.stdout)}"
    assert set(run.components) == {*COMPONENTS[: COMPONENTS.index("Trainer.Finetune")]} | {
        "Baselines"
    }


def test_a_mended_run_goes_on_from_what_was_done(in_turn):
    run = in_turn["mended"]
    assert run.status == 0
    assert {name for name, how in run.components.items() if how != "cached"} == {"LastBlessedModel"}


def test_a_model_that_misses_its_bounds_is_reported_and_not_pushed(in_turn, workshop):
    run, results = in_turn["strict"], in_turn["strict"].results
    jsonschema.validate(results, SCHEMA)
    assert run.status == 1
    assert run.components["Trainer.Pretrain"] == "cached"
    assert "BlessingGate" not in run.components
    assert (results["blessed"], results["model"]) == (False, None)
    missed, fell_behind = sorted(results["reasons"])
    assert missed.endswith(" is not at most 1.")
    assert fell_behind.endswith(" from the baseline; allowed: -50%.")
    assert run.stdout.endswith(tables.rendered(tables.parts(results)))
    assert len(list((workshop.home("out") / "serving" / "mvlift").iterdir())) == 1


def test_a_broken_file_is_named(in_turn):
    run = in_turn["broken"]
    assert run.status == 1
    assert run.components == {}
    failed, _ = run.other_lines
    assert "broken/opensim/reference.trc: `Units` must be one of m, cm, mm, " in failed
    assert failed.endswith("Received: ft.")


def test_anomalies_stop_the_run_before_training(in_turn, workshop):
    run = in_turn["blind"]
    assert run.status == 1
    failed, _ = run.other_lines
    assert "The data must fit the schema. Received: train: camera_confidence: " in failed
    assert "Unexpectedly low values: 0.001<0.01" in failed
    assert not [name for name in run.components if name.startswith("Trainer")]
    assert not (workshop.folder / "blind" / "recording" / "results.json").exists()


def test_the_stock_command_registers_the_pipeline(workshop):
    # A copy, so that it writes below its own folder.
    (workshop.folder / "pipeline").mkdir()
    shutil.copy(studio_runs.LOCAL, workshop.folder / "pipeline")
    path = "--pipeline_path=pipeline/local.py"
    run = studio_runs.ended(workshop.tfx("pipeline", "create", "--engine=local", path))
    assert run.status == 0, run.stderr
    assert 'Pipeline "mvlift" created successfully.' in run.stdout
    registered = json.loads((workshop.folder / "home/mvlift/pipeline_args.json").read_text())
    assert registered["pipeline_root"] == str(workshop.folder / "output/mvlift/artifacts")


def test_a_search_runs_quietly_before_finetuning(in_turn):
    run = in_turn["kept"]
    assert run.other_lines == []
    order = [*run.components]
    assert order.index("Tuner") < order.index("Trainer.Finetune")
    assert "Tuned" in run.stdout


def test_a_bound_without_labels_blesses_and_pushes(in_turn, workshop):
    assert in_turn["kept"].status == 0
    assert "held_out_median_mm" in in_turn["kept"].stdout
    pushed = {pathlib.Path(in_turn[name].results["model"]) for name in ("resumed", "kept")}
    serving = workshop.home("killed") / "serving" / "mvlift"
    assert {path.name for path in serving.iterdir()} == {path.name for path in pushed}
    assert len(pushed) == 2


def test_a_missed_bound_without_labels_is_reported_and_nothing_is_pushed(in_turn):
    results = in_turn["missed"].results
    jsonschema.validate(results, SCHEMA)
    score = results["held_out"]["median_mm"]
    assert in_turn["missed"].status == 1
    assert (results["blessed"], results["model"]) == (False, None)
    assert results["reasons"] == [f"held_out_median_mm {score:.3g} is not at most 0.001."]
    assert set(results["tuned"]) == {"transform_weight", "learning_rate"}


def test_a_search_is_answered_from_the_cache(in_turn):
    run = in_turn["missed"]
    for name in ("Tuner", "Trainer.Finetune", "HeldOutViews"):
        assert run.components[name] == "cached"
    assert run.components["Evaluator"] != "cached"
