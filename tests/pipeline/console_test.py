import io
import logging
import os
import sys
import threading
import warnings

import pytest
from absl import logging as absl_logging

from components import checks
from pipeline import console


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "run.log"


def test_native_code_warnings_and_logs_go_to_the_file(log, capfd):
    with console.quiet(log):
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
    with console.quiet(log):
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
    with pytest.raises(KeyError), console.quiet(log):
        raise KeyError
    after = (sys.stderr, root.handlers[:], root.level, absl_logging.get_verbosity())
    assert after == before
    assert warnings.showwarning is shown
    os.write(2, b"native again\n")
    assert capfd.readouterr().err == "native again\n"
    assert log.read_text() == ""


def test_filters_set_inside_are_forgotten(log):
    filters = warnings.filters[:]
    with console.quiet(log):
        warnings.simplefilter("error")
    assert warnings.filters == filters


def test_the_file_is_made_anew(log):
    log.parent.mkdir()
    log.write_text("of another run\n")
    with console.quiet(log):
        os.write(2, b"of this one\n")
    assert log.read_text() == "of this one\n"


def test_runs_follow_each_other(log, capfd):
    for word in ("first", "second"):
        with console.quiet(log):
            sys.stderr.write(f"{word}\n")
    assert capfd.readouterr().err == "first\nsecond\n"


def lines(*messages):
    """What the console shows of the runner's log records, a second apart."""
    shown = io.StringIO()
    handler = console.ComponentLines(shown)
    for message in messages:
        handler.handle(logging.makeLogRecord({"msg": message, "levelno": logging.INFO}))
    return shown.getvalue().splitlines()


def test_a_component_is_a_line_with_its_seconds(monkeypatch):
    times = iter([100.0, 112.34])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(times))
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
    with console.quiet(log):
        logging.info("Component %s is running.", "Pusher")
        logging.info("Component %s is finished.", "Pusher")
    assert capfd.readouterr().err == "  Pusher                         0.0 s\n"
    assert "Component Pusher is running." in log.read_text()


def test_a_disk_without_space_costs_the_log_and_nothing_else(tmp_path, capfd):
    full = tmp_path / "run.log"
    full.symlink_to("/dev/full")
    with console.quiet(full):
        logging.info("Component %s is running.", "Pusher")
        os.write(1, b"the work goes on\n")
        logging.info("Component %s is finished.", "Pusher")
    line = "  Pusher                         0.0 s\n"
    assert capfd.readouterr() == ("the work goes on\n", line)


def test_what_ends_a_thread_is_logged(log, capfd):
    def end():
        raise KeyError("some internal name")

    with console.quiet(log):
        thread = threading.Thread(target=end, name="reader")
        thread.start()
        thread.join()
    assert "Thread reader ended." in log.read_text()
    assert "KeyError: 'some internal name'" in log.read_text()
    assert capfd.readouterr() == ("", "")


def test_what_is_to_be_read_before_training_is_told(log, capfd):
    with console.quiet(log):
        logging.getLogger(checks.TOLD).warning("warning: few_frames: %d instants.", 7)
        logging.getLogger("elsewhere").warning("for the log")
    assert capfd.readouterr().err == "  warning: few_frames: 7 instants.\n"
