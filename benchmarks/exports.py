"""Measures what a model takes in each of its formats: megabytes, and milliseconds of a call.

    python -m benchmarks.exports                          networks of the paper's size
    python -m benchmarks.exports --model output/mvlift    a trained model
    python -m benchmarks.exports --quick                  as the test does

Calls of the formats take turns, so that what else the machine does meets them alike.
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import rich.box
import rich.console
import rich.table
import tensorflow as tf

from keras_mvlift import configs, inference
from keras_mvlift.datasets import synthetic
from keras_mvlift.export import onnx, saved_model, single_frames, tflite
from keras_mvlift.training import lifters, objectives

Views = dict[str, np.ndarray]
Run = Callable[[], dict[str, np.ndarray]]

NAMES = ("keypoints_2d", "confidence", "intrinsics")
LIFT = "load_model().lift"
MEGABYTE, MILLISECONDS = 1e6, 1e3
# Calls of a format in a row, so that it finds its weights where its last call left them.
CALLS_IN_A_ROW = 10
_RIG_DISTANCE = 5.0
_NUM_THREADS = os.cpu_count() or 1


class Format(NamedTuple):
    """A model in a format.

    Attributes:
        size: Bytes.
        prepare: Makes what lifts views once, for views of that number.
    """

    size: int
    prepare: Callable[[Views], Run]


def save(config: configs.ModelConfig, folder: pathlib.Path) -> None:
    """Saves networks that nobody trained; how long they take is the same."""
    intrinsics = studio_views(1)["intrinsics"][0].tolist()
    lifter = lifters.build(config, objectives.TransformReprojection(), _RIG_DISTANCE, intrinsics)
    about = {"model": dataclasses.asdict(config), "rig_distance": _RIG_DISTANCE}
    saved_model.save(lifter, about | {"intrinsics": intrinsics}, folder)


def studio_views(batch_size: int) -> Views:
    """Gives views of people in the studio, `[B, ...]`."""
    studio = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=batch_size)
    clip = studio.read(studio.clips()[0])
    intrinsics = np.tile(np.asarray(clip.camera.intrinsics)[0], (batch_size, 1, 1))
    arrays = (clip.keypoints_2d[0], clip.confidence[0], intrinsics)
    return {name: array.astype(np.float32) for name, array in zip(NAMES, arrays, strict=True)}


def formats(lifter: inference.Lifter, folder: pathlib.Path) -> dict[str, Format]:
    """Writes a model in all formats below `folder`."""
    files = [path for path in lifter.path.rglob("*") if path.is_file()]
    # What only training and descriptions need is not counted.
    size = sum(path.stat().st_size for path in files if "assets.extra" not in path.parts)
    path = folder / "lifter.onnx"
    onnx.write(lifter, path)
    made = {
        LIFT: Format(size, functools.partial(_lift, lifter)),
        "SavedModel": Format(size, functools.partial(_saved_model, lifter.path)),
        "ONNX Runtime": Format(path.stat().st_size, functools.partial(_onnx, path)),
    }
    for weights in tflite.WEIGHTS:
        path = folder / f"{weights}.tflite"
        tflite.write(lifter, path, weights)
        name = f"TFLite {weights}"
        made[name] = Format(path.stat().st_size, functools.partial(_tflite, path))
    return made


def run(
    made: dict[str, Format], batch_sizes: tuple[int, ...], num_rounds: int
) -> list[dict[str, Any]]:
    """Measures every format with batches of each size; a row each.

    `difference_mm` is the mean distance of its joints from those of `load_model().lift`, and
    `ratio` that of its median time to the latter's.
    """
    rows = []
    for batch_size in batch_sizes:
        views = studio_views(batch_size)
        runs = {name: form.prepare(views) for name, form in made.items()}
        poses = {name: run()["pose_camera"] for name, run in runs.items()}
        taken = latencies(runs, num_rounds)
        for name, seconds in taken.items():
            off = np.linalg.norm(poses[name] - poses[LIFT], axis=-1).mean() * MILLISECONDS
            rows.append(
                {
                    "format": name,
                    "bytes": made[name].size,
                    "batch_size": batch_size,
                    "p50_ms": float(np.percentile(seconds, 50) * MILLISECONDS),
                    "p99_ms": float(np.percentile(seconds, 99) * MILLISECONDS),
                    "ratio": float(np.median(seconds) / np.median(taken[LIFT])),
                    "difference_mm": float(off),
                }
            )
    return rows


def latencies(runs: dict[str, Run], num_rounds: int) -> dict[str, np.ndarray]:
    """Gives the seconds of each call, `[num_rounds * CALLS_IN_A_ROW]`, of each format."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(num_rounds):
        for name, call in runs.items():
            for _ in range(CALLS_IN_A_ROW):
                start = time.perf_counter()
                call()
                taken[name].append(time.perf_counter() - start)
    return {name: np.array(seconds) for name, seconds in taken.items()}


def _lift(lifter: inference.Lifter, views: Views) -> Run:
    def call() -> dict[str, np.ndarray]:
        keypoints_2d, confidence, intrinsics = (views[name] for name in NAMES)
        pose = lifter.lift(keypoints_2d, confidence, camera=intrinsics)
        return {"pose_camera": np.asarray(pose.pose_camera)}

    return call


def _saved_model(path: pathlib.Path, views: Views) -> Run:
    model = tf.saved_model.load(str(path))
    signature = model.signatures[single_frames.SIGNATURE]

    def call() -> dict[str, np.ndarray]:
        # A signature does not keep its model alive.
        _ = model
        outputs = signature(**{name: tf.constant(value) for name, value in views.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return call


def _onnx(path: pathlib.Path, views: Views) -> Run:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda: dict(zip(names, session.run(names, views), strict=True))


def _tflite(path: pathlib.Path, views: Views) -> Run:
    interpreter = tf.lite.Interpreter(str(path), num_threads=_NUM_THREADS)
    runner = interpreter.get_signature_runner(single_frames.SIGNATURE)
    return lambda: runner(**views)


def print_table(rows: list[dict[str, Any]], console: rich.console.Console) -> None:
    """Prints the rows as Markdown."""
    columns = ("format", "MB", "batch", "p50 ms", "p99 ms", "ratio", "poses/s", "off by mm")
    table = rich.table.Table(*columns, box=rich.box.MARKDOWN)
    for row in rows:
        rate = row["batch_size"] / row["p50_ms"] * MILLISECONDS
        table.add_row(
            row["format"],
            f"{row['bytes'] / MEGABYTE:.1f}",
            f"{row['batch_size']:,}",
            *(f"{row[name]:.2f}" for name in ("p50_ms", "p99_ms", "ratio")),
            f"{rate:,.0f}",
            f"{row['difference_mm']:.3f}",
        )
    console.print(table)


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measures a model in each of its formats.")
    parser.add_argument("--model", type=pathlib.Path, help="a trained model's folder")
    parser.add_argument("--quick", action="store_true", help="some seconds, a tiny model")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if options.model is None:
            config = configs.ModelConfig(width=64) if options.quick else configs.ModelConfig()
            save(config, folder / "saved")
        made = formats(inference.load_model(options.model or folder / "saved"), folder)
        if options.quick:
            rows = run(made, (1, 8), 1)
        else:
            rows = [*run(made, (1,), 100), *run(made, (1024,), 4)]
    print_table(rows, rich.console.Console(width=110))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
