"""Measures training steps beside PyTorch's and beside the networks' matrix products alone.

    python -m benchmarks.training_speed --torch-python PYTHON    the table of docs/performance.md
    python -m benchmarks.training_speed --quick                  as the test does

PYTHON is an interpreter of an environment that has PyTorch and NumPy; before it is timed, its loss
and gradient must be ours. What is compared takes turns, so that what else the machine does meets
all alike, and the least time of each counts. On a machine with a GPU our steps run there; PyTorch's
do not.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import tempfile
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table

from benchmarks import exports, torch_process, training_steps
from keras_mvlift import configs
from keras_mvlift.datasets import views

STEP, NETWORKS, PRODUCTS, TORCH = "step", "networks", "products", "PyTorch"
# How nearly PyTorch must have our loss, and the norm of our gradient.
_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """How large steps are, and how many are measured.

    Attributes:
        widths: Units of each dense layer.
        batch_size: Pairs of a step.
        num_rounds: How often each takes its turn.
        num_calls: Steps of a turn.
        precision: What the networks reckon in; PyTorch and the products keep to float32.
    """

    widths: tuple[int, ...] = (256, 1024)
    batch_size: int = 1024
    num_rounds: int = 6
    num_calls: int = 4
    precision: str = "float32"


QUICK = Size(widths=(32,), batch_size=16, num_rounds=2, num_calls=2)


def measure(
    run: str, width: int, size: Size, seen: views.View, torch_python: pathlib.Path | None = None
) -> dict[str, Any]:
    """Measures one run of `training_steps.RUNS` at one width; ratios are of the least times."""
    build = functools.partial(training_steps.build, run, width, precision=size.precision)
    lifter, num_views = build(), 2 * size.batch_size
    batch = training_steps.batch_of(run, seen, size.batch_size)
    calls = {
        STEP: training_steps.stepper(lifter, batch),
        NETWORKS: training_steps.networks_alone(build(), num_views),
        PRODUCTS: training_steps.products(num_views, width),
    }
    timers: dict[str, exports.Timer] = {
        name: functools.partial(exports.timed, call) for name, call in calls.items()
    }
    with contextlib.ExitStack() as stack:
        if torch_python is not None and isinstance(batch, views.ViewPair):
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            torch = _torch(run, width, batch, torch_python, folder)
            stack.callback(torch.close)
            timers[TORCH] = torch.seconds
        for timer in timers.values():
            timer(1)  # Traces, and fills caches.
        taken = exports.latencies(timers, size.num_rounds, size.num_calls)
    least = {name: float(seconds.min()) for name, seconds in taken.items()}
    limit = training_steps.products_per_step(lifter, width) * least[PRODUCTS]
    limit /= training_steps.NUM_PRODUCTS
    return {
        "width": width,
        "recipe": run,
        "least_ms": least[STEP] * exports.MILLISECONDS,
        "p50_ms": float(np.median(taken[STEP])) * exports.MILLISECONDS,
        "pairs_per_second": size.batch_size / least[STEP],
        "times_pytorch": least[TORCH] / least[STEP] if TORCH in least else None,
        "share_of_limit": limit / least[STEP],
        "outside_networks": 1 - least[NETWORKS] / least[STEP],
        "num_traces": lifter.train_tf_function.experimental_get_tracing_count(),
    }


def _torch(
    run: str, width: int, pair: views.ViewPair, python: pathlib.Path, folder: pathlib.Path
) -> torch_process.TorchTraining:
    """Starts PyTorch at our weights, and holds its loss and gradient against ours."""
    lifter = training_steps.build(run, width, dropout=0.0)
    training_steps.write_start(lifter, pair, folder / "start.npz")
    torch = torch_process.TorchTraining(python, folder / "start.npz", os.cpu_count() or 1)
    theirs, ours = torch.start(), training_steps.loss_and_gradient(lifter, pair)
    if not np.allclose(theirs, ours, rtol=_TOLERANCE):
        torch.close()
        rule = f"PyTorch's loss and the norm of its gradient must be ours, {ours}"
        raise ValueError(f"{rule}. Received: {theirs}.")
    return torch


def print_table(rows: list[dict[str, Any]], console: rich.console.Console) -> None:
    """Prints the rows as Markdown."""
    times = ("least ms", "p50 ms", "pairs/s")
    ratios = ("times PyTorch", "of the limit", "outside networks")
    table = rich.table.Table("width", "recipe", *times, *ratios, box=rich.box.MARKDOWN)
    for row in rows:
        times = row["times_pytorch"]
        table.add_row(
            f"{row['width']:,}",
            row["recipe"],
            *(f"{row[name]:.1f}" for name in ("least_ms", "p50_ms")),
            f"{row['pairs_per_second']:,.0f}",
            "-" if times is None else f"{times:.2f}",
            *(f"{row[name]:.0%}" for name in ("share_of_limit", "outside_networks")),
        )
    console.print(table)


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description="Measures training steps.")
    parser.add_argument("--widths", type=int, nargs="+", help="units of each dense layer")
    parser.add_argument("--batch_size", type=int, help="pairs of a step")
    parser.add_argument("--precision", choices=configs.PRECISIONS, help="of our networks")
    parser.add_argument("--runs", nargs="+", choices=training_steps.RUNS, help="some of them")
    parser.add_argument("--quick", action="store_true", help="some seconds, tiny networks")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    parser.add_argument(
        "--torch-python", type=pathlib.Path, help="an interpreter with PyTorch and NumPy"
    )
    options = parser.parse_args()
    size = QUICK if options.quick else Size()
    chosen = {name: getattr(options, name) for name in ("widths", "batch_size", "precision")}
    size = dataclasses.replace(size, **{name: value for name, value in chosen.items() if value})
    seen = training_steps.filmed(2 * size.batch_size)
    rows = [
        measure(run, width, size, seen, options.torch_python)
        for width in size.widths
        for run in options.runs or training_steps.RUNS
    ]
    console = rich.console.Console(width=120)
    print_table(rows, console)
    if options.torch_python is None:
        console.print(
            f"{TORCH} was not measured: `--torch-python` names no interpreter that has it."
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
