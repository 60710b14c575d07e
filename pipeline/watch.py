"""Follows a folder: each recording that comes whole becomes a span, and is trained on.

Usage:
    python -m pipeline.watch recordings --settings=settings.json --output_root=output
    python -m pipeline.watch recordings --settings=settings.json --once
"""

import argparse
import concurrent.futures
import dataclasses
import multiprocessing
import pathlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import process

from components.example_gen import dead_letters
from pipeline import inbox, local, locks, settings, span_ledger

DEAD_LETTERS = dead_letters.DEAD_LETTERS
"""The list of recordings that could not be used, beside the ledger."""

MAX_ATTEMPTS = 3
"""Runs that may fail on a recording before it is given up."""

_LOST = (local.REFUSED, local.FAILED)

_POLL_SECONDS = 5.0
# After what no recording can help, such as a full disk.
_WAIT_SECONDS = 60.0

Run = Callable[[list[str]], local.Outcome]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the options."""
    parser = argparse.ArgumentParser(
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
    """Follows the folder; gives the exit status.

    Args:
        arguments: Of the command line.
        run: What runs the pipeline; a process of its own unless told.
    """
    options = parse(arguments)
    local.prepare_environment()
    try:
        _check(options)
        with locks.held(options.watched / inbox.SPANS / "watch.lock"):
            return _follow(options, run or apart)
    except locks.BusyError:
        message = f"Another process follows {options.watched}; one at a time can."
    except (ValueError, OSError) as error:
        message = str(error)
    except KeyboardInterrupt:
        message = "Stopped; the next start goes on."
    print(message, file=sys.stderr)
    return 1


def apart(arguments: list[str]) -> local.Outcome:
    """Runs the pipeline in a process of its own, whose end does not end the watch."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        try:
            return pool.submit(local.outcome, arguments).result()
        except process.BrokenProcessPool:
            return local.Outcome(
                local.FAILED, "The run's process was killed, or ran out of memory."
            )


def _check(options: argparse.Namespace) -> None:
    """Refuses settings before a recording is claimed for them."""
    if not options.watched.is_dir():
        raise ValueError(f"`watched` must be a folder. Received: {options.watched}.")
    if options.settings:
        settings.PipelineConfig().updated(settings.read(options.settings))


def _follow(options: argparse.Namespace, run: Run) -> int:
    ledger = span_ledger.Ledger(options.watched / inbox.SPANS)
    ledger.settle(options.watched)
    while True:
        entry = ledger.open
        ready = [] if entry else inbox.ready(options.watched, options.settle_seconds)
        if entry or ready:
            entry = entry or ledger.claim(ready[0])
            if not ledger.open:
                continue
            print(f"Span {entry.span}: {entry.recording}", flush=True)
            ended = run(_arguments(options))
            _note(ledger, entry, ended)
            if ended.kind != local.UNABLE:
                continue
        if options.once:
            return int(ledger.open is not None)
        time.sleep(_WAIT_SECONDS if entry else _POLL_SECONDS)


def _arguments(options: argparse.Namespace) -> list[str]:
    newest = options.watched.resolve() / inbox.SPANS / "{SPAN:5}"
    given = {"data_root": newest, "settings": options.settings, "output_root": options.output_root}
    return [f"--{name}={value}" for name, value in given.items() if value is not None]


def _note(ledger: span_ledger.Ledger, entry: span_ledger.Entry, ended: local.Outcome) -> None:
    """Writes down how a run ended; a recording that is lost is put on the list of those."""
    if ended.kind == local.UNABLE:
        return
    attempts = entry.attempts + (ended.kind == local.FAILED)
    entry = dataclasses.replace(entry, attempts=attempts, reason=ended.reason)
    if ended.kind != local.FAILED or attempts >= MAX_ATTEMPTS:
        entry = dataclasses.replace(entry, state=ended.kind)
    ledger.note(entry)
    if entry.state in _LOST:
        print(f"Lost span {entry.span}, {entry.recording}: {ended.reason}", file=sys.stderr)
    _list_lost(ledger)


def _list_lost(ledger: span_ledger.Ledger) -> None:
    """Writes the list of all recordings that are lost, as ExampleGen does that of lost clips."""
    lost = [
        dead_letters.Loss(
            clip=entry.recording,
            file=str(ledger.place(entry)),
            field="recording",
            reason=entry.reason,
            message=f"{ledger.place(entry)}: {entry.reason}",
        )
        for entry in ledger.entries
        if entry.state in _LOST
    ]
    text = dead_letters.to_json(lost, len(ledger.entries))
    span_ledger.write(ledger.folder / DEAD_LETTERS, text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
