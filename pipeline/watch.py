"""Follows a folder: each recording that comes whole becomes a span, and is trained on.

Usage:
    python -m pipeline.watch recordings --settings=settings.json --output_root=output
    python -m pipeline.watch recordings --settings=settings.json --once
"""

import argparse
import dataclasses
import json
import math
import multiprocessing
import pathlib
import re
import sys
import time
from collections.abc import Callable
from multiprocessing import connection

from components.example_gen import files as dead_letters
from keras_mvlift import errors
from keras_mvlift.cli import arguments as parsing
from keras_mvlift.untrusted import files
from pipeline import local, settings

MAX_ATTEMPTS = 3
"""Runs that may fail on a recording before it is given up."""

_LOST = (local.REFUSED, local.FAILED)
_OF_NO_RECORDING = (local.UNABLE, *local.SIGNALS)

_POLL_SECONDS = 5.0
# After what no recording can help, such as a full disk.
_WAIT_SECONDS = 60.0

Run = Callable[[list[str]], local.Outcome]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the options."""
    parser = parsing.Parser(
        prog="python -m pipeline.watch",
        description="Trains on each recording that comes into a folder.",
    )
    parser.add_argument("watched", type=pathlib.Path, help="a recording is a folder in this one")
    parser.add_argument("--settings", type=pathlib.Path, help="as of pipeline/local.py")
    parser.add_argument("--output_root", type=pathlib.Path, help="as of pipeline/local.py")
    parser.add_argument(
        "--settle_seconds",
        type=float,
        default=30.0,
        help="a recording is whole if nothing changed for so long; default: %(default)s",
    )
    parser.add_argument("--once", action="store_true", help="ends when nothing is left to do")
    return parser.parse_args(arguments)


def main(arguments: list[str], run: Run | None = None) -> int:
    """Follows the folder, running the pipeline in processes unless told; gives the exit status."""
    options = parse(arguments)
    local.prepare_environment()
    try:
        errors.require(options.watched.is_dir(), "watched", "be a folder", options.watched)
        if options.settings:
            # Refused before a recording is claimed for them.
            settings.PipelineConfig().updated(settings.read(options.settings))
        with local.terminable(), local.held(options.watched / SPANS / "watch.lock"):
            return _follow(options, run or apart)
    except local.BusyError:
        print(f"Another process follows {options.watched}; one at a time can.", file=sys.stderr)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt as error:
        print("Stopped. The next start goes on.", file=sys.stderr)
        return local.Outcome(local.stopped_by(error)).status
    return 1


def apart(arguments: list[str]) -> local.Outcome:
    """Runs the pipeline in a process of its own, whose end does not end the watch."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_send_outcome, args=(sender, local.outcome, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return local.Outcome(local.FAILED, "The run's process was killed, or ran out of memory.")
    finally:
        # Where the watch is stopped, so is the run; one that has ended takes no harm.
        process.terminate()
        process.join()


def _send_outcome(sender: connection.Connection, run: Run, arguments: list[str]) -> None:
    sender.send(run(arguments))


def _follow(options: argparse.Namespace, run: Run) -> int:
    ledger = Ledger(options.watched / SPANS)
    ledger.settle(options.watched)
    while True:
        entry = ledger.open
        ready = [] if entry else ready_recordings(options.watched, options.settle_seconds)
        if entry or ready:
            entry = entry or ledger.claim(ready[0])
            if not ledger.open:
                continue
            print(f"Span {entry.span}: {entry.recording}", flush=True)
            ended = run(_arguments(options))
            _note(ledger, entry, ended)
            if ended.kind not in _OF_NO_RECORDING:
                continue
        if options.once:
            return int(ledger.open is not None)
        time.sleep(_WAIT_SECONDS if entry else _POLL_SECONDS)


def _arguments(options: argparse.Namespace) -> list[str]:
    newest = options.watched.resolve() / SPANS / "{SPAN:5}"
    given = {"data_root": newest, "settings": options.settings, "output_root": options.output_root}
    return [f"--{name}={value}" for name, value in given.items() if value is not None]


CLAIMED = "claimed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A span: its number and what its folder was called when it came.

    Attributes:
        state: `CLAIMED`, or how its run ended.
        reason: Why, where it could not be used or no model came of it.
        attempts: Runs that failed on it so far.
    """

    span: int
    recording: str
    state: str = CLAIMED
    reason: str = ""
    attempts: int = 0


class Ledger:
    """Numbers recordings by moving them to `NUMBER/`, each once and for ever.

    What is to be moved is written down before it is, so that a process that was killed in between
    goes on where it was.

    Raises:
        RecordingError: If the file is not what `Ledger` wrote.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder, self._path = folder, folder / LEDGER
        folder.mkdir(parents=True, exist_ok=True)
        # All spans, by their numbers.
        self.entries = _read(self._path)

    @property
    def open(self) -> Entry | None:
        """The span that has no outcome yet, if there is one; there are never two."""
        return next((entry for entry in self.entries if entry.state == CLAIMED), None)

    def claim(self, recording: pathlib.Path) -> Entry:
        """Gives a recording the next number and moves it to its place."""
        used = [int(one.name) for one in self.folder.iterdir() if _NUMBER.fullmatch(one.name)]
        span = max([0, *used, *(entry.span for entry in self.entries)]) + 1
        entry = Entry(span=span, recording=recording.name)
        self.note(entry)
        self.settle(recording.parent)
        return entry

    def settle(self, inbox: pathlib.Path) -> None:
        """Moves the claimed recording to its place, unless it is there already."""
        entry = self.open
        if entry is None or self.place(entry).exists():
            return
        recording = inbox / entry.recording
        if recording.exists():
            recording.rename(self.place(entry))
        else:
            # It was taken back before it was moved: its number stays unused.
            self.note(dataclasses.replace(entry, state="gone", reason="It was taken away."))

    def place(self, entry: Entry) -> pathlib.Path:
        """Returns the folder of a span."""
        return self.folder / f"{entry.span:05d}"

    def note(self, entry: Entry) -> None:
        """Writes down what is known of a span."""
        self.entries = [one for one in self.entries if one.span != entry.span] + [entry]
        entries = [dataclasses.asdict(entry) for entry in self.entries]
        with files.replacing(self._path) as partial:
            partial.write_text(json.dumps({"spans": entries}, indent=2) + "\n")


def _note(ledger: Ledger, entry: Entry, ended: local.Outcome) -> None:
    """Writes down how a run ended; a recording that is lost is put on the list of those."""
    if ended.kind in _OF_NO_RECORDING:
        return
    attempts = entry.attempts + (ended.kind == local.FAILED)
    entry = dataclasses.replace(entry, attempts=attempts, reason=ended.reason)
    if ended.kind != local.FAILED or attempts >= MAX_ATTEMPTS:
        entry = dataclasses.replace(entry, state=ended.kind)
    ledger.note(entry)
    if entry.state in _LOST:
        print(f"Lost span {entry.span}, {entry.recording}: {ended.reason}", file=sys.stderr)
    _list_lost(ledger)


def _list_lost(ledger: Ledger) -> None:
    """Writes the list of lost recordings beside the ledger, as ExampleGen does that of clips."""
    every = [(entry, str(ledger.place(entry))) for entry in ledger.entries]
    lost = [
        dead_letters.Loss(
            clip=entry.recording,
            file=place,
            field="recording",
            reason=entry.reason,
            message=f"{place}: {entry.reason}",
        )
        for entry, place in every
        if entry.state in _LOST
    ]
    with files.replacing(ledger.folder / dead_letters.DEAD_LETTERS) as partial:
        partial.write_text(dead_letters.to_json(lost, len(every)) + "\n")


LEDGER = "ledger.json"

_NUMBER = re.compile(r"\d+")


def _read(path: pathlib.Path) -> list[Entry]:
    if not path.exists():
        return []
    try:
        return [Entry(**fields) for fields in json.loads(path.read_text())["spans"]]
    except (ValueError, KeyError, TypeError) as error:
        rule = "hold the spans as they were written"
        raise errors.RecordingError(path, "spans", rule, error) from error


SPANS = "spans"

_UNFINISHED = (".partial", ".part", ".tmp", ".filepart", ".crdownload")


def ready_recordings(folder: pathlib.Path, settle_seconds: float) -> list[pathlib.Path]:
    """Lists the recordings that nothing was written to for a while, the oldest first.

    A recording is a folder. One whose name begins with a dot or ends as that of an unfinished copy
    is left alone until it is renamed.
    """
    found = {
        path: changed
        for path in folder.iterdir()
        if is_recording(path) and (changed := last_change(path)) is not None
    }
    now = time.time()
    quiet = [path for path, changed in found.items() if now - changed >= settle_seconds]
    return sorted(quiet, key=lambda path: (found[path], path.name))


def is_recording(path: pathlib.Path) -> bool:
    """Tells whether a path may be a recording."""
    is_hidden = path.name.startswith(".")
    is_named = path.name != SPANS and not path.name.lower().endswith(_UNFINISHED)
    return path.is_dir() and not path.is_symlink() and is_named and not is_hidden


def last_change(folder: pathlib.Path) -> float | None:
    """Returns when something below a folder last changed, seconds since 1970; None if it is empty.

    What is still changing gives infinity. It is the system's own time of change, which copying does
    not take over from the original.
    """
    num_files = 0
    newest = folder.stat().st_ctime
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            # It was renamed meanwhile, so something changed just now.
            return math.inf
        num_files += path.is_file()
        if path.name.lower().endswith(_UNFINISHED):
            return math.inf
        newest = max(newest, status.st_ctime)
    return newest if num_files else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
