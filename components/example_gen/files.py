"""Files that are there whole or not at all."""

import contextlib
import json
import os
import textwrap
import uuid
from collections.abc import Iterator
from typing import TypedDict

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
    """Writes a shard of records, whole or not at all; writes none without rows.

    Args:
        root: The folder of the artifact.
        name: The file's path below it.
        columns: The rows, as of `tfrecords.encode`.
    """
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


# Clips that could not be used: why, and how many a run may lose.

DEAD_LETTERS = "dead_letters.json"
"""The list, beside `dataset.json`; where too many were lost, beside the artifact's folder."""

NUM_TOLD = 5
"""Losses that an error tells of itself."""

# Characters of each of them.
_LENGTH_TOLD = 300


class UnusableError(ValueError):
    """A recording leaves too little to use."""


class Loss(TypedDict):
    """A lost clip.

    Attributes:
        clip: Its name in the source.
        file: The file, or what else the rule is about.
        field: The field in it that breaks the rule.
        reason: The rule and what came instead.
        message: The whole sentence.
    """

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


def are_too_many(losses: list[Loss], num_clips: int, max_lost_share: float) -> bool:
    """Tells whether more than the allowed share of the clips was lost."""
    return len(losses) > max_lost_share * num_clips


def complaint(losses: list[Loss], num_clips: int, max_lost_share: float, listed: str) -> str:
    """Says that too many clips were lost, and why the first of them were.

    Args:
        losses: All of them.
        num_clips: Clips of the source.
        max_lost_share: The share that may be lost.
        listed: Where the whole list is.
    """
    told = [f"{loss['clip']}: {shortened(loss['message'])}" for loss in losses[:NUM_TOLD]]
    return sentence("clips", len(losses), num_clips, max_lost_share, told, listed)


def sentence(
    kind: str, num_lost: int, total: int, max_lost_share: float, told: list[str], listed: str
) -> str:
    """Says that too many were lost.

    Args:
        kind: What is counted, such as `"clips"`.
        num_lost: How many of them were lost.
        total: How many there are.
        max_lost_share: The share that may be lost.
        told: Why the first were.
        listed: Where all are.
    """
    return (
        f"`max_lost_share` lets a run lose {max_lost_share:.1%} of its {kind}. "
        f"Received: {num_lost} of {total} lost, {num_lost / total:.1%}; all are listed in "
        f"{listed}; the first: {' | '.join(told)}"
    )


def shortened(text: str) -> str:
    """Cuts what an error tells of one loss."""
    return textwrap.shorten(text, _LENGTH_TOLD, placeholder=" ...")
