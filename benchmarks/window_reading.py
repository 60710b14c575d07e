"""Measures how fast windows are made of the records of the studio, and their memory.

    python -m benchmarks.window_reading            the table of docs/temporal.md
    python -m benchmarks.window_reading --quick    as the test does

Each run reads one epoch from its start, in a process of its own.
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

from benchmarks import measured, reading
from keras_mvlift.datasets import tfrecords, view_windows
from keras_mvlift.studio import synthetic

BATCH_SIZE = 256
NUM_FRAMES = (27, 81, 243)

FULL = synthetic.Studio(num_subjects=2, num_clips=8, num_frames=2000, frame_rate=50.0)
QUICK = synthetic.Studio(num_subjects=1, num_clips=2, num_frames=200, frame_rate=50.0)


def read(pattern: str, num_frames: int) -> tuple[int, float]:
    """Returns the pairs of an epoch and the seconds that it took, its start included."""
    start = time.perf_counter()
    num_batches = tfrecords.count(pattern) // BATCH_SIZE
    windows = view_windows.Windows(num_frames)
    batches = view_windows.load(pattern, BATCH_SIZE, windows, seed=0).take(num_batches)
    return sum(1 for _ in batches) * BATCH_SIZE, time.perf_counter() - start


def run(
    studio: synthetic.Studio, folder: pathlib.Path, lengths: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Measures an epoch of windows of each length."""
    reading.write(studio, folder)
    rows = []
    for num_frames in lengths:
        called = measured.call(read, str(folder / "*.gz"), num_frames)
        num_pairs, seconds = called.result
        added = (called.peak_bytes - called.start_bytes) / measured.GIGABYTE
        rows.append({"frames": num_frames, "pairs": num_pairs, "seconds": seconds, "gb": added})
    return rows


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Measures the reading of windows."
    )
    parser.add_argument("--quick", action="store_true", help="some seconds")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = (QUICK, NUM_FRAMES[:1]) if options.quick else (FULL, NUM_FRAMES)
        rows = run(chosen[0], pathlib.Path(folder), chosen[1])
    table = rich.table.Table("frames", "pairs", "pairs/s", "added GB", box=rich.box.MARKDOWN)
    for row in rows:
        rate = f"{row['pairs'] / row['seconds']:,.0f}"
        table.add_row(str(row["frames"]), f"{row['pairs']:,}", rate, f"{row['gb']:.2f}")
    rich.console.Console(width=100).print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
