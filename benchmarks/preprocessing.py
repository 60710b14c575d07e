"""Compares ExampleGen with building records one by one, on a simulated release of Human3.6M.

    python -m benchmarks.preprocessing            the tables of docs/performance.md
    python -m benchmarks.preprocessing --quick    as the test does

Every line is a Beam pipeline of its own, in a process of its own, on the same machine, one after
the other. The records are the same whoever builds them.
"""

import argparse
import json
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import rich.box
import rich.console
import rich.table

from benchmarks import measured, preprocessors
from keras_mvlift import configs
from keras_mvlift.datasets.human36m import protocol, rig
from keras_mvlift.studio import human36m

IN_BATCHES, ONE_BY_ONE = "ExampleGen", "one by one"
RATIO = "ratio"


class Size(NamedTuple):
    """The size of a release.

    Attributes:
        name: As a share of the full size.
        num_takes: Per subject, of which there are seven.
        num_frames: Per take, before four cameras.
    """

    name: str
    num_takes: int
    num_frames: int


class Trial(NamedTuple):
    """What is measured.

    Attributes:
        sizes: From small to large.
        num_clips: How many clips of the largest are preprocessed one by one.
        suffixes: Of the files that are then written; they say whether to compress.
        arguments: Beam's arguments for a run more at the last size.
        num_virtual_views: In a run more at the first size.
    """

    sizes: tuple[Size, ...]
    num_clips: int
    suffixes: tuple[str, ...] = (".gz",)
    arguments: tuple[str, ...] = ()
    num_virtual_views: int = 0


# 7 x 30 x 2,500 frames before 4 cameras are 2.1 million view frames.
FULL = Trial(
    sizes=(Size("1/16", 2, 2344), Size("1/4", 8, 2344), Size("1", 30, 2500)),
    num_clips=12,
    suffixes=(".gz", ""),
    arguments=("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    num_virtual_views=8,
)
QUICK = Trial(sizes=(Size("1/20", 2, 1875),), num_clips=2)


def run(trial: Trial, scratch: pathlib.Path) -> list[dict[str, Any]]:
    """Measures a trial; writes below a folder, and removes what it wrote there."""
    rows = []
    for size in trial.sizes:
        root = scratch / f"release-{size.num_takes}x{size.num_frames}"
        _release(root, size)
        for name, job, config, *arguments in _runs(trial, size):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                found = measured.call(job, config, str(root), folder, *arguments)
            rows.append({"run": name, "size": size.name} | _figures(found))
        shutil.rmtree(root)
    rates = {row["run"]: row["pairs_per_s"] for row in rows}
    for row in rows:
        row[RATIO] = row["pairs_per_s"] / rates[ONE_BY_ONE]
    return rows


def config(num_virtual_views: int = 0) -> configs.DataConfig:
    """Asks for the field's protocol on the exact projections, of every take."""
    return configs.DataConfig(
        source="human36m",
        source_options=json.dumps({"detections": "D2_Positions", "drop": []}),
        split="subject",
        split_options=json.dumps({"test_subjects": protocol.TEST_SUBJECTS}),
        num_virtual_views=num_virtual_views,
    )


def _runs(trial: Trial, size: Size) -> Iterator[tuple[Any, ...]]:
    """Returns what is run on a release: its name, a preprocessor, its config and arguments."""
    in_batches, one_by_one = preprocessors.in_batches, preprocessors.one_by_one
    yield IN_BATCHES, in_batches, config()
    if size == trial.sizes[0] and trial.num_virtual_views:
        name = f"{IN_BATCHES}, {trial.num_virtual_views} virtual views"
        yield name, in_batches, config(trial.num_virtual_views)
    if size == trial.sizes[-1]:
        if trial.arguments:
            arguments = (preprocessors.RUNNER, *trial.arguments)
            yield f"{IN_BATCHES}, 2 processes", in_batches, config(), arguments
        for suffix in trial.suffixes:
            name = ONE_BY_ONE if suffix else f"{ONE_BY_ONE}, not compressed"
            yield name, one_by_one, config(), trial.num_clips, suffix


def _release(root: pathlib.Path, size: Size) -> None:
    takes = human36m.write_release(
        root,
        subjects=rig.SUBJECTS,
        num_takes=size.num_takes,
        num_frames=size.num_frames,
        num_distinct_takes=1,
        formats=("cdf",),
    )
    for _ in takes:
        pass


def _figures(found: measured.Measured) -> dict[str, Any]:
    written: preprocessors.Written = found.result
    num_records = written.num_pairs + written.num_views
    return {
        "clips": written.num_clips,
        "pairs": written.num_pairs,
        "test_views": written.num_views,
        "seconds": found.seconds,
        "pairs_per_s": written.num_pairs / found.seconds,
        "records_per_s": num_records / found.seconds,
        "bytes_per_record": written.num_bytes / num_records,
        "start_gb": found.start_bytes / measured.GIGABYTE,
        "peak_gb": found.peak_bytes / measured.GIGABYTE,
    }


FORMATS = {
    "run": "{}",
    "size": "{}",
    "clips": "{}",
    "pairs": "{:,}",
    "test_views": "{:,}",
    "seconds": "{:.1f}",
    "pairs_per_s": "{:,.0f}",
    "records_per_s": "{:,.0f}",
    "bytes_per_record": "{:.0f}",
    "start_gb": "{:.2f}",
    "peak_gb": "{:.2f}",
    RATIO: "{:.1f}",
}


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the table; the last column is the rate over that of building one by one."""
    names = [name.replace("_per_", "/").replace("_", " ") for name in FORMATS]
    table = rich.table.Table(*names, box=rich.box.MARKDOWN)
    for row in rows:
        table.add_row(*(text.format(row[name]) for name, text in FORMATS.items()))
    rich.console.Console(width=200).print(table)


def main() -> None:
    """Runs the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Compares two ways to preprocess."
    )
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--scratch", help="where to write; a temporary folder without")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    options = parser.parse_args()
    if options.scratch:
        pathlib.Path(options.scratch).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        rows = run(QUICK if options.quick else FULL, pathlib.Path(folder))
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
