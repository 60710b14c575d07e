"""Reads single views from Parquet with the columns of our records."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.bulk_inference import view_rows
from keras_mvlift import errors

SUFFIX = ".parquet"


def read(path: str, batch_size: int) -> Iterator[view_rows.Rows]:
    """Reads a file, at most so many rows at a time.

    Lists may be flat, matrices row by row, or lists of lists; their numbers of any precision.

    Raises:
        RecordingError: If a column is missing or of another type, or the file cannot be read to
            its end.
    """
    with errors.parsing(path, "file", "be whole Parquet"):
        parquet = pq.ParquetFile(path)
    names = _check(path, parquet.schema_arrow)
    batches = parquet.iter_batches(batch_size=batch_size, columns=names)
    while True:
        with errors.parsing(path, "rows", "be whole Parquet"):
            batch = next(batches, None)
        if batch is None:
            return
        yield _rows(path, batch)


def _check(path: str, schema: pa.Schema) -> list[str]:
    """Gives the columns to read."""
    for name in view_rows.REQUIRED:
        if name not in schema.names:
            received = f"the columns {', '.join(schema.names)}"
            raise errors.RecordingError(path, name, "be a column", received)
    names = [name for name in (*view_rows.NUMBERS, *view_rows.KEYS) if name in schema.names]
    for name in names:
        kind = schema.field(name).type
        if name in view_rows.NUMBERS:
            is_right, what = _is_list(kind) and _is_number(_inner(kind)), "lists of numbers"
        elif name in view_rows.TEXTS:
            is_right, what = _is_text(kind), "text"
        else:
            is_right, what = pa.types.is_integer(kind), "whole numbers"
        if not is_right:
            raise errors.RecordingError(path, name, f"hold {what}", kind)
    return names


def _rows(path: str, batch: pa.RecordBatch) -> view_rows.Rows:
    there = set(batch.schema.names)
    numbers = {
        name: _numbers(batch.column(name)) if name in there else _no_numbers(batch.num_rows)
        for name in view_rows.NUMBERS
    }
    keys = {}
    for name, kind in view_rows.KEYS.items():
        with errors.parsing(path, name, f"be {kind}"):
            keys[name] = (
                batch.column(name).cast(kind) if name in there else pa.nulls(batch.num_rows, kind)
            )
    return view_rows.Rows(numbers, keys, {})


def _numbers(column: pa.Array) -> view_rows.Numbers:
    offsets = np.arange(len(column) + 1)
    while _is_list(column.type):
        # Values of nulls may be there, too; flattening leaves them out.
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        ends = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))])
        offsets = ends[offsets]
        column = column.flatten()
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return view_rows.Numbers(values, np.diff(offsets))


def _no_numbers(num_rows: int) -> view_rows.Numbers:
    return view_rows.Numbers(np.zeros(0), np.zeros(num_rows, int))


def _inner(kind: pa.DataType) -> pa.DataType:
    while _is_list(kind):
        kind = kind.value_type
    return kind


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
