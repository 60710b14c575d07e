"""Compares lifting files of stored views with lifting the same views in memory.

    python -m benchmarks.bulk_inference            the table of docs/performance.md
    python -m benchmarks.bulk_inference --quick    as the test does

Every line is a process of its own, on the same machine, one after the other. Lifting files takes
in all that it takes: Beam's start, loading the model, reading, checking, lifting and writing.
"""

import argparse
import json
import pathlib
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rich.box
import rich.console
import rich.table
import tensorflow as tf

from benchmarks import exports, measured
from components.bulk_inference import job
from keras_mvlift import configs, inference
from keras_mvlift.datasets import tfrecords

IN_MEMORY = "`model.lift` in memory"
RATIO = "ratio"
FILES = {"parquet": "views-{}.parquet", "tfrecord": "views-{}.gz"}
_NUM_DISTINCT = 4096


class Trial(NamedTuple):
    """What is measured.

    Attributes:
        widths: Of the networks.
        num_poses: In all files together.
        num_files: Of each format.
        forms: Which formats are lifted, of `FILES`.
    """

    widths: tuple[int, ...]
    num_poses: int
    num_files: int
    forms: tuple[str, ...] = tuple(FILES)


FULL = Trial(widths=(256, 1024), num_poses=200_000, num_files=4)
QUICK = Trial(widths=(64,), num_poses=6_000, num_files=2, forms=("tfrecord",))
BATCH_SIZE = job.BulkLift.batch_size


def run(trial: Trial, folder: pathlib.Path) -> list[dict[str, Any]]:
    """Measures a trial; writes below a folder."""
    views = _views(trial.num_poses)
    np.savez(folder / "views.npz", **views)
    for number, rows in enumerate(np.array_split(np.arange(trial.num_poses), trial.num_files)):
        _write(folder, number, {name: values[rows] for name, values in views.items()})
    rows = []
    for width in trial.widths:
        model = folder / f"model-{width}"
        exports.save(configs.ModelConfig(width=width), model)
        usual = measured.call(in_memory, str(model), str(folder / "views.npz"))
        rows.append(_row(IN_MEMORY, width, trial.num_poses, usual, usual.result))
        for form in trial.forms:
            output = folder / f"{form}-{width}"
            bulk = job.BulkLift(
                model=str(model),
                inputs=(str(folder / FILES[form].format("*")),),
                output=str(output),
                form=form,
                max_lost_share=0.0,
            )
            found = measured.call(job.run, bulk)
            row = _row(f"{form} to {form}", width, found.result["poses"], found, found.seconds)
            rows.append(row | {"bytes_per_pose": _num_bytes(output) / trial.num_poses})
    rates = {row["width"]: row["poses_per_s"] for row in rows if row["run"] == IN_MEMORY}
    return [row | {RATIO: row["poses_per_s"] / rates[row["width"]]} for row in rows]


def in_memory(model: str, path: str) -> float:
    """Lifts arrays; gives the seconds that it took, the model and the arrays being there."""
    lifter = inference.load_model(model)
    with np.load(path) as file:
        arrays = [file[name] for name in ("keypoints_2d", "confidence", "intrinsics")]
    lifter.lift(*(array[:BATCH_SIZE] for array in arrays))
    start = time.perf_counter()
    for first in range(0, len(arrays[0]), BATCH_SIZE):
        lifter.lift(*(array[first : first + BATCH_SIZE] for array in arrays))
    return time.perf_counter() - start


def _views(num_poses: int) -> tfrecords.Columns:
    """Returns views of people in the studio, each moved by some pixels."""
    seen = exports.studio_views(min(num_poses, _NUM_DISTINCT))
    rows = np.arange(num_poses)
    views = {
        name: np.resize(values, (num_poses, *values.shape[1:])) for name, values in seen.items()
    }
    shift = np.random.default_rng(0).normal(size=(num_poses, 1, 2))
    views["keypoints_2d"] += shift.astype(np.float32)
    return views | {
        "clip": np.array(["S01_walking_01", "S01_turning_01"], object)[rows * 2 // num_poses],
        "camera": np.full(num_poses, "camera_1", object),
        "frame": rows,
        "rotation": np.tile(np.eye(3, dtype=np.float32), (num_poses, 1, 1)),
        "center": np.zeros((num_poses, 3), np.float32),
    }


def _write(folder: pathlib.Path, number: int, columns: tfrecords.Columns) -> None:
    lists = {
        name: pa.array(list(values.reshape(len(values), -1))) if values.ndim > 1 else values
        for name, values in columns.items()
    }
    pq.write_table(pa.table(lists), folder / FILES["parquet"].format(number))
    path = folder / FILES["tfrecord"].format(number)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in tfrecords.encode(columns):
            writer.write(record)


def _row(
    name: str, width: int, num_poses: int, found: measured.Measured, seconds: float
) -> dict[str, Any]:
    return {
        "run": name,
        "width": width,
        "poses": num_poses,
        "seconds": seconds,
        "poses_per_s": num_poses / seconds,
        "bytes_per_pose": None,
        "start_gb": found.start_bytes / measured.GIGABYTE,
        "peak_gb": found.peak_bytes / measured.GIGABYTE,
    }


def _num_bytes(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("poses-*"))


FORMATS = {
    "run": "{}",
    "width": "{}",
    "poses": "{:,}",
    "seconds": "{:.1f}",
    "poses_per_s": "{:,.0f}",
    "bytes_per_pose": "{:.0f}",
    "start_gb": "{:.2f}",
    "peak_gb": "{:.2f}",
    RATIO: "{:.2f}",
}


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the table; the last column is the rate over that of lifting in memory."""
    names = [name.replace("_per_", "/").replace("_", " ") for name in FORMATS]
    table = rich.table.Table(*names, box=rich.box.MARKDOWN)
    for row in rows:
        cells = {
            name: text.format(row[name]) for name, text in FORMATS.items() if row[name] is not None
        }
        table.add_row(*(cells.get(name, "-") for name in FORMATS))
    rich.console.Console(width=160).print(table)


def main() -> None:
    """Runs the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Compares lifting files with lifting arrays."
    )
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--num_poses", type=int, default=FULL.num_poses)
    parser.add_argument("--scratch", help="where to write; a temporary folder without")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    options = parser.parse_args()
    if options.scratch:
        pathlib.Path(options.scratch).mkdir(parents=True, exist_ok=True)
    trial = QUICK if options.quick else FULL._replace(num_poses=options.num_poses)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        rows = run(trial, pathlib.Path(folder))
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
