"""Compares the training's reading of pairs with reading them one by one, on the studio.

    python -m benchmarks.reading            the table of docs/performance.md
    python -m benchmarks.reading --quick    as the test does

Both read the same compressed files, shuffle within as many records and give batches of the same
size, for one epoch from its start.
"""

import argparse
import json
import pathlib
import tempfile
import time
from typing import Any

import rich.box
import rich.console
import rich.table
import tensorflow as tf

from components.example_gen import files
from keras_mvlift import configs
from keras_mvlift.datasets import preparation, tfrecords
from keras_mvlift.studio import synthetic

BATCHED, ONE_BY_ONE = "view_pairs.load", "parsed one by one"
BATCH_SIZE = 1024
SHUFFLED = 65_536

FULL = synthetic.Studio(num_subjects=4, num_clips=10, num_frames=2500, frame_rate=50.0)
QUICK = synthetic.Studio(num_subjects=2, num_clips=4, num_frames=1000, frame_rate=50.0)

_SHAPES = {
    "keypoints_2d": (17, 2),
    "confidence": (17,),
    "intrinsics": (3, 3),
    "rotation": (3, 3),
    "center": (3,),
}


def write(studio: synthetic.Studio, folder: pathlib.Path) -> int:
    """Writes the pairs of each clip to a file; gives how many there are."""
    split, num_pairs = preparation.BySubject(test_subjects=()), 0
    for clip in studio.clips():
        prepared = preparation.prepare(studio.read(clip), split, configs.DataConfig())
        files.write(str(folder), f"{clip}.gz", prepared.train_pairs)
        num_pairs += prepared.counts["train_pairs"]
    return num_pairs


def one_by_one(pattern: str) -> tf.data.Dataset:
    """Parses each record by itself, shuffles and batches, as TensorFlow's guides do."""
    features = {
        f"{side}/{field}": tf.io.FixedLenFeature(shape, tf.float32)
        for side in ("source", "target")
        for field, shape in _SHAPES.items()
    }
    files = tf.data.Dataset.list_files(pattern, seed=0)
    records = tf.data.TFRecordDataset(files, "GZIP").map(
        lambda record: tf.io.parse_single_example(record, features), tf.data.AUTOTUNE
    )
    batches = records.shuffle(SHUFFLED, seed=0).batch(BATCH_SIZE, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def run(studio: synthetic.Studio, folder: pathlib.Path) -> list[dict[str, Any]]:
    """Measures an epoch of both, and what counting the records takes."""
    num_pairs = write(studio, folder)
    pattern, num_batches = str(folder / "*.gz"), num_pairs // BATCH_SIZE
    datasets = {
        ONE_BY_ONE: one_by_one(pattern),
        BATCHED: tfrecords.load(pattern, BATCH_SIZE, seed=0),
    }
    rows = [_row(name, dataset.take(num_batches)) for name, dataset in datasets.items()]
    start = time.perf_counter()
    counted = tfrecords.count(pattern)
    seconds = time.perf_counter() - start
    rows.append({"run": "view_pairs.count", "pairs": counted, "seconds": seconds})
    for row in rows:
        row["pairs_per_s"] = row["pairs"] / row["seconds"]
        row["ratio"] = row["pairs_per_s"] / rows[0]["pairs_per_s"]
    return rows


def _row(name: str, dataset: tf.data.Dataset) -> dict[str, Any]:
    start, computed = time.perf_counter(), time.process_time()
    num_batches = sum(1 for _ in dataset)
    seconds, computed = time.perf_counter() - start, time.process_time() - computed
    pairs = num_batches * BATCH_SIZE
    return {"run": name, "pairs": pairs, "seconds": seconds, "computing": computed}


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the table; the last column is the rate over that of parsing one by one."""
    table = rich.table.Table("run", "pairs", "seconds", "pairs/s", "ratio", box=rich.box.MARKDOWN)
    for row in rows:
        figures = (f"{row['pairs']:,}", f"{row['seconds']:.1f}", f"{row['pairs_per_s']:,.0f}")
        table.add_row(row["run"], *figures, f"{row['ratio']:.1f}")
    rich.console.Console(width=120).print(table)


def main() -> None:
    """Runs the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Compares two ways to read pairs."
    )
    parser.add_argument("--quick", action="store_true", help="some seconds")
    parser.add_argument("--scratch", help="where to write; a temporary folder without")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        rows = run(QUICK if options.quick else FULL, pathlib.Path(folder))
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
