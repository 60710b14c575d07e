"""A model in each of its formats, ready to be called."""

import functools
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnxruntime
import tensorflow as tf

from keras_mvlift import inference
from keras_mvlift.export import onnx, tflite

Views = dict[str, np.ndarray]
Run = Callable[[], dict[str, np.ndarray]]

NAMES = ("keypoints_2d", "confidence", "intrinsics")
LIFT = "load_model().lift"
NUM_THREADS = os.cpu_count() or 1
"""Of every runtime; TensorFlow takes as many by itself."""


class Format(NamedTuple):
    """A model in a format.

    Attributes:
        size: Bytes.
        prepare: Makes what lifts views once, for views of that number.
    """

    size: int
    prepare: Callable[[Views], Run]


def write(lifter: inference.Lifter, folder: pathlib.Path) -> dict[str, Format]:
    """Writes a model in all formats below `folder`."""
    files = [path for path in lifter.path.rglob("*") if path.is_file()]
    # What only training and descriptions need is not counted.
    size = sum(path.stat().st_size for path in files if "assets.extra" not in path.parts)
    path = folder / "lifter.onnx"
    onnx.write(lifter, path)
    made = {
        LIFT: Format(size, functools.partial(lift, lifter)),
        "SavedModel": Format(size, functools.partial(_saved_model, lifter.path)),
        "ONNX Runtime": Format(path.stat().st_size, functools.partial(_onnx, path)),
    }
    for weights in tflite.WEIGHTS:
        path = folder / f"{weights}.tflite"
        tflite.write(lifter, path, weights)
        name = f"TFLite {weights}"
        made[name] = Format(path.stat().st_size, functools.partial(_tflite, path))
    return made


def lift(lifter: inference.Lifter, views: Views) -> Run:
    """Makes what lifts views by `load_model().lift`."""

    def call() -> dict[str, np.ndarray]:
        keypoints_2d, confidence, intrinsics = (views[name] for name in NAMES)
        pose = lifter.lift(keypoints_2d, confidence, camera=intrinsics)
        return {"pose_camera": np.asarray(pose.pose_camera)}

    return call


def _saved_model(path: pathlib.Path, views: Views) -> Run:
    model = tf.saved_model.load(str(path))
    signature = model.signatures[tflite.SIGNATURE]

    def call() -> dict[str, np.ndarray]:
        # A signature does not keep its model alive.
        _ = model
        outputs = signature(**{name: tf.constant(value) for name, value in views.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return call


def _onnx(path: pathlib.Path, views: Views) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = NUM_THREADS
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    names = [output.name for output in session.get_outputs()]
    return lambda: dict(zip(names, session.run(names, views), strict=True))


def _tflite(path: pathlib.Path, views: Views) -> Run:
    interpreter = tf.lite.Interpreter(str(path), num_threads=NUM_THREADS)
    runner = interpreter.get_signature_runner(tflite.SIGNATURE)
    return lambda: runner(**views)
