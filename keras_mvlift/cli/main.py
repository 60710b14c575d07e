"""The entry point of `keras-mvlift`."""

import argparse
import importlib
import os
import sys
import types
import warnings

from keras_mvlift import errors
from keras_mvlift.cli import extras

# Command to what `--help` says of it. Each is a module of this package with `add_arguments` and
# `run`, imported only when it is called.
_COMMANDS: dict[str, str] = {
    "adapt": "fit a trained model to a rig in seconds, without labels",
    "calibrate": "estimate or refine the cameras' places from detections",
    "check-rig": "report what is right and wrong with a rig before training",
    "experiments": "measure the paper's tables and ours on the data at hand",
    "export": "write a trained model as ONNX or TFLite",
    "lift": "lift 2D joints of a file to 3D poses, in a file or a page",
    "rollout": "try, promote or roll back versions of a served model",
    "simulate": "write a simulated release of a dataset",
    "view": "show lifted poses as a page to turn and play",
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command and its options."""
    parser = argparse.ArgumentParser(
        prog="keras-mvlift", description="Tools around lifting 2D joints to 3D poses."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in _COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose}.")
        if name == _command(arguments):
            _module(name).add_arguments(command)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; gives the exit status: 0, 1 for what it found wrong, 2 for wrong usage."""
    # TensorFlow announces missing GPU libraries as errors; what matters is raised in Python.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings(
        "ignore", "You are using a (non-supported )?Python version", FutureWarning
    )
    addons_end = r"\s*TensorFlow Addons \(TFA\) has ended development"
    warnings.filterwarnings("ignore", addons_end, UserWarning)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse(given)
        return _module(options.command).run(options)
    except ModuleNotFoundError as error:
        told = extras.advice(error, _command(given))
        if told is None:
            raise
    except (ValueError, OSError) as error:
        told = str(error)
    lines = map(errors.visible, f"keras-mvlift {_command(given)}: {told}".splitlines())
    print(*lines, sep="\n", file=sys.stderr)
    return 1


def _command(arguments: list[str]) -> str | None:
    return next((word for word in arguments if word in _COMMANDS), None)


def _module(command: str) -> types.ModuleType:
    return importlib.import_module(f"keras_mvlift.cli.{command.replace('-', '_')}")
