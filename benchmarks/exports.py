"""Measures what a model takes in each of its formats: megabytes, and milliseconds of a call.

    python -m benchmarks.exports                          networks of the paper's size
    python -m benchmarks.exports --model studio           a trained model: a name, or its folder
    python -m benchmarks.exports --quick                  as the test does
    python -m benchmarks.exports --torch-python PYTHON    beside PyTorch networks of the same shape

PYTHON is an interpreter of an environment that has PyTorch and NumPy. Calls of the formats take
turns, so that what else the machine does meets them alike.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table

from benchmarks import export_formats, torch_process
from keras_mvlift import configs, inference
from keras_mvlift.export import saved_model
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import residual
from keras_mvlift.studio import synthetic
from keras_mvlift.training import lifters, objectives

Timer = Callable[[int], list[float]]
"""Makes a number of calls in a row; gives the seconds of each."""

TORCH = "PyTorch"
MEGABYTE, MILLISECONDS = 1e6, 1e3
# Calls of a format in a row, so that it finds its weights where its last call left them.
CALLS_IN_A_ROW = 10
_RIG_DISTANCE = 5.0


def save(config: configs.ModelConfig, folder: pathlib.Path) -> None:
    """Saves networks that nobody trained, but to say that somebody stands; they take as long."""
    studio = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=1)
    clip = studio.read(studio.clips()[0])
    intrinsics = np.asarray(clip.camera.intrinsics)[0].tolist()
    lifter = lifters.build(config, objectives.TransformReprojection(), _RIG_DISTANCE, intrinsics)
    camera = cameras.Camera(*(field[0] for field in clip.camera))
    standing = np.asarray(cameras.camera_from_world(np.asarray(clip.pose_world)[0], camera))
    # A pose from which it can be told where it is, as of a trained model; half precision bears it.
    bias = (standing - standing[:1]).astype(np.float16)
    lifter.lifting_network.trainable_variables[-1].assign(bias.reshape(-1).astype(np.float32))
    about = {"model": dataclasses.asdict(config), "rig_distance": _RIG_DISTANCE}
    saved_model.save(lifter, about | {"intrinsics": intrinsics}, folder)


def studio_views(batch_size: int) -> export_formats.Views:
    """Returns views of people in the studio, `[B, ...]`."""
    studio = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=batch_size)
    clip = studio.read(studio.clips()[0])
    intrinsics = np.tile(np.asarray(clip.camera.intrinsics)[0], (batch_size, 1, 1))
    arrays = (clip.keypoints_2d[0], clip.confidence[0], intrinsics)
    return {
        name: array.astype(np.float32)
        for name, array in zip(export_formats.NAMES, arrays, strict=True)
    }


def run(
    made: dict[str, export_formats.Format],
    batch_sizes: tuple[int, ...],
    num_rounds: int,
    torch: torch_process.TorchNetworks | None = None,
) -> list[dict[str, Any]]:
    """Measures every format with batches of each size; a row each.

    `difference_mm` is the mean distance of its joints from those of `load_model().lift`, None of
    `torch`, whose weights are its own, and `ratio` that of its median time to the latter's.
    """
    rows = []
    sizes = {name: form.size for name, form in made.items()}
    if torch is not None:
        sizes[TORCH] = torch.size
    for batch_size in batch_sizes:
        views = studio_views(batch_size)
        runs = {name: form.prepare(views) for name, form in made.items()}
        timers: dict[str, Timer] = {
            name: functools.partial(timed, run) for name, run in runs.items()
        }
        if torch is not None:
            timers[TORCH] = functools.partial(torch.seconds, batch_size)
        differences = _differences({name: run()["pose_camera"] for name, run in runs.items()})
        taken = latencies(timers, num_rounds)
        usual = np.median(taken[export_formats.LIFT])
        for name, seconds in taken.items():
            half, most = np.percentile(seconds, [50, 99])
            rows.append(
                {
                    "format": name,
                    "bytes": sizes[name],
                    "batch_size": batch_size,
                    "least_ms": float(seconds.min() * MILLISECONDS),
                    "p50_ms": float(half * MILLISECONDS),
                    "p99_ms": float(most * MILLISECONDS),
                    "ratio": float(half / usual),
                    "difference_mm": differences.get(name),
                }
            )
    return rows


def _differences(poses: dict[str, np.ndarray]) -> dict[str, float]:
    ours = poses[export_formats.LIFT]
    distances = {name: np.linalg.norm(pose - ours, axis=-1) for name, pose in poses.items()}
    return {name: float(distance.mean() * MILLISECONDS) for name, distance in distances.items()}


def timed(call: Callable[[], object], num_calls: int) -> list[float]:
    """Returns the seconds of each of some calls in a row, `[num_calls]`."""
    taken = []
    for _ in range(num_calls):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def latencies(
    timers: dict[str, Timer], num_rounds: int, num_calls: int = CALLS_IN_A_ROW
) -> dict[str, np.ndarray]:
    """Returns the seconds of each call, `[num_rounds * num_calls]`, of each that takes turns."""
    taken: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(num_rounds):
        for name, timer in timers.items():
            taken[name] += timer(num_calls)
    return {name: np.array(seconds) for name, seconds in taken.items()}


def print_table(rows: list[dict[str, Any]], console: rich.console.Console) -> None:
    """Prints the rows as Markdown."""
    columns = (
        "format",
        "MB",
        "batch",
        "least ms",
        "p50 ms",
        "p99 ms",
        "ratio",
        "poses/s",
        "off mm",
    )
    table = rich.table.Table(*columns, box=rich.box.MARKDOWN)
    for row in rows:
        rate = row["batch_size"] / row["p50_ms"] * MILLISECONDS
        off = row["difference_mm"]
        table.add_row(
            row["format"],
            f"{row['bytes'] / MEGABYTE:.1f}",
            f"{row['batch_size']:,}",
            *(f"{row[name]:.2f}" for name in ("least_ms", "p50_ms", "p99_ms", "ratio")),
            f"{rate:,.0f}",
            "-" if off is None else f"{off:.3f}",
        )
    console.print(table)


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Measures a model in each of its formats."
    )
    parser.add_argument("--model", help="a trained model's folder, or the name of a shipped one")
    parser.add_argument("--quick", action="store_true", help="some seconds, a tiny model")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    parser.add_argument(
        "--torch-python", type=pathlib.Path, help="an interpreter with PyTorch and NumPy"
    )
    options = parser.parse_args()
    console = rich.console.Console(width=110)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        config = configs.ModelConfig(width=64) if options.quick else configs.ModelConfig()
        if options.model is None:
            save(config, folder / "saved")
        lifter = inference.load_model(options.model or folder / "saved")
        torch = _torch(options.torch_python, lifter)
        if torch is not None:
            stack.callback(torch.close)
        made = export_formats.write(lifter, folder)
        if options.quick:
            rows = run(made, (1, 8), 1, torch)
        else:
            rows = [*run(made, (1,), 100, torch), *run(made, (1024,), 4, torch)]
    print_table(rows, console)
    if torch is None:
        console.print(
            f"{TORCH} was not measured: `--torch-python` names no interpreter that has it."
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


def _torch(
    python: pathlib.Path | None, lifter: inference.Lifter
) -> torch_process.TorchNetworks | None:
    if python is None:
        return None
    config = configs.ModelConfig(**lifter.description["model"])
    num_blocks = residual.NUM_BLOCKS[config.backbone]
    shape = (config.width, num_blocks, config.layers_per_block)
    return torch_process.TorchNetworks(python, *shape, export_formats.NUM_THREADS)


if __name__ == "__main__":
    main()
