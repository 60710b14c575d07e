"""Writes a trained model as ONNX or TFLite, to run where TensorFlow does not.

`keras-mvlift export output/mvlift --format onnx --output lifter.onnx`
"""

import argparse
import importlib
from typing import NamedTuple

_MEGABYTE = 1e6


class _Format(NamedTuple):
    """The module whose `write` takes a model and a path, imported when asked for, and what else."""

    module: str
    options: dict[str, str]

    @property
    def ending(self) -> str:
        return f".{self.module}"


FORMATS = {
    "onnx": _Format("onnx", {}),
    "tflite": _Format("tflite", {"weights": "float32"}),
    "tflite_float16": _Format("tflite", {"weights": "float16"}),
    "tflite_int8": _Format("tflite", {"weights": "int8"}),
}
"""Of all that can be written."""


def run(options: argparse.Namespace) -> int:
    """Writes the model and prints how large it is; a ValueError or OSError says why not."""
    chosen = FORMATS[options.format]
    # TensorFlow is imported only now: what is refused is told at once.
    from keras_mvlift import inference

    module = importlib.import_module(f"keras_mvlift.export.{chosen.module}")
    module.write(inference.load_model(options.model), options.output, **chosen.options)
    size = options.output.stat().st_size / _MEGABYTE
    print(f"{options.output}: {options.format}, {size:.2f} MB")
    return 0
