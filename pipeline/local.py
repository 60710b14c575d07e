"""Runs the pipeline on this machine.

Usage:
    tfx run create --pipeline pipeline/local.py
    tfx run create --pipeline pipeline/local.py --runtime_parameter data_root=my_recording
    tfx run create --pipeline pipeline/local.py --runtime_parameter preset=paper
    python pipeline/local.py --data_root=my_recording --num_epochs=60
"""

import argparse
import contextlib
import datetime
import errno
import fcntl
import gc
import json
import logging
import os
import pathlib
import re
import shutil
import signal
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn, TextIO

from absl import logging as absl_logging

from keras_mvlift.cli import arguments as parsing
from keras_mvlift.cli import commands
from pipeline import presets

_OUTPUT_ROOT = pathlib.Path(__file__).resolve().parents[1] / "output"

# Beam notes the step in which an error came up. An error that it cannot rebuild, or that comes
# from another thread or process, becomes a RuntimeError with class or traceback as text.
_BEAM_STEP = re.compile(r" \[while running '[^']*'\]")
_BEAM_CLASS = re.compile(r"^([A-Za-z_]\w*\.)*[A-Za-z_]\w*: ")

# What it says when the connection to a worker process breaks.
_BEAM_LOSS = "Channel closed prematurely"

DONE, NOT_BLESSED, REFUSED, FAILED, UNABLE = "done", "not blessed", "refused", "failed", "unable"
"""How a run ends: with a model that is blessed, or not; at data that cannot be used; at anything
else that went wrong on the way; or for want of something that no data can give."""

INTERRUPTED, TERMINATED = "interrupted", "terminated"
"""How a run is stopped: by Ctrl-C, or by SIGTERM."""

SIGNALS = {INTERRUPTED: signal.SIGINT, TERMINATED: signal.SIGTERM}
# What a shell takes a program to end with that a signal has ended.
_SIGNALLED = 128
_STOPPED = "Stopped. The same command goes on from what was done."
# Seconds.
_PATIENCE = 10.0

# As the system and SQLite say it.
_WANT_OF_SPACE = ("No space left on device", "disk is full", "Disk quota exceeded")


class Outcome(NamedTuple):
    """How a run ended: one of the names above, and a sentence unless it came to its end."""

    kind: str
    reason: str = ""

    @property
    def status(self) -> int:
        """The exit status: 0 or 1, and 130 or 143 for what was stopped."""
        if self.kind in SIGNALS:
            return _SIGNALLED + SIGNALS[self.kind]
        return int(self.kind != DONE)


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the options; the CLI's `--runtime_parameter name=value` becomes `--name=value`."""
    parser = parsing.Parser(
        prog="pipeline/local.py", description="Runs the pipeline on this machine."
    )
    parser.add_argument("--data_root", help=commands.DATA_ROOT)
    commands.add_training(parser, joint="_")
    parser.set_defaults(output_root=_OUTPUT_ROOT)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Runs the pipeline and shows its report; gives the exit status."""
    return outcome(arguments).status


def outcome(arguments: list[str]) -> Outcome:
    """Runs the pipeline and shows its report; tells how it ended."""
    options = parse(arguments)
    prepare_environment()
    request = presets.Request(
        options.data_root, options.settings, options.num_epochs, options.seed, options.preset
    )
    started = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    home = options.output_root.resolve() / presets.pipeline_name(request)
    log = home / "logs" / f"{started}.log"
    print(f"Running the pipeline. Full log: {_short(log)}", flush=True)
    ended = UNABLE
    try:
        with terminable(), held(home / "run.lock"), quiet(log):
            return _logged_run(request, home, log)
    except BusyError as error:
        sentence = f"The run failed: {error}"
    except OSError as error:  # there is no log yet
        sentence = f"The run failed: `output_root` must be a folder to write to. Received: {error}."
    except KeyboardInterrupt as error:
        ended = stopped_by(error)
        sentence = _STOPPED
    print(sentence, file=sys.stderr)
    return Outcome(ended, sentence.removeprefix("The run failed: "))


def stopped_by(error: KeyboardInterrupt) -> str:
    """Returns `INTERRUPTED` or `TERMINATED`."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Has Ctrl-C raise `KeyboardInterrupt` and SIGTERM `Terminated` in the main thread.

    An exception that comes while Python runs a finalizer or a callback of C is lost. So the
    process ends by itself where it has not ended some seconds later.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watchdogs: list[threading.Timer] = []

    def stop(number: int, _: object) -> NoReturn:
        watchdogs.append(threading.Timer(_PATIENCE, _give_up, [number]))
        watchdogs[-1].daemon = True
        watchdogs[-1].start()
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    former = {number: signal.signal(number, stop) for number in SIGNALS.values()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for watchdog in watchdogs:
            watchdog.cancel()


def _give_up(number: int) -> NoReturn:
    print(_STOPPED, file=sys.stderr, flush=True)
    os._exit(_SIGNALLED + number)


def _logged_run(request: presets.Request, home: pathlib.Path, log: pathlib.Path) -> Outcome:
    is_running = False
    try:
        pipeline, connection = _prepared(request, home)
        is_running = True
        return _run(pipeline, connection, home, log)
    except Exception as error:  # every failure ends in one sentence; the log has the rest
        logging.exception("The run failed.")
        sentence = _sentence(error)
        print(f"The run failed: {sentence}", file=sys.stderr)
        if _is_for_want_of_space(str(error)):
            print(f"Make space on the disk of {home}, then run again.", file=sys.stderr)
        print(f"The log says more: {_short(log)}", file=sys.stderr)
        return Outcome(_kind(error, is_running), sentence)


def _kind(error: Exception, is_running: bool) -> str:
    from keras_mvlift import errors

    if isinstance(error, errors.RecordingError):
        return REFUSED
    if not is_running:
        return UNABLE
    from components.example_gen import files

    if isinstance(error, files.UnusableError):
        return REFUSED
    is_of_machine = isinstance(error, OSError) or _is_for_want_of_space(str(error))
    return UNABLE if is_of_machine else FAILED


def _prepared(request: presets.Request, home: pathlib.Path) -> tuple[Any, Any]:
    """Makes the pipeline; gives it, and the connection to what is known of former runs."""
    # Before imports that take seconds.
    config, data_root = presets.configure(request)

    from components import pusher
    from pipeline import mvlift, runs

    if config.infra_validation.tag:
        # Now, not after hours of training.
        pusher.require_docker(config.infra_validation.docker_url)
    connection = runs.metadata_connection(home / "metadata" / "metadata.db")
    runs.require_usable(connection, home / "artifacts")
    if lost := runs.forget_lost_pushes(connection):
        print(f"{_short(lost)} is gone: a model that is blessed is pushed anew.", file=sys.stderr)
    folders = mvlift.Folders.below(home)
    return mvlift.create_pipeline(config, data_root, folders, connection), connection


def _run(pipeline: Any, connection: Any, home: pathlib.Path, log: pathlib.Path) -> Outcome:
    from tfx.orchestration.local import local_dag_runner

    from components import checks
    from pipeline import runs

    former = runs.latest(connection)
    ended = Outcome(DONE)
    try:
        local_dag_runner.LocalDagRunner().run(pipeline)
    except checks.NotBlessedError as error:
        ended = Outcome(NOT_BLESSED, str(error))
    current = runs.latest(connection)
    if current != former:
        _show_report(runs.report_folder(connection, current), home, log)
    return ended


def _show_report(folder: pathlib.Path | None, home: pathlib.Path, log: pathlib.Path) -> None:
    """Puts the run's results where scripts look for them, and prints them."""
    from components import report
    from keras_mvlift.untrusted import files
    from keras_mvlift.visualization import tables

    if folder is None:
        return
    written = json.loads((folder / report.RESULTS).read_text())
    results, picture = home / report.RESULTS, home / report.PICTURE
    places = {name: pathlib.Path(written[name]) for name in ("model", "trained") if written[name]}
    places |= {"results": results, "picture": picture, "log": log}
    written |= {name: _short(path) for name, path in places.items()}
    with files.replacing(picture) as partial:
        shutil.copy(folder / report.PICTURE, partial)
    with files.replacing(results) as partial:
        partial.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    tables.show(tables.parts(written))


def prepare_environment() -> None:
    """Quietens what is imported from now on, in this process and those that it starts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ.setdefault("MPLCONFIGDIR", str(_OUTPUT_ROOT / ".matplotlib"))


def _short(path: pathlib.Path) -> str:
    """Returns a path below the current folder relative to it."""
    current = pathlib.Path.cwd()
    return str(path.relative_to(current)) if path.is_relative_to(current) else str(path)


def _is_for_want_of_space(words: str) -> bool:
    return any(phrase in words for phrase in _WANT_OF_SPACE)


def _sentence(error: BaseException) -> str:
    """Returns an error's own words, without what Beam puts around them."""
    words = str(error).strip()
    if _BEAM_LOSS in words:
        return "A worker process of Beam was lost: it was killed, or memory ran out. Run again."
    if words.startswith("Traceback "):
        words = words.splitlines()[-1]
    if isinstance(error, RuntimeError) and _BEAM_STEP.search(words):
        words = _BEAM_CLASS.sub("", words)
    return _BEAM_STEP.sub("", words) or type(error).__name__


_TAKEN = (errno.EACCES, errno.EAGAIN)
_MAX_NOTE_BYTES = 1000


class BusyError(RuntimeError):
    """Another run is going on."""


@contextlib.contextmanager
def held(path: pathlib.Path) -> Iterator[None]:
    """Holds a lock that the system frees when the process ends, killed or not.

    Processes that are forked or started meanwhile do not hold it. The file is left when the lock is
    freed: it says which process held it last.

    Raises:
        BusyError: If another process holds it.
        OSError: If the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(file, path)
        yield
    finally:
        os.close(file)


def _take(file: int, path: pathlib.Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        holder = os.pread(file, _MAX_NOTE_BYTES, 0).decode(errors="replace").strip()
        raise BusyError(
            f"`output_root` must have no other run of this pipeline going on in {path.parent}. "
            f"Received: {holder or 'a process that holds ' + path.name}. Wait for it to end, or "
            "give this run an `output_root` of its own."
        ) from error
    started = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    # On a full disk the lock holds without its note.
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()}, started {started}\n".encode(), 0)


_RUNNING = re.compile(r"^Component (\S+) is running\.$")
_FINISHED = re.compile(r"^Component (\S+) is finished\.$")
_CACHED = "cached execution"
# As `components.checks.TOLD`, which takes seconds to import.
_TOLD = "components.told"
_WIDTH = 98


@contextlib.contextmanager
def quiet(log_path: pathlib.Path) -> Iterator[None]:
    """Sends logs, warnings and what native code prints to a new file; shows progress instead.

    Native code writes to file descriptor 2, so the descriptor itself goes to the file, while
    Python's `sys.stderr`, where progress bars draw, stays on the console. What no longer fits on
    the disk is not logged; whether the run can do without that space is for the run to find.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log = log_path.open("w", buffering=1)
    sys.stderr.flush()
    console_descriptor = os.dup(2)
    console, former = os.fdopen(console_descriptor, "w", buffering=1), sys.stderr
    os.dup2(log.fileno(), 2)
    sys.stderr = console
    try:
        with _logging_to(log, console):
            yield
    finally:
        console.flush()
        os.dup2(console_descriptor, 2)
        sys.stderr = former
        with contextlib.suppress(OSError):
            log.close()


@contextlib.contextmanager
def _logging_to(log: TextIO, console: TextIO) -> Iterator[None]:
    root = logging.getLogger()
    former_handlers, former_level = root.handlers[:], root.level
    former_verbosity, former_hook = absl_logging.get_verbosity(), threading.excepthook
    to_file = LogFile(log)
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers = [to_file, ComponentLines(console)]
    root.setLevel(logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_error
    try:
        with warnings.catch_warnings():
            yield
    finally:
        threading.excepthook = former_hook
        logging.captureWarnings(False)
        absl_logging.set_verbosity(former_verbosity)
        root.handlers = former_handlers
        root.setLevel(former_level)


def _log_thread_error(ended: threading.ExceptHookArgs) -> None:
    """Logs what ended a thread; the runner tells what it means for the run."""
    name = ended.thread.name if ended.thread else "unknown"
    reason = ended.exc_value or ended.exc_type()
    logging.error("Thread %s ended.", name, exc_info=reason)


class LogFile(logging.StreamHandler):
    """Writes log records to a file as long as there is space for them."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Passes over what the disk refuses; says on the console what else goes wrong."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class ComponentLines(logging.Handler):
    """Turns the runner's log into a line per component with its time, and tells warnings."""

    def __init__(self, console: TextIO):
        super().__init__(logging.INFO)
        self._console = console
        self._started = 0.0
        self._is_cached = False

    def emit(self, record: logging.LogRecord) -> None:
        """Notes the start, prints at the end."""
        message = record.getMessage()
        if record.name == _TOLD:
            for line in textwrap.wrap(message, _WIDTH):
                print(f"  {line}", file=self._console)
        elif _RUNNING.match(message):
            self._started, self._is_cached = time.monotonic(), False
        elif _CACHED in message:
            self._is_cached = True
        elif finished := _FINISHED.match(message):
            seconds = time.monotonic() - self._started
            how = "cached" if self._is_cached else f"{seconds:.1f} s"
            print(f"  {finished[1]:<28}{how:>8}", file=self._console)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    # Or Python, ending, looks through all that was ever imported, which takes it seconds.
    gc.freeze()
    if status > _SIGNALLED:
        # Or what other threads are at would be waited for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
