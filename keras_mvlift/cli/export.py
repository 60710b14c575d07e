"""Writes a trained model as ONNX or TFLite, to run where TensorFlow does not.

`keras-mvlift export output/mvlift --format onnx --output lifter.onnx`
"""

import argparse
import importlib
import pathlib
from typing import NamedTuple

_MEGABYTE = 1e6


class _Format(NamedTuple):
    """The module whose `write` takes a model and a path, and what else it takes.

    The module is imported only when it is asked for.
    """

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a trained model's folder")
    parser.add_argument("--format", choices=FORMATS, required=True, help="what to write")
    parser.add_argument(
        "--output", type=pathlib.Path, required=True, help="the file, .onnx or .tflite"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")


def run(options: argparse.Namespace) -> int:
    """Writes the model and prints how large it is.

    Raises:
        ValueError: If the model or an option does not do, or a library is missing; says why.
        OSError: If there is no such model, or the output is there already.
    """
    chosen = FORMATS[options.format]
    _require_writable(options.output, chosen.ending, options.force)
    # TensorFlow is imported only now: `--help` and what is refused are told at once.
    from keras_mvlift import inference

    module = importlib.import_module(f"keras_mvlift.export.{chosen.module}")
    module.write(inference.load_model(options.model), options.output, **chosen.options)
    size = options.output.stat().st_size / _MEGABYTE
    print(f"{options.output}: {options.format}, {size:.2f} MB")
    return 0


def _require_writable(path: pathlib.Path, ending: str, force: bool) -> None:
    if path.suffix.lower() != ending:
        raise ValueError(f"`output` must end in {ending}. Received: {path.name}.")
    if path.exists() and (path.is_dir() or not force):
        raise FileExistsError(f"{path} is there already; `--force` overwrites a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} must be a folder to write {path.name} to.")
