"""Writes tables of poses as Parquet or as TFRecords of `tf.Example`."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from components.bulk_inference import view_rows
from keras_mvlift.datasets import tfrecords

Write = Callable[[pa.Table], None]

SUFFIXES = {"parquet": ".parquet", "tfrecord": ".tfrecord.gz"}
"""How the files of each format end."""

# The last digits of poses are noise, which no level makes smaller; the first is the fastest.
_TFRECORD = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


@contextlib.contextmanager
def parquet(path: str, columns: pa.Schema) -> Iterator[Write]:
    """Opens a Parquet file; a table is a row group."""
    keys = [name for name in columns.names if name in view_rows.KEYS]
    with pq.ParquetWriter(
        path,
        columns,
        compression="zstd",
        compression_level=1,
        use_dictionary=keys,
        use_compliant_nested_type=True,
    ) as writer:
        yield writer.write_table


@contextlib.contextmanager
def tfrecord(path: str, columns: pa.Schema) -> Iterator[Write]:
    """Opens a file of records; what is null in a row, its record lacks."""
    del columns
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
