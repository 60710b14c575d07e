"""What a Beam worker does: reads a file of views, lifts them, writes a file of poses."""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TextIO

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tqdm
from absl import logging
from apache_beam import metrics
from apache_beam.utils import shared

import keras_mvlift
from components.bulk_inference import readers
from components.example_gen import files
from keras_mvlift import errors, inference
from keras_mvlift.datasets import tfrecords

# The namespace of Beam's counters `lifted_views`, `lost_records` and `lost_files`.
COUNTERS = "bulk_inference"


# What was lost, and why: `file`, `record`, its number in the file or None if all of that is lost,
# `field` and `reason`.
Letter = dict[str, Any]


class Outcome(NamedTuple):
    """What became of a file."""

    number: int
    input: str
    output: str | None  # None if it is lost.
    num_poses: int
    num_lost: int
    first_lost: list[Letter]  # Of the first records that could not be used, or of the file.


Write = Callable[[pa.Table], None]


class LiftFile(beam.DoFn):
    """Lifts the views of a file; gives its outcome.

    `model` is what `inference.load_model` takes, on the workers, `handle` under which threads of a
    process share what is loaded, and `root` the folder to write to; the rest is as of
    `job.BulkLift`.
    """

    def __init__(self, model: str, handle: shared.Shared, root: str, form: str, batch_size: int):
        self._model, self._handle, self._root, self._form = model, handle, root, form
        self._batch_size = batch_size
        self._num_lifted, self._num_lost, self._num_lost_files = (
            metrics.Metrics.counter(COUNTERS, name)
            for name in ("lifted_views", "lost_records", "lost_files")
        )

    def setup(self) -> None:
        """Loads the model, once a process."""
        self._lifter = self._handle.acquire(functools.partial(inference.load_model, self._model))
        self._columns = schema(self._lifter)

    def process(self, job: files.Job) -> Iterator[Outcome]:
        """Lifts the file, or says why it cannot be read."""
        try:
            outcome = self._lift(job)
        except errors.RecordingError as error:
            logging.warning("Lost %s", error)
            letter = of(job.name, None, error)
            files.write_text(self._root, _letters(job), line(letter))
            self._num_lost_files.inc()
            yield Outcome(job.number, job.name, None, 0, 0, [letter])
            return
        self._num_lifted.inc(outcome.num_poses)
        self._num_lost.inc(outcome.num_lost)
        yield outcome

    def _lift(self, job: files.Job) -> Outcome:
        name = f"poses-{job.place}{SUFFIXES[self._form]}"
        num_poses = num_lost = 0
        first: list[Letter] = []
        # On a terminal of the worker's alone.
        bar = tqdm.tqdm(desc=job.place, unit="pose", unit_scale=True, disable=None)
        with bar, self._open(job, name) as (write, log):
            for table, lost in self._batches(job.name):
                write(table)
                log.writelines(map(line, lost))
                num_poses, num_lost = num_poses + len(table), num_lost + len(lost)
                first += lost[: files.NUM_TOLD - len(first)]
                bar.update(len(table))
        if not num_lost:
            # Another attempt at this file may have been as fast.
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self._root, _letters(job)))
        return Outcome(job.number, job.name, name, num_poses, num_lost, first)

    @contextlib.contextmanager
    def _open(self, job: files.Job, name: str) -> Iterator[tuple[Write, TextIO]]:
        opened = FORMATS[self._form]
        with files.whole(self._root, name) as path, opened(path, self._columns) as write:
            with files.whole(self._root, _letters(job)) as listed:
                with open(listed, "w", encoding="utf-8") as log:
                    yield write, log

    def _batches(self, path: str) -> Iterator[tuple[pa.Table, list[Letter]]]:
        is_table = path.endswith(readers.SUFFIX)
        read = readers.read_parquet if is_table else readers.read_records
        start = 0
        for rows in read(path, self._batch_size):
            views, refusals = readers.check(rows)
            table = lift(self._lifter, views, self._columns)
            yield (table, [of(path, start + row, refusals[row]) for row in sorted(refusals)])
            start += len(table) + len(refusals)


def _letters(job: files.Job) -> str:
    return f"_dead_letters-{job.place}.jsonl"


_CAMERA_AXES = "camera axes: x right, y down, z away from the camera"
_FRAMES = {
    "root_relative_pose": f"root at 0, {_CAMERA_AXES}",
    "root_position": f"from the camera, {_CAMERA_AXES}",
    "pose_camera": f"from the camera, {_CAMERA_AXES}",
    "pose_world": "world",
    "joint_uncertainty": "none",
}
"""Columns of numbers, all meters, in this order behind the keys."""

_LIST = pa.list_(pa.field("element", pa.float32(), nullable=False))


def schema(lifter: inference.Lifter) -> pa.Schema:
    """Describes the table: a list of numbers a row, its shape, unit and frame in its metadata."""
    nobody = np.zeros((len(lifter.joint_names), 2))
    # Only some models predict how far off their joints are.
    is_told = lifter.lift(nobody, camera=lifter.intrinsics).joint_uncertainty is not None
    names = [name for name in _FRAMES if name != "joint_uncertainty" or is_told]
    num_joints = len(lifter.joint_names)
    shapes = {name: [num_joints, 3] for name in names}
    shapes |= {"root_position": [3], "joint_uncertainty": [num_joints]}
    keys = [pa.field(name, kind) for name, kind in readers.KEYS.items()]
    numbers = []
    for name in names:
        told = {"shape": json.dumps(shapes[name]), "unit": "m", "frame": _FRAMES[name]}
        numbers.append(pa.field(name, _LIST, nullable=name == "pose_world", metadata=told))
    about = {
        "joint_names": json.dumps(lifter.joint_names),
        "parents": json.dumps(lifter.parents),
        "keras_mvlift": keras_mvlift.__version__,
    }
    return pa.schema([*keys, *numbers], metadata=about)


def lift(lifter: inference.Lifter, views: readers.Views, columns: pa.Schema) -> pa.Table:
    """Lifts views to as many rows of `columns`; one without a place has no `pose_world`."""
    given, has_place = views.numbers, views.has_place
    lifted = lifter.lift(given["keypoints_2d"], given["confidence"], camera=given["intrinsics"])
    pose_camera: Any = lifted.pose_camera
    is_every = np.ones(len(pose_camera), bool)
    numbers: dict[str, Any] = {n: (getattr(lifted, n, None), is_every) for n in _FRAMES}
    pose_world = pose_camera[has_place] @ given["rotation"][has_place]
    numbers["pose_world"] = pose_world + given["center"][has_place][:, np.newaxis], has_place
    arrays = [
        views.keys[name] if name in views.keys else _lists(*numbers[name]) for name in columns.names
    ]
    return pa.Table.from_arrays(arrays, schema=columns)


def _lists(values: np.ndarray, is_there: np.ndarray) -> pa.Array:
    """Lays rows out as lists, those that are not there as null; `values` leaves these out."""
    size = int(np.prod(values.shape[1:]))
    ends = np.concatenate([[0], np.cumsum(np.where(is_there, size, 0))]).astype(np.int32)
    offsets = pa.array(ends, mask=np.append(~is_there, False))
    content = pa.array(np.ascontiguousarray(values, np.float32).ravel())
    return pa.ListArray.from_arrays(offsets, content).cast(_LIST)


# How the files of each format end.
SUFFIXES = {"parquet": ".parquet", "tfrecord": ".tfrecord.gz"}
# The last digits of poses are noise, which no level makes smaller; the first is the fastest.
_TFRECORD = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


@contextlib.contextmanager
def parquet(path: str, columns: pa.Schema) -> Iterator[Write]:
    """Opens a Parquet file; a table is a row group."""
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 1}
    options["use_dictionary"] = [name for name in columns.names if name in readers.KEYS]
    with pq.ParquetWriter(path, columns, use_compliant_nested_type=True, **options) as writer:
        yield writer.write_table


@contextlib.contextmanager
def tfrecord(path: str, columns: pa.Schema) -> Iterator[Write]:
    """Opens a file of records; what is null in a row, its record lacks."""
    with tf.io.TFRecordWriter(path, _TFRECORD) as writer:

        def write(table: pa.Table) -> None:
            for record in _records(table):
                writer.write(record)

        yield write


FORMATS = {"parquet": parquet, "tfrecord": tfrecord}
"""Opens a file for each format: path and schema to a context that gives what writes tables."""


def _records(table: pa.Table) -> list[bytes]:
    table = table.combine_chunks()
    is_there = np.stack([column.is_valid().to_numpy() for column in table.columns], axis=1)
    records = np.empty(len(table), object)
    # Rows that have the same columns are serialized together.
    kinds, kind = np.unique(is_there, axis=0, return_inverse=True)
    for number, has in enumerate(kinds):
        rows = np.flatnonzero(kind.reshape(-1) == number)
        names = [name for name, there in zip(table.column_names, has, strict=True) if there]
        part = table.select(names).take(pa.array(rows))
        records[rows] = tfrecords.encode({name: _values(part.column(name)) for name in names})
    return records.tolist()


def _values(column: pa.ChunkedArray) -> np.ndarray:
    if not pa.types.is_list(column.type):
        return column.to_numpy()
    chunk = column.combine_chunks()
    return chunk.flatten().to_numpy().reshape(len(chunk), -1)


def of(
    path: str, record: int | None, error: errors.ArgumentError | errors.RecordingError
) -> Letter:
    """Says of a record, or of a file, why it was lost."""
    reason = f"must {error.rule}. Received: {error.received}"
    return Letter(file=path, record=record, field=error.field, reason=reason)


def line(letter: Letter) -> str:
    """Writes a letter as a line of JSON."""
    return f"{json.dumps(letter, sort_keys=True)}\n"


def sentence(letter: Letter) -> str:
    """Says what was lost, and why."""
    record = "" if letter["record"] is None else f", record {letter['record']}"
    return f"{letter['file']}{record}: `{letter['field']}` {letter['reason']}."
