import dataclasses
import json
import os
import subprocess
import sys
import time

import pytest

from keras_mvlift import errors
from pipeline import local, watch
from tests.pipeline import local_test, studio_runs

STOP = """
import pathlib, sys
from pipeline import local, watch
local.outcome = exec
run = "import pathlib, time; pathlib.Path('running').touch(); time.sleep(100)"
sys.exit(watch.main([sys.argv[1], "--once", "--settle_seconds=0"], lambda _: watch.apart(run)))
"""
KILL = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def watched(tmp_path):
    folder = tmp_path / "in"
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
        (folder / name / "rig.yaml").write_text(name)
    return folder


class Runs:
    """Stands for the pipeline: ends as it is told, and notes which recording was the newest."""

    def __init__(self, watched, *kinds):
        self._spans, self._kinds = watched / watch.SPANS, [*kinds]
        self.read, self.arguments = [], []

    def __call__(self, arguments):
        self.arguments.append(arguments)
        newest = max(path for path in self._spans.iterdir() if path.is_dir())
        self.read.append((newest / "rig.yaml").read_text())
        kind = self._kinds.pop(0) if self._kinds else local.DONE
        return local.Outcome(kind, "" if kind == local.DONE else f"It is {kind}.")


def follow(watched, *kinds, **options):
    """Follows the folder until nothing is left to do."""
    runs = Runs(watched, *kinds)
    words = [f"--{name}={value}" for name, value in ({"settle_seconds": 0} | options).items()]
    return runs, watch.main([str(watched), "--once", *words], runs)


def states(watched):
    return [entry.state for entry in watch.Ledger(watched / watch.SPANS).entries]


def lost(watched):
    listed = json.loads((watched / watch.SPANS / "dead_letters.json").read_text())
    return [clip["clip"] for clip in listed["clips"]]


@pytest.fixture
def inbox(tmp_path):
    for name in ("monday", "tuesday", "late.partial", ".hidden", watch.SPANS, "empty"):
        (tmp_path / name).mkdir()
        if name != "empty":
            (tmp_path / name / "rig.yaml").touch()
    (tmp_path / "readme.txt").touch()
    return tmp_path


def names(watched, settle_seconds=0.0):
    return [path.name for path in watch.ready_recordings(watched, settle_seconds)]


@pytest.fixture
def recordings(tmp_path):
    for name in ("monday", "tuesday"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rig.yaml").write_text(name)
    return tmp_path


def ledger(watched):
    return watch.Ledger(watched / "spans")


def done(entry):
    return dataclasses.replace(entry, state="done")


def test_each_recording_is_the_newest_span_of_a_run_of_its_own(watched):
    runs, status = follow(watched, output_root=watched.parent / "out")
    assert (status, runs.read) == (0, ["a", "b", "c"])
    assert states(watched) == [local.DONE] * 3
    (arguments,) = {tuple(words) for words in runs.arguments}
    options = local.parse([*arguments])
    assert options.data_root == f"{watched}/spans/{{SPAN:5}}"
    assert options.output_root == watched.parent / "out"
    again, _ = follow(watched)
    assert again.read == []


def test_a_model_that_is_not_blessed_ends_a_span_as_a_blessed_one_does(watched):
    runs, status = follow(watched, local.NOT_BLESSED)
    assert (status, runs.read) == (0, ["a", "b", "c"])
    assert states(watched) == [local.NOT_BLESSED, local.DONE, local.DONE]
    assert lost(watched) == []


def test_a_broken_recording_is_listed_and_the_next_goes_on(watched, capfd):
    runs, status = follow(watched, local.DONE, local.REFUSED)
    assert (status, runs.read) == (0, ["a", "b", "c"])
    assert states(watched) == [local.DONE, local.REFUSED, local.DONE]
    assert lost(watched) == ["b"]
    assert "Lost span 2, b: It is refused." in capfd.readouterr().err


def test_a_recording_that_breaks_runs_is_given_up_after_three(watched):
    runs, _ = follow(watched, *[local.FAILED] * watch.MAX_ATTEMPTS)
    assert runs.read == ["a", "a", "a", "b", "c"]
    assert states(watched) == [local.FAILED, local.DONE, local.DONE]
    assert lost(watched) == ["a"]


def test_what_is_no_fault_of_a_recording_costs_it_nothing(watched):
    for _ in range(watch.MAX_ATTEMPTS + 1):
        runs, status = follow(watched, local.UNABLE)
        assert (status, runs.read) == (1, ["a"])
        assert states(watched) == [watch.CLAIMED]
    runs, status = follow(watched)
    assert (status, runs.read) == (0, ["a", "b", "c"])


def test_a_watch_that_was_killed_goes_on_with_the_span_that_it_was_at(watched):
    def die(arguments):
        raise KeyboardInterrupt

    assert watch.main([str(watched), "--once", "--settle_seconds=0"], die) == 130
    assert states(watched) == [watch.CLAIMED]
    runs, _ = follow(watched)
    assert runs.read == ["a", "b", "c"]


def test_a_watch_that_is_terminated_ends_its_run_and_says_so(watched):
    command = [sys.executable, "-c", STOP, str(watched)]
    env = os.environ | {"PYTHONPATH": str(studio_runs.ROOT)}
    process = subprocess.Popen(
        command, cwd=watched.parent, env=env, stderr=subprocess.PIPE, text=True
    )
    while not (watched.parent / "running").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert stderr.endswith("Stopped. The next start goes on.\n")
    assert states(watched) == [watch.CLAIMED]


def test_a_half_copied_recording_waits(watched):
    (watched / "b").rename(watched / "b.partial")
    runs, status = follow(watched)
    assert (status, runs.read) == (0, ["a", "c"])
    (watched / "b.partial").rename(watched / "b")
    assert follow(watched)[0].read == ["b"]
    assert follow(watched, settle_seconds=3600)[0].read == []


def test_two_do_not_follow_one_folder(watched, capfd):
    lock = watched / watch.SPANS / "watch.lock"
    command = [sys.executable, "-c", local_test.HOLD, str(lock)]
    with subprocess.Popen(
        command, cwd=studio_runs.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        holder.stdout.readline()
        runs, status = follow(watched)
        holder.communicate()
    assert (status, runs.read) == (1, [])
    assert f"Another process follows {watched}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "`settings` must be a file"),
        ('{"window": {"num_spans": 0}}', "`window.num_spans` must be"),
    ],
)
def test_wrong_settings_claim_nothing(text, sentence, watched, capfd):
    path = watched.parent / "settings.json"
    if text:
        path.write_text(text)
    runs, status = follow(watched, settings=path)
    assert (status, runs.read) == (1, [])
    assert sentence in capfd.readouterr().err
    assert not (watched / watch.SPANS).exists()


def test_a_folder_that_is_not_there_is_named(tmp_path, capfd):
    assert watch.main([str(tmp_path / "no"), "--once"]) == 1
    assert "`watched` must be a folder" in capfd.readouterr().err


def test_a_run_whose_process_is_killed_failed(monkeypatch):
    # A start is a run in a process of its own: here one that kills itself.
    monkeypatch.setattr(local, "outcome", exec)
    ended = watch.apart(KILL)
    assert ended.kind == local.FAILED
    assert "killed" in ended.reason


def test_a_recording_is_a_folder_with_files_that_is_not_named_as_unfinished(inbox):
    assert sorted(names(inbox)) == ["monday", "tuesday"]


def test_what_comes_under_another_name_is_ready_when_it_is_renamed(inbox):
    (inbox / "late.partial").rename(inbox / "late")
    assert "late" in names(inbox)


def test_the_oldest_comes_first(inbox):
    time.sleep(0.02)
    (inbox / "monday" / "more").touch()
    assert names(inbox) == ["tuesday", "monday"]


def test_a_recording_that_is_being_copied_is_left_alone(inbox):
    assert names(inbox, settle_seconds=60.0) == []
    time.sleep(0.3)
    assert names(inbox, settle_seconds=0.2) != []
    (inbox / "monday" / "cam_1.json").touch()
    assert names(inbox, settle_seconds=0.2) == ["tuesday"]


def test_times_that_a_copy_takes_over_from_the_original_do_not_count(inbox):
    time.sleep(0.3)
    # As `cp -p` and `rsync -a` leave them.
    os.utime(inbox / "monday" / "rig.yaml", (0, 0))
    assert names(inbox, settle_seconds=0.2) == ["tuesday"]


def test_an_unfinished_file_holds_its_recording_back(inbox):
    (inbox / "monday" / "cam_1.json.part").touch()
    assert names(inbox) == ["tuesday"]


def test_a_recording_gets_the_next_number_for_ever(recordings):
    kept = ledger(recordings)
    first = kept.claim(recordings / "monday")
    kept.note(done(first))
    second = ledger(recordings).claim(recordings / "tuesday")
    assert (first.span, second.span) == (1, 2)
    assert (recordings / "spans" / "00001" / "rig.yaml").read_text() == "monday"
    assert (recordings / "spans" / "00002" / "rig.yaml").read_text() == "tuesday"
    assert [entry.recording for entry in ledger(recordings).entries] == ["monday", "tuesday"]
    assert ledger(recordings).open == second


def test_numbers_that_folders_bear_are_not_given_again(recordings):
    (recordings / "spans" / "00041").mkdir(parents=True)
    assert ledger(recordings).claim(recordings / "monday").span == 42


def test_a_claim_that_was_killed_before_the_move_is_finished(recordings, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(watch.Ledger, "settle", lambda *_: None)
        ledger(recordings).claim(recordings / "monday")
    assert (recordings / "monday").exists()
    for _ in range(2):
        kept = ledger(recordings)
        kept.settle(recordings)
        assert kept.open.span == 1
        assert not (recordings / "monday").exists()
        assert (recordings / "spans" / "00001" / "rig.yaml").exists()


def test_a_recording_that_is_taken_back_before_the_move_leaves_its_number_unused(recordings):
    kept = ledger(recordings)
    kept.note(watch.Entry(span=1, recording="gone"))
    kept.settle(recordings)
    assert kept.open is None
    assert kept.claim(recordings / "monday").span == 2


def test_the_file_is_whole_or_the_former_one(recordings, monkeypatch):
    kept = ledger(recordings)
    kept.note(watch.Entry(span=1, recording="a"))

    def fail(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        kept.note(watch.Entry(span=1, recording="b"))
    assert [entry.recording for entry in ledger(recordings).entries] == ["a"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps({"spans": [{"x": 1}]})])
def test_another_file_is_refused_by_name(text, recordings):
    (recordings / "spans").mkdir()
    (recordings / "spans" / watch.LEDGER).write_text(text)
    with pytest.raises(errors.RecordingError, match=r"ledger.json: `spans` must hold the spans"):
        ledger(recordings)
