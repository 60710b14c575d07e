"""What a Beam worker does: reads a file of views, lifts them, writes a file of poses."""

import contextlib
import functools
import os
import time
from collections.abc import Iterator
from typing import NamedTuple, TextIO

import apache_beam as beam
import pyarrow as pa
from absl import logging
from apache_beam import metrics
from apache_beam.utils import shared

from components.bulk_inference import (
    letters,
    parquet_reader,
    pose_table,
    pose_writers,
    record_reader,
    view_rows,
)
from components.example_gen import shards
from keras_mvlift import errors, inference

COUNTERS = "bulk_inference"
"""The namespace of Beam's counters `lifted_views`, `lost_records` and `lost_files`."""

PROGRESS = os.path.join(shards.PARTIAL, "progress")
"""The folder of notes, one a file: how many poses it has so far."""

# Seconds between two notes.
_INTERVAL = 1.0


class Job(NamedTuple):
    """One file to lift.

    Attributes:
        path: The file.
        number: Its place among the files; names its output.
        num_files: How many there are.
    """

    path: str
    number: int
    num_files: int


class Outcome(NamedTuple):
    """What became of a file.

    Attributes:
        number: The file's place among the files.
        input: The file.
        output: The name of its poses' file; None if it is lost.
        num_poses: How many it holds.
        num_lost: Records that could not be used.
        first_lost: Letters of the first of them; that of the file if it is lost.
    """

    number: int
    input: str
    output: str | None
    num_poses: int
    num_lost: int
    first_lost: list[letters.Letter]


class LiftFile(beam.DoFn):
    """Lifts the views of a file; gives its outcome.

    Args:
        model: What `inference.load_model` takes, on the workers.
        handle: Under which threads of a process share what is loaded.
        root: The folder to write to.
        form: Of `pose_writers.FORMATS`.
        batch_size: Views that are lifted at once.
        is_watched: Whether to leave notes of the progress.
    """

    def __init__(
        self,
        model: str,
        handle: shared.Shared,
        root: str,
        form: str,
        batch_size: int,
        is_watched: bool,
    ):
        self._model, self._handle, self._root, self._form = model, handle, root, form
        self._batch_size, self._is_watched = batch_size, is_watched
        self._num_lifted, self._num_lost, self._num_lost_files = (
            metrics.Metrics.counter(COUNTERS, name)
            for name in ("lifted_views", "lost_records", "lost_files")
        )

    def setup(self) -> None:
        """Loads the model, once a process."""
        self._lifter = self._handle.acquire(functools.partial(inference.load_model, self._model))
        self._columns = pose_table.schema(self._lifter)

    def process(self, job: Job) -> Iterator[Outcome]:
        """Lifts the file, or says why it cannot be read."""
        try:
            outcome = self._lift(job)
        except errors.RecordingError as error:
            logging.warning("Lost %s", error)
            refusal = view_rows.Refusal(error.field, error.rule, error.received)
            letter = letters.of(job.path, None, refusal)
            shards.write_text(self._root, letters_name(job), letters.line(letter))
            self._num_lost_files.inc()
            yield Outcome(job.number, job.path, None, 0, 0, [letter])
            return
        self._num_lifted.inc(outcome.num_poses)
        self._num_lost.inc(outcome.num_lost)
        yield outcome

    def _lift(self, job: Job) -> Outcome:
        name = f"poses-{_place(job)}{pose_writers.SUFFIXES[self._form]}"
        num_poses, num_lost, noted = 0, 0, 0.0
        first: list[letters.Letter] = []
        with self._open(job, name) as (write, log):
            for table, lost in self._batches(job.path):
                write(table)
                log.writelines(map(letters.line, lost))
                num_poses, num_lost = num_poses + len(table), num_lost + len(lost)
                first += lost[: letters.NUM_TOLD - len(first)]
                if self._is_watched and time.monotonic() - noted > _INTERVAL:
                    noted = time.monotonic()
                    _note(self._root, job, num_poses)
        if self._is_watched:
            _note(self._root, job, num_poses)
        if not num_lost:
            # Another attempt at this file may have been as fast.
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self._root, letters_name(job)))
        return Outcome(job.number, job.path, name, num_poses, num_lost, first)

    @contextlib.contextmanager
    def _open(self, job: Job, name: str) -> Iterator[tuple[pose_writers.Write, TextIO]]:
        opened = pose_writers.FORMATS[self._form]
        with shards.whole(self._root, name) as path, opened(path, self._columns) as write:
            with shards.whole(self._root, letters_name(job)) as listed:
                with open(listed, "w", encoding="utf-8") as log:
                    yield write, log

    def _batches(self, path: str) -> Iterator[tuple[pa.Table, list[letters.Letter]]]:
        """Gives poses, and letters of the records between them that are no views."""
        reader = parquet_reader if path.endswith(parquet_reader.SUFFIX) else record_reader
        start = 0
        for rows in reader.read(path, self._batch_size):
            views, refusals = view_rows.check(rows)
            table = pose_table.lift(self._lifter, views, self._columns)
            yield (
                table,
                [letters.of(path, start + row, refusals[row]) for row in sorted(refusals)],
            )
            start += len(table) + len(refusals)


def letters_name(job: Job) -> str:
    """Gives the name of the list of what a file lost."""
    return f"_dead_letters-{_place(job)}.jsonl"


def _place(job: Job) -> str:
    return f"{job.number:05d}-of-{job.num_files:05d}"


def _note(root: str, job: Job, num_poses: int) -> None:
    folder = os.path.join(root, PROGRESS)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, str(job.number)), "w", encoding="ascii") as file:
        file.write(str(num_poses))
