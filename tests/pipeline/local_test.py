import errno
import gc
import io
import logging
import os
import pathlib
import re
import runpy
import signal
import subprocess
import sys
import threading
import warnings

import click
import pytest
from absl import logging as absl_logging

from components import checks
from components.example_gen import files
from keras_mvlift import errors
from pipeline import local, presets, tfx_cli
from tests.pipeline import studio_runs

HOLD = """
import pathlib, sys
from pipeline import local
with local.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

# A run that waits at its beginning; `pipeline/local.py` is what ends with its status.
WAIT = """
import pathlib, runpy, sys, time
from pipeline import presets

def wait(request):
    print("waits", flush=True)
    time.sleep(100)

presets.configure = wait
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

# A run in which what Ctrl-C raises gets lost, as it does in finalizers.
DEAF = """
import sys, time
from pipeline import local, presets

def wait(request):
    while True:
        try:
            print("waits", flush=True)
            time.sleep(100)
        except KeyboardInterrupt:
            pass

presets.configure, local._PATIENCE = wait, 0.1
sys.exit(local.main(sys.argv[2:]))
"""


def test_every_option_may_be_left_out():
    options = local.parse([])
    assert options.data_root is None
    assert options.output_root == pathlib.Path(local.__file__).parents[1] / "output"
    assert (options.num_epochs, options.seed, options.settings) == (None, None, None)


def test_options_come_as_the_cli_hands_them_over():
    words = ("data_root=my recording", "output_root=out", "num_epochs=3", "seed=7", "preset=paper")
    options = local.parse([f"--{word}" for word in (*words, "settings=mine.json")])
    assert vars(options) == {
        "data_root": "my recording",
        "output_root": pathlib.Path("out"),
        "num_epochs": 3,
        "seed": 7,
        "preset": "paper",
        "settings": pathlib.Path("mine.json"),
    }


@pytest.mark.parametrize("argument", ["--num_epoch=3", "--num_epochs=many", "file"])
def test_what_is_no_option_is_a_usage_error(argument, capsys):
    with pytest.raises(SystemExit) as stopped:
        local.parse([argument])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("pipeline/local.py: ")
    if argument == "--num_epoch=3":
        assert "there is no option --num_epoch; did you mean --num_epochs?" in error


def test_help_of_tfx_names_the_parameters():
    command = click.Command("create", params=[click.Option(["--pipeline_name"])])
    tfx_cli.extend(command)
    (option,) = (each for each in command.params if each.name == "pipeline_path")
    told = option.help.rpartition("NAME=VALUE: ")[2]
    assert sorted(told.rstrip(".").split(", ")) == sorted(vars(local.parse([])))


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (None, "mvlift", "`settings` must be a file that exists. Received: nothing there"),
        ("{", "mvlift", "`settings` must be JSON. Received: no name in double quotes"),
        ('{"name": "mine", "x": 1}', "mine", "`settings` must hold fields of ['beam_pipeline_"),
        ('{"name": "../mine"}', "mvlift", "`name` must be a folder's name. Received: '../mine'."),
        (
            '{"infra_validation": {"tag": "1", "docker_url": "tcp://127.0.0.1:1"}}',
            "mvlift",
            "`infra_validation` must reach Docker, by a `docker_url` if not by its socket",
        ),
        ('{"bounds": {"mpjpe": 1}}', "mvlift", "`bounds` must name metrics of ('mpjpe_mm', "),
    ],
)
def test_a_failure_is_a_sentence_and_an_exit_status(content, name, sentence, tmp_path, capfd):
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_text(content)
    status = local.main([f"--settings={path}", f"--output_root={tmp_path / 'out'}"])
    (log,) = (tmp_path / "out" / name / "logs").iterdir()
    shown = capfd.readouterr()
    assert status == 1
    assert shown.out == f"Running the pipeline. Full log: {log}\n"
    failed, more = shown.err.splitlines()
    assert failed.startswith("The run failed: ")
    assert sentence in failed
    assert more == f"The log says more: {log}"
    assert "Traceback (most recent call last)" in log.read_text()


def test_an_output_root_that_is_no_folder_is_a_sentence(tmp_path, capfd):
    (tmp_path / "out").write_text("a file")
    assert local.main([f"--output_root={tmp_path / 'out'}"]) == 1
    (failed,) = capfd.readouterr().err.splitlines()
    assert failed == (
        "The run failed: `output_root` must be a folder to write to. Received: [Errno 20] Not a "
        f"directory: '{tmp_path / 'out' / 'mvlift'}'."
    )


def test_a_home_where_a_run_is_going_on_is_left_alone(tmp_path, capfd):
    home = tmp_path / "out" / "mvlift"
    command = [sys.executable, "-c", HOLD, str(home / "run.lock")]
    with subprocess.Popen(
        command, cwd=studio_runs.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        holder.stdout.readline()
        status = local.main([f"--output_root={tmp_path / 'out'}"])
        holder.communicate()
    (failed,) = capfd.readouterr().err.splitlines()
    assert status == 1
    assert failed.startswith("The run failed: `output_root` must have no other run of this")
    assert f"Received: process {holder.pid}, started " in failed
    assert [path.name for path in home.iterdir()] == ["run.lock"]


def test_a_damaged_database_is_a_sentence_and_stays_as_it_is(tmp_path, capfd):
    path = tmp_path / "out" / "mvlift" / "metadata" / "metadata.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x07" * 20_000)
    assert local.main([f"--output_root={tmp_path / 'out'}"]) == 1
    failed, _ = capfd.readouterr().err.splitlines()
    assert f"{path} must be a database of ML Metadata. Received: file is not a database." in failed
    assert path.read_bytes() == b"\x07" * 20_000


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), RuntimeError("database or disk is full")],
    ids=["system", "SQLite"],
)
def test_a_full_disk_is_named(error, tmp_path, capfd, monkeypatch):
    def fail(request):
        raise error

    monkeypatch.setattr(presets, "configure", fail)
    assert local.main([f"--output_root={tmp_path}"]) == 1
    failed, advice, _ = capfd.readouterr().err.splitlines()
    assert failed == f"The run failed: {error}"
    assert advice == f"Make space on the disk of {tmp_path / 'mvlift'}, then run again."


@pytest.mark.parametrize(
    ("error", "is_running", "kind"),
    [
        (errors.RecordingError("a", "b", "c", "d"), False, local.REFUSED),
        (files.UnusableError("too many lost"), True, local.REFUSED),
        (ValueError("wrong settings"), False, local.UNABLE),
        (OSError("no folder"), True, local.UNABLE),
        (RuntimeError("database or disk is full"), True, local.UNABLE),
        (RuntimeError("anything else"), True, local.FAILED),
        (ValueError("a batch larger than the set"), True, local.FAILED),
    ],
    ids=lambda value: str(value),
)
def test_how_a_run_ends_tells_whether_its_data_is_to_blame(error, is_running, kind):
    assert local._kind(error, is_running) == kind


def test_only_a_blessed_model_is_status_zero(tmp_path):
    assert [local.Outcome(kind).status for kind in (local.DONE, local.NOT_BLESSED)] == [0, 1]
    ended = local.outcome([f"--data_root={tmp_path}", f"--output_root={tmp_path}"])
    assert ended.kind == local.REFUSED
    assert "`data_root` must hold one of" in ended.reason


@pytest.mark.parametrize("script", [WAIT, DEAF], ids=["wait", "deaf"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_says_that_the_next_goes_on(number, status, script, tmp_path):
    words = [sys.executable, "-c", script, local.__file__, f"--output_root={tmp_path}"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, cwd=studio_runs.ROOT, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout.readline().startswith("Running the pipeline.")
    assert process.stdout.readline() == "waits\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (
        status,
        "Stopped. The same command goes on from what was done.\n",
    )


def test_what_cannot_be_run_is_refused_before_imports_that_take_seconds(tmp_path):
    script = "import sys; from pipeline import local; status = local.main(sys.argv[1:]); "
    script += 'sys.exit(f\'{status} {sys.modules.keys() & {"tensorflow", "tfx"}}\')'
    words = [sys.executable, "-c", script, "--data_root=none", f"--output_root={tmp_path}"]
    run = subprocess.run(words, cwd=studio_runs.ROOT, capture_output=True, text=True, check=False)
    assert "none: `data_root` must exist" in run.stderr
    assert run.stderr.endswith("1 set()\n")


RECORDING_ERROR = errors.RecordingError("a.trc", "Units", "be m or mm", "ft")
BEAM_WORDS = f"keras_mvlift.errors.RecordingError: {RECORDING_ERROR} [while running 'X']"
BEAM_TEXT = f"Traceback (most recent call last):\n  ...\n{BEAM_WORDS}\n"
REBUILT = ValueError("`x` must be 1. Received: 2. [while running 'X']")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RECORDING_ERROR, str(RECORDING_ERROR)),
        # As Beam raises it in this thread, from another one, and where it can rebuild it.
        (RuntimeError(BEAM_WORDS), str(RECORDING_ERROR)),
        (RuntimeError(BEAM_TEXT), str(RECORDING_ERROR)),
        (REBUILT, "`x` must be 1. Received: 2."),
        (RuntimeError("tfx.some.Thing: what it says"), "tfx.some.Thing: what it says"),
        (
            RuntimeError("Channel closed prematurely."),
            "A worker process of Beam was lost: it was killed, or memory ran out. Run again.",
        ),
        (MemoryError(), "MemoryError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_sentence_is_the_errors_own(error, sentence):
    assert local._sentence(error) == sentence


def test_an_error_tells_more_than_what_caused_it():
    with pytest.raises(ValueError, match="the recording") as raised:
        raise ValueError("the recording") from KeyError("some internal name")
    assert local._sentence(raised.value) == "the recording"


def test_paths_below_the_current_folder_are_short(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local._short(tmp_path / "a" / "b") == "a/b"
    assert local._short(pathlib.Path("/elsewhere")) == "/elsewhere"


def test_python_as_it_ends_does_not_look_through_all_that_was_imported(tmp_path, monkeypatch):
    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(True))
    words = ["--settings=missing.json", f"--output_root={tmp_path}"]
    monkeypatch.setattr(sys, "argv", [local.__file__, *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(local.__file__, run_name="__main__")
    assert (ended.value.code, frozen) == (1, [True])


# Holds the lock, and forks a process that outlives it.
HOLD_WITH_CHILD = """
import os, pathlib, sys, time
from pipeline import local
with local.held(pathlib.Path(sys.argv[1])):
    if child := os.fork():
        print(child, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "run.lock"


@pytest.fixture
def holder(path):
    """Another process that holds the lock, and the number of its child."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_WITH_CHILD, str(path)],
        cwd=studio_runs.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(process.stdout.readline())
    yield process, child
    # The child has the other end of the pipe, too.
    os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate()


def test_who_holds_it_is_named(path, holder):
    process, _ = holder
    words = rf"Received: process {process.pid}, started \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\. Wait for"
    with pytest.raises(local.BusyError, match=words) as raised, local.held(path):
        pass
    assert f"`output_root` must have no other run of this pipeline going on in {path.parent}." in (
        str(raised.value)
    )


def test_it_is_free_when_its_holder_was_killed_though_a_child_lives(path, holder):
    process, child = holder
    process.kill()
    process.wait()
    os.kill(child, 0)
    with local.held(path):
        assert re.fullmatch(rf"process {os.getpid()}, started [\d :-]+\n", path.read_text())


def test_it_is_free_after_an_error(path):
    with pytest.raises(KeyError), local.held(path):
        raise KeyError
    script = HOLD_WITH_CHILD.replace("time.sleep(60)", "pass")
    command = [sys.executable, "-c", script, str(path)]
    assert subprocess.run(command, cwd=studio_runs.ROOT, capture_output=True).returncode == 0


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(NotADirectoryError), local.held(tmp_path / "home" / "x" / "run.lock"):
        pass


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "run.log"


def test_native_code_warnings_and_logs_go_to_the_file(log, capfd):
    with local.quiet(log):
        os.write(2, b"I tensorflow/core: native\n")
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("some.library").info("a log line")
        absl_logging.info("a line of absl's")
    written = log.read_text()
    for line in ("I tensorflow/core: native", "a warning", "a log line", "a line of absl's"):
        assert line in written
    assert "INFO some.library: a log line" in written
    assert capfd.readouterr() == ("", "")


def test_what_python_prints_stays_on_the_console(log, capfd):
    with local.quiet(log):
        sys.stderr.write("progress\n")
        sys.stdout.write("a table\n")
    assert capfd.readouterr() == ("a table\n", "progress\n")
    assert log.read_text() == ""


@pytest.fixture
def terse():
    """Another verbosity than the one that the log file asks for."""
    former = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    yield
    absl_logging.set_verbosity(former)


@pytest.mark.usefixtures("terse")
def test_everything_is_as_before_afterwards(log, capfd):
    root = logging.getLogger()
    before = (sys.stderr, root.handlers[:], root.level, absl_logging.get_verbosity())
    shown = warnings.showwarning
    with pytest.raises(KeyError), local.quiet(log):
        raise KeyError
    after = (sys.stderr, root.handlers[:], root.level, absl_logging.get_verbosity())
    assert after == before
    assert warnings.showwarning is shown
    os.write(2, b"native again\n")
    assert capfd.readouterr().err == "native again\n"
    assert log.read_text() == ""


def test_filters_set_inside_are_forgotten(log):
    filters = warnings.filters[:]
    with local.quiet(log):
        warnings.simplefilter("error")
    assert warnings.filters == filters


def test_the_file_is_made_anew(log):
    log.parent.mkdir()
    log.write_text("of another run\n")
    with local.quiet(log):
        os.write(2, b"of this one\n")
    assert log.read_text() == "of this one\n"


def test_runs_follow_each_other(log, capfd):
    for word in ("first", "second"):
        with local.quiet(log):
            sys.stderr.write(f"{word}\n")
    assert capfd.readouterr().err == "first\nsecond\n"


def lines(*messages):
    """What the console shows of the runner's log records, a second apart."""
    shown = io.StringIO()
    handler = local.ComponentLines(shown)
    for message in messages:
        handler.handle(logging.makeLogRecord({"msg": message, "levelno": logging.INFO}))
    return shown.getvalue().splitlines()


def test_a_component_is_a_line_with_its_seconds(monkeypatch):
    times = iter([100.0, 112.34])
    monkeypatch.setattr(local.time, "monotonic", lambda: next(times))
    assert lines(
        "Component Trainer.Finetune is running.",
        "Going to run a new execution 7",
        "Component Trainer.Finetune is finished.",
    ) == ["  Trainer.Finetune              12.3 s"]


def test_a_component_answered_from_the_cache_says_so():
    assert lines(
        "Component Pusher is running.",
        "A cached execution 7 is used.",
        "Component Pusher is finished.",
    ) == ["  Pusher                        cached"]


def test_a_component_after_a_cached_one_is_not_called_cached():
    shown = lines(
        "Component Pusher is running.",
        "A cached execution 7 is used.",
        "Component Pusher is finished.",
        "Component Report is running.",
        "Component Report is finished.",
    )
    assert shown[1] == "  Report                         0.0 s"


def test_a_component_that_fails_gets_no_line():
    assert lines("Component Pusher is running.", "Execution 7 failed.") == []


def test_the_runners_records_reach_the_console(log, capfd):
    with local.quiet(log):
        logging.info("Component %s is running.", "Pusher")
        logging.info("Component %s is finished.", "Pusher")
    assert capfd.readouterr().err == "  Pusher                         0.0 s\n"
    assert "Component Pusher is running." in log.read_text()


def test_a_disk_without_space_costs_the_log_and_nothing_else(tmp_path, capfd):
    full = tmp_path / "run.log"
    full.symlink_to("/dev/full")
    with local.quiet(full):
        logging.info("Component %s is running.", "Pusher")
        os.write(1, b"the work goes on\n")
        logging.info("Component %s is finished.", "Pusher")
    line = "  Pusher                         0.0 s\n"
    assert capfd.readouterr() == ("the work goes on\n", line)


def test_what_ends_a_thread_is_logged(log, capfd):
    def end():
        raise KeyError("some internal name")

    with local.quiet(log):
        thread = threading.Thread(target=end, name="reader")
        thread.start()
        thread.join()
    assert "Thread reader ended." in log.read_text()
    assert "KeyError: 'some internal name'" in log.read_text()
    assert capfd.readouterr() == ("", "")


def test_what_is_to_be_read_before_training_is_told(log, capfd):
    with local.quiet(log):
        logging.getLogger(checks.TOLD).warning("warning: few_frames: %d instants.", 7)
        logging.getLogger("elsewhere").warning("for the log")
    assert capfd.readouterr().err == "  warning: few_frames: 7 instants.\n"
