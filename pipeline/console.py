"""A quiet console: one line per component, everything else in a log file that is named."""

import contextlib
import logging
import os
import pathlib
import re
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from typing import TextIO

from absl import logging as absl_logging

_RUNNING = re.compile(r"^Component (\S+) is running\.$")
_FINISHED = re.compile(r"^Component (\S+) is finished\.$")
_CACHED = "cached execution"
# As `components.checks.TOLD`, which takes seconds to import.
_TOLD = "components.told"
_WIDTH = 98


@contextlib.contextmanager
def quiet(log_path: pathlib.Path) -> Iterator[None]:
    """Sends logs, warnings and what native code prints to a file; shows progress instead.

    Native code writes to file descriptor 2, so the descriptor itself goes to the file, while
    Python's `sys.stderr`, where progress bars draw, stays on the console. What no longer fits on
    the disk is not logged; whether the run can do without that space is for the run to find.

    Args:
        log_path: The file, made anew.

    Raises:
        OSError: If the file cannot be made.
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
    """Turns the runner's log records into a line per component with its time, and tells warnings.

    Args:
        console: Where the lines go.
    """

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
