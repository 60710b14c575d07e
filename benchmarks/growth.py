"""Measures time and memory of a unit of work as the work doubles and doubles again.

    python -m benchmarks.growth            the table of docs/performance.md
    python -m benchmarks.growth --quick    as the test does

Every line is a process of its own, several times over, by turns; of each the best is taken.
"""

import argparse
import json
import math
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil
import rich.box
import rich.console
import rich.table

from benchmarks import growing, measured


class Work(NamedTuple):
    """What grows.

    Attributes:
        what: Grows.
        name: Of the work.
        unit: In which work is counted.
        function: Does the work in a folder at a size.
        sizes: From the smallest to the largest.
    """

    what: str
    name: str
    unit: str
    function: Callable[[pathlib.Path, int], growing.Done]
    sizes: tuple[int, ...]


class Cost(NamedTuple):
    """What a work took at its best.

    Attributes:
        seconds: Its time.
        added: Bytes of memory at most, beyond those at its start.
        done: What it came to.
    """

    seconds: float
    added: float
    done: growing.Done

    @property
    def time_each(self) -> float:
        """Seconds of a unit."""
        return self.seconds / self.done.units

    @property
    def memory_each(self) -> float:
        """Bytes of a unit of what is kept."""
        return self.added / self.done.kept


FRAMES, CAMERAS, JOINTS, WIDTHS = (
    (8000, 16_000, 32_000),
    (4, 8, 16),
    (17, 34, 68),
    (256, 512, 1024, 2048),
)
FULL = (
    Work("frames", "make and write records", "pair", growing.prepare_frames, FRAMES),
    Work("frames", "read and train an epoch", "pair", growing.train_frames, FRAMES),
    Work("cameras", "make and write records", "pair", growing.prepare_cameras, CAMERAS),
    Work("cameras", "read and train an epoch", "pair", growing.train_cameras, CAMERAS),
    Work("cameras", "training step on all views", "view", growing.compare, CAMERAS),
    Work("cameras", "what all views agree on", "view", growing.agree, CAMERAS),
    Work("joints", "triangulate, project, compare", "joint", growing.geometry, JOINTS),
    Work("joints", "write and parse records", "number", growing.records, JOINTS),
    Work("width", "training step on pairs", "MFLOP", growing.step, WIDTHS),
)
QUICK = (
    Work("joints", "triangulate, project, compare", "joint", growing.geometry, (17, 68)),
    Work("joints", "write and parse records", "number", growing.records, (17, 68)),
)
TURNS = 2

Call = Callable[..., measured.Measured]


def run(
    works: tuple[Work, ...], folder: pathlib.Path, turns: int, call: Call
) -> list[dict[str, Any]]:
    """Measures works at all of their sizes, with what calls a function and watches its memory."""
    sized = [(work, size) for work in works for size in work.sizes]
    best: dict[tuple[Work, int], Cost] = {}
    for _ in range(turns):
        for work, size in sized:
            found = call(work.function, folder, size)
            done, added = found.result, found.peak_bytes - found.start_bytes
            last = best.get((work, size), Cost(math.inf, math.inf, done))
            best[work, size] = Cost(min(last.seconds, done.seconds), min(last.added, added), done)
    return [
        _figures(work, size, best[work, size], best[work, work.sizes[0]]) for work, size in sized
    ]


def here(function: Callable[..., Any], *arguments: Any) -> measured.Measured:
    """Calls a function in this process, whose memory is looked at before and after."""
    start_bytes, start = psutil.Process().memory_info().rss, time.perf_counter()
    result = function(*arguments)
    seconds = time.perf_counter() - start
    peak_bytes = max(psutil.Process().memory_info().rss, start_bytes)
    return measured.Measured(result, seconds, start_bytes, peak_bytes)


def _figures(work: Work, size: int, cost: Cost, first: Cost) -> dict[str, Any]:
    return {
        "what": work.what,
        "work": work.name,
        "unit": work.unit,
        "size": size,
        "units": cost.done.units,
        "us_per_unit": 1e6 * cost.time_each,
        "time_ratio": cost.time_each / first.time_each,
        "added_gb": cost.added / measured.GIGABYTE,
        "memory_ratio": cost.memory_each / first.memory_each if first.added else None,
    }


FORMATS = {
    "what": "{}",
    "size": "{:,}",
    "work": "{}",
    "units": "{:,.0f}",
    "unit": "{}",
    "us_per_unit": "{:.3g}",
    "time_ratio": "{:.2f}",
    "added_gb": "{:.2f}",
    "memory_ratio": "{:.2f}",
}
NAMES = ("grows", "to", "work", "units", "of a", "µs each", "ratio", "GB more", "ratio each")


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the table; ratios are over the first line of the same work."""
    table = rich.table.Table(*NAMES, box=rich.box.MARKDOWN)
    for row in rows:
        table.add_row(
            *("-" if row[key] is None else text.format(row[key]) for key, text in FORMATS.items())
        )
    rich.console.Console(width=160).print(table)


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description="Measures work as it grows.")
    parser.add_argument("--quick", action="store_true", help="some seconds, in one process")
    parser.add_argument("--what", nargs="+", choices=sorted({work.what for work in FULL}))
    parser.add_argument("--turns", type=int, default=TURNS, help="how often all is run")
    parser.add_argument("--scratch", help="where to write; a temporary folder without")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    options = parser.parse_args()
    works = tuple(work for work in FULL if not options.what or work.what in options.what)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        if options.quick:
            rows = run(QUICK, pathlib.Path(folder), 1, here)
        else:
            rows = run(works, pathlib.Path(folder), options.turns, measured.call)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
