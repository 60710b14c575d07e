"""Drops recordings into a watched folder: two days, a broken one, and one that is not there yet."""

import json
import sys

import jsonschema
import pytest

from components.example_gen import executor
from keras_mvlift.training import lifters
from pipeline import local, watch
from tests.pipeline import e2e_test, span_recordings, studio_runs

pytestmark = pytest.mark.e2e


def follow(folder, options):
    """Drops the recordings of each day, and has the pipeline follow, here and not in processes."""
    watched = folder / "in"
    for name in ("first", "then"):
        for recording in (folder / name).iterdir():
            recording.rename(watched / recording.name)
        arguments = [str(watched), "--once", "--settle_seconds=0", *options]
        sys.stdout.write(f"status {watch.main(arguments, local.outcome)}\n")


class Followed:
    """What lies there after the second day."""

    def __init__(self, folder, run):
        self.run, self.watched = run, folder / "in"
        self.home = folder / "out" / span_recordings.SETTINGS["name"]
        self.ledger = watch.Ledger(self.watched / watch.SPANS)
        self.results = json.loads((self.home / "results.json").read_text())
        model = folder / self.results["model"]
        self.description = json.loads((model / lifters.FOLDER / lifters.DESCRIPTION).read_text())


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("continuous")
    for name in ("home", "in", "first", "then"):
        (folder / name).mkdir()
    one, two = span_recordings.film(folder, 2)
    span_recordings.less_sure(two, 0.6)
    one.rename(folder / "first" / "monday")
    broken = folder / "then" / "broken"
    broken.mkdir()
    (broken / "rig.yaml").write_text("version: 1\ncameras: [")
    two.rename(folder / "then" / "tuesday")
    (folder / "then" / "wednesday.partial").mkdir()
    (folder / "then" / "wednesday.partial" / "rig.yaml").write_text("version: 1\n")
    settings = folder / "settings.json"
    settings.write_text(json.dumps(span_recordings.SETTINGS))
    options = [f"--settings={settings}", f"--output_root={folder / 'out'}"]
    run = studio_runs.Workshop(folder).fork(follow, folder, options)
    assert run.status == 0, run.stderr
    assert run.stdout.count("status 0") == 2, run.stdout + run.stderr
    return Followed(folder, run)


def test_each_recording_is_a_span_and_a_broken_one_stops_none(followed):
    entries = {entry.recording: entry for entry in followed.ledger.entries}
    assert {name: entry.state for name, entry in entries.items()} == {
        "monday": local.DONE,
        "broken": local.REFUSED,
        "tuesday": local.DONE,
    }
    assert entries["monday"].span == 1
    assert [path.name for path in followed.watched.iterdir() if path.name != watch.SPANS] == [
        "wednesday.partial"
    ]
    listed = json.loads((followed.watched / watch.SPANS / "dead_letters.json").read_text())
    (lost,) = listed["clips"]
    assert lost["clip"] == "broken"
    assert "rig.yaml" in lost["reason"]


def test_a_span_is_prepared_once_and_trained_on_as_long_as_it_is_in_the_window(followed):
    last = followed.ledger.entries[-1].span
    numbers = [1, max(e.span for e in followed.ledger.entries if e.recording == "tuesday")]
    assert numbers[1] in (last, last - 1)
    written = sorted((followed.home / "artifacts" / "RecordingExampleGen" / "examples").iterdir())
    datasets = [executor.read_dataset(str(path)) for path in written]
    assert sorted(dataset["span"] for dataset in datasets) == numbers
    assert followed.results["data"]["spans"] == followed.description["spans"] == numbers
    both = sum(dataset["counts"]["train_pairs"] for dataset in datasets)
    assert followed.results["data"]["train_pairs"] == both
    tested = sum(dataset["counts"]["test_views"] for dataset in datasets)
    assert followed.results["overall"]["num_examples"] == tested


def test_training_went_on_from_the_model_of_the_first_span(followed):
    start = followed.description["warm_start"]
    former = followed.home / "artifacts" / start["model"] / "Format-Serving"
    about = json.loads((former / lifters.FOLDER / lifters.DESCRIPTION).read_text())
    assert start["spans"] == about["spans"] == [1]
    assert about["warm_start"]["model"] is None
    assert followed.description["pretrain"]["num_epochs"] == 0
    assert followed.results["warm_start"] == start
    assert len([*(followed.home / "serving" / "mvlift").iterdir()]) == 2


def test_a_detector_that_is_less_sure_is_flagged_on_the_console_and_in_the_results(followed):
    drift = followed.results["drift"]
    assert drift["compared_with"] == 1
    assert drift["flagged"] == ["source/confidence", "target/confidence"]
    jsonschema.validate(followed.results, e2e_test.SCHEMA)
    (line,) = [line for line in followed.run.stdout.splitlines() if line.startswith("Drift ")]
    assert f"span {drift['span']} is unlike span 1: source/confidence" in line
