"""Files that are there whole or not at all."""

import contextlib
import os
import uuid
from collections.abc import Iterator

import tensorflow as tf

from keras_mvlift.datasets import tfrecords

# Outside the folders that TFX's components read: a killed run may leave something in it.
PARTIAL = "partial"

# Of the levels that take the least time, 1 to 3, the one of the fewest bytes: pairs are written at
# 1.7 times the rate of the usual level 6, and take a sixteenth more.
_OPTIONS = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=3)

# Rows that are serialized at once: enough to be fast, few enough to add little to a clip's columns.
_NUM_ROWS = 4096


def folder(split: str) -> str:
    """Gives the name of a split's folder, as TFX lays it out."""
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
    """Gives a path to write to, of this attempt alone; moves it to its place at the end."""
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
