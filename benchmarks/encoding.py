"""Measures ways to encode a clip's pairs, and levels of compressing them.

python -m benchmarks.encoding    the figures on encoding of docs/performance.md
"""

import pathlib
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import rich.box
import rich.console
import rich.table
import tensorflow as tf
from tfx_bsl.coders import example_coder

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, tfrecords
from keras_mvlift.studio import synthetic

LEVELS = (1, 2, 3, 4, 6)
# The best of this many is taken: the machine is not ours alone.
_NUM_TRIES = 3


def columns(num_frames: int) -> tfrecords.Columns:
    """Films a clip with the studio and lays out its pairs."""
    studio = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=num_frames)
    split = preparation.BySubject(test_subjects=())
    clip = studio.read(studio.clips()[0])
    return preparation.prepare(clip, split, configs.DataConfig()).train_pairs


def arrow(table: tfrecords.Columns) -> list[bytes]:
    """Encodes with tfx_bsl, then puts the features in a fixed order, which it does not."""
    arrays = []
    for values in table.values():
        flat = values.reshape(len(values), -1)
        offsets = np.arange(0, flat.size + 1, flat.shape[1])
        is_text, is_integer = values.dtype == object, values.dtype.kind == "i"
        texts = pa.array(
            [text.encode() for text in flat.ravel()] if is_text else [], pa.large_binary()
        )
        numbers = np.zeros(0) if is_text else flat.ravel()
        items = (
            texts if is_text else pa.array(numbers if is_integer else numbers.astype(np.float32))
        )
        arrays.append(pa.LargeListArray.from_arrays(offsets, items))
    batch = pa.RecordBatch.from_arrays(arrays, [*table])
    records = example_coder.RecordBatchToExamplesEncoder(None).encode(batch)
    parse = tf.train.Example.FromString
    return [parse(record).SerializeToString(deterministic=True) for record in records]


def rate(num_records: int, call: Callable[[], object]) -> float:
    """Returns the best of some tries, records per second."""
    seconds = []
    for _ in range(_NUM_TRIES):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return num_records / min(seconds)


def compress(records: list[bytes], level: int, path: pathlib.Path) -> None:
    """Writes records to a file."""
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=level)
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)


def run(num_frames: int) -> list[tuple[str, float, float]]:
    """Returns name, records per second and bytes per record of each way."""
    table = columns(num_frames)
    records = tfrecords.encode(table)
    size = float(np.mean([len(record) for record in records]))
    encoders = {"templates": tfrecords.encode, "tfx_bsl, then ordered": arrow}
    rows = []
    for name, encoder in encoders.items():
        encoding = rate(len(records), lambda encoder=encoder: encoder(table))  # type: ignore[misc]
        rows.append((name, encoding, size))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "records.gz"
        for level in LEVELS:
            writing = rate(len(records), lambda level=level: compress(records, level, path))  # type: ignore[misc]
            rows.append((f"gzip, level {level}", writing, path.stat().st_size / len(records)))
    return rows


def main() -> None:
    """Prints the table."""
    table = rich.table.Table("", "records/s", "bytes/record", box=rich.box.MARKDOWN)
    for name, per_second, size in run(num_frames=2500):
        table.add_row(name, f"{per_second:,.0f}", f"{size:,.0f}")
    rich.console.Console(width=120).print(table)


if __name__ == "__main__":
    main()
