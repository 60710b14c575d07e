"""Parquet tables, read in a process of their own.

Arrow's reader of Parquet trusts what a file says of itself: bytes damaged in the wrong place end
the process, not the call. Here the process that ends is another one, and the caller gets an error.
"""

import io
import json
import resource
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from keras_mvlift import errors
from keras_mvlift.untrusted import files

_TIMEOUT_SECONDS = 600
# A process that refuses a file says so by this exit status.
_REFUSED = 3

MAX_ROWS = 50_000_000
"""Rows that a table may have; all of Human3.6M has some 2.1 million."""


def columns(path: object) -> dict[str, np.ndarray]:
    """Reads what kinds of columns a table has, and which subjects and takes.

    Returns:
        `name` and `type`, strings, of each column; `subject` and `take`, strings, of each pair.

    Raises:
        RecordingError: If the file is no Parquet table, or has no such columns.
    """
    return _call(path, _columns.__name__)


def rows(path: object, subject: str, take: str) -> dict[str, np.ndarray]:
    """Reads a take's rows.

    Returns:
        `camera` and `frame`, `[N]`; `keypoints_2d` and `confidence`, all lists' values one after
        the other; `keypoints_2d_length` and `confidence_length`, `[N]`, with 0 for no list.

    Raises:
        RecordingError: If the file is no Parquet table, or has no such columns.
    """
    return _call(path, _rows.__name__, subject, take)


def run(path: object, command: list[str]) -> bytes:
    """Runs a process and gives its output.

    Raises:
        RecordingError: If it does not end, or not well.
    """
    rule = "be a Parquet table that can be read"
    with errors.parsing(path, "file", rule):
        done = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT_SECONDS, stdin=subprocess.DEVNULL
        )
    if done.returncode == _REFUSED:
        with errors.parsing(path, "file", rule):
            received = json.loads(done.stdout)
        raise errors.RecordingError(path, "file", rule, received)
    if done.returncode:
        received = f"a reader that ended with status {done.returncode}"
        raise errors.RecordingError(path, "file", rule, received)
    return done.stdout


def _call(path: object, function: str, *arguments: str) -> dict[str, np.ndarray]:
    output = run(path, [sys.executable, "-m", __name__, function, str(path), *arguments])
    with np.load(io.BytesIO(output), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _columns(path: str) -> dict[str, Any]:
    file: Any = pyarrow.parquet.ParquetFile(path)
    if file.metadata.num_rows > MAX_ROWS:
        raise ValueError(f"{file.metadata.num_rows} rows, more than {MAX_ROWS}")
    pairs: set[tuple[str, str]] = set()
    for batch in file.iter_batches(columns=["subject", "take"], use_threads=False):
        found = pyarrow.Table.from_batches([batch]).group_by(["subject", "take"]).aggregate([])
        pairs |= {(str(row["subject"]), str(row["take"])) for row in found.to_pylist()}
    subjects, takes = zip(*sorted(pairs), strict=True) if pairs else ((), ())
    kinds = [str(kind) for kind in file.schema_arrow.types]
    return {"name": file.schema_arrow.names, "type": kinds, "subject": subjects, "take": takes}


def _rows(path: str, subject: str, take: str) -> dict[str, Any]:
    names = ["camera", "frame", "keypoints_2d", "confidence"]
    where = [("subject", "=", subject), ("take", "=", take)]
    table = pyarrow.parquet.read_table(path, columns=names, filters=where, use_threads=False)
    table = table.combine_chunks()
    table.validate(full=True)
    output = {"camera": table["camera"].to_pylist(), "frame": table["frame"].to_numpy()}
    for name in names[2:]:
        lengths = pyarrow.compute.list_value_length(table[name])
        output[f"{name}_length"] = pyarrow.compute.fill_null(lengths, 0).to_numpy()
        output[name] = pyarrow.compute.list_flatten(table[name]).to_numpy()
    return output


def main(arguments: list[str]) -> int:
    """Writes what a function of this module gives to the standard output, as an archive."""
    function, *rest = arguments
    resource.setrlimit(resource.RLIMIT_AS, (files.MAX_CONTENT_BYTES, files.MAX_CONTENT_BYTES))
    try:
        found = _columns(*rest) if function == _columns.__name__ else _rows(*rest)
        output = io.BytesIO()
        np.savez(output, **{name: np.asarray(values) for name, values in found.items()})
    except Exception as error:
        sys.stdout.write(json.dumps(f"{type(error).__name__}: {error}"))
        return _REFUSED
    sys.stdout.buffer.write(output.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
