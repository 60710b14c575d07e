"""Files that are there whole or not at all."""

import contextlib
import json
import os
import textwrap
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypedDict

import apache_beam as beam
import tensorflow as tf

from keras_mvlift import errors
from keras_mvlift.datasets import tfrecords

# Outside the folders that TFX's components read: a killed run may leave something in it.
PARTIAL = "partial"

# Of the levels that take the least time, 1 to 3, the one of the fewest bytes: pairs are written at
# 1.7 times the rate of the usual level 6, and take a sixteenth more.
_OPTIONS = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=3)

# Rows that are serialized at once: enough to be fast, few enough to add little to a clip's columns.
_NUM_ROWS = 4096


def folder(split: str) -> str:
    """Returns the name of a split's folder, as TFX lays it out."""
    return f"Split-{split}"


def write(root: str, name: str, columns: tfrecords.Columns) -> None:
    """Writes a shard of records below a folder, whole or not at all; none without rows."""
    if not len(next(iter(columns.values()))):
        return
    with whole(root, name) as path, tf.io.TFRecordWriter(path, _OPTIONS) as writer:
        for block in tfrecords.blocks(columns, _NUM_ROWS):
            for record in tfrecords.encode(block):
                writer.write(record)


def write_text(root: str, name: str, text: str) -> None:
    """Writes a text file, whole or not at all."""
    with whole(root, name) as path, tf.io.gfile.GFile(path, "w") as file:
        file.write(text)


def clear(root: str, names: list[str]) -> None:
    """Removes what an earlier attempt left of these files and folders, and its partial files."""
    for name in [*names, PARTIAL]:
        path = os.path.join(root, name)
        if tf.io.gfile.isdir(path):
            tf.io.gfile.rmtree(path)
        elif tf.io.gfile.exists(path):
            tf.io.gfile.remove(path)


@contextlib.contextmanager
def whole(root: str, name: str) -> Iterator[str]:
    """Returns a path to write to, of this attempt alone; moves it to its place at the end."""
    # A runner may try a clip again while the first attempt is still at it.
    path = os.path.join(root, PARTIAL, f"{os.path.basename(name)}.{uuid.uuid4().hex}")
    tf.io.gfile.makedirs(os.path.dirname(path))
    try:
        yield path
    except BaseException:
        if tf.io.gfile.exists(path):
            tf.io.gfile.remove(path)
        raise
    tf.io.gfile.makedirs(os.path.dirname(os.path.join(root, name)))
    tf.io.gfile.rename(path, os.path.join(root, name), overwrite=True)


# What came of the jobs of a Beam pipeline. Workers may be other processes on other machines: what
# they say comes back in a file.

_OUTCOMES = os.path.join(PARTIAL, "outcomes.json")


class Job(NamedTuple):
    """A clip or file to work on, and its place among so many."""

    name: str
    number: int
    total: int

    @property
    def place(self) -> str:
        """The end of the names of the files that are written of it."""
        return f"{self.number:05d}-of-{self.total:05d}"


def run_jobs(pipeline: beam.Pipeline, names: Sequence[str], work: beam.DoFn, root: str) -> None:
    """Spreads jobs over workers, and writes their outcomes below a folder, for `read_outcomes`.

    A job is a `Job` of the name of a clip or file; of each, `work` yields an outcome, a named tuple
    of JSON values with a `number`.
    """
    jobs = [Job(name, number, len(names)) for number, name in enumerate(names)]
    _ = (
        pipeline
        | "Jobs" >> beam.Create(jobs)
        | "Spread" >> beam.Reshuffle()
        | "Work" >> beam.ParDo(work)
        | "Gather" >> beam.combiners.ToList()
        | "Note" >> beam.Map(_write_outcomes, root)
    )


def _write_outcomes(outcomes: list[Any], root: str) -> None:
    write_text(root, _OUTCOMES, json.dumps(sorted(outcomes, key=lambda x: x.number)))


def read_outcomes(root: str) -> list[list[Any]]:
    """Returns the fields of the outcomes of `run_jobs`, by their numbers."""
    with tf.io.gfile.GFile(os.path.join(root, _OUTCOMES)) as file:
        return json.loads(file.read())


DEAD_LETTERS = "dead_letters.json"
"""The list, beside `dataset.json`; where too many were lost, beside the artifact's folder."""

NUM_TOLD = 5
"""Losses that an error tells of itself."""

# Characters of each of them.
_LENGTH_TOLD = 300


def hold_to_share(
    num_lost: int,
    total: int,
    max_lost_share: float,
    kind: str,
    told: Sequence[str],
    keep: Callable[[], str],
) -> None:
    """Raises an `UnusableError` if more of a kind, such as `"clips"`, were lost than may be.

    `told` says why each was lost; the first are told, in short. `keep` puts the list of all where
    it outlives the run, and returns where that is.
    """
    if num_lost <= max_lost_share * total:
        return
    first = [textwrap.shorten(why, _LENGTH_TOLD, placeholder=" ...") for why in told[:NUM_TOLD]]
    raise UnusableError(
        f"`max_lost_share` lets a run lose {max_lost_share:.1%} of its {kind}. "
        f"Received: {num_lost} of {total} lost, {num_lost / total:.1%}; all are listed in "
        f"{keep()}; the first: {' | '.join(first)}"
    )


class UnusableError(ValueError):
    """Data is not to be trained on: it is too little, breaks its schema, or is unlike others."""


class Loss(TypedDict):
    """A lost clip: the file and field that break a rule, the rule, and the whole sentence."""

    clip: str
    file: str
    field: str
    reason: str
    message: str


def of(clip: str, error: errors.RecordingError) -> Loss:
    """Says of a clip why it was lost."""
    return Loss(
        clip=clip,
        file=str(error.path),
        field=error.field,
        reason=f"must {error.rule}. Received: {error.received}",
        message=str(error),
    )


def to_json(losses: list[Loss], num_clips: int) -> str:
    """Writes the list, sorted, with the counts."""
    counts = {"lost_clips": len(losses), "read_clips": num_clips - len(losses)}
    return json.dumps(counts | {"clips": losses}, indent=2, sort_keys=True)
