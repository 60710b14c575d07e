"""The entry point of `keras-mvlift`."""

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import keras_mvlift
from keras_mvlift import errors
from keras_mvlift.cli import arguments, commands

_PROGRAM = "keras-mvlift"
_EXAMPLES = ("lift", "adapt")
# What a shell gives for a program that Ctrl-C ended.
_INTERRUPTED = 130


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Reads the command and its options."""
    parser = arguments.Parser(
        prog=_PROGRAM,
        description="Lifts 2D joints to 3D poses, and all that belongs to it.",
        examples=[commands.COMMANDS[name].examples[0] for name in _EXAMPLES],
    )
    version = f"{_PROGRAM} {keras_mvlift.__version__}"
    parser.add_argument("--version", action="version", version=version, help="Show it.")
    known = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (purpose, examples, add_arguments, *_) in commands.COMMANDS.items():
        add_arguments(known.add_parser(name, help=purpose, description=purpose, examples=examples))
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Runs a command; gives 0, 1 for what it found wrong, 2 for wrong usage, 130 if interrupted."""
    # TensorFlow announces missing GPU libraries as errors; what matters is raised in Python.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options, status = parse(words), 1
    with warnings.catch_warnings():
        _show_warnings_of_input(options.command)
        try:
            command = commands.COMMANDS[options.command]
            command.check(options)
            return _runner(command.runs or f"running.{options.command}")(options)
        except ModuleNotFoundError as error:
            told = advice(error, options.command)
            if told is None:
                raise
        except (ValueError, OSError) as error:
            told = str(error)
        except KeyboardInterrupt:
            told, status = "interrupted.", _INTERRUPTED
    for line in told.splitlines():
        _tell(options.command, line)
    return status


def _show_warnings_of_input(command: str) -> None:
    """Has warnings of what was brought shown in a line; what libraries have to say is not asked."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        _tell(command, str(message))

    warnings.simplefilter("ignore")
    warnings.simplefilter("always", errors.InputWarning)
    warnings.showwarning = show


def _tell(command: str, line: str) -> None:
    print(errors.visible(f"{_PROGRAM} {command}: {line}"), file=sys.stderr)


def _runner(name: str) -> Callable[[argparse.Namespace], int]:
    module, function = name.split(".")
    runner: Any = getattr(importlib.import_module(f"keras_mvlift.cli.{module}"), function)
    return runner


# What to install where a command meets a library that is not there.

# Of commands that need more than one library, all that they need, in one go.
_COMMANDS = {
    **{"adapt": "data,train", "calibrate": "data,viz", "check-rig": "data,viz"},
    **{"experiments": "data,train,viz", "export": "export", "rollout": "serving"},
    "simulate": "data",
}
# Of others, and of what a file's format needs.
_EXTRAS = {
    "tensorflow": ("tensorflow",),
    "train": ("keras", "tf_keras"),
    "data": (
        *("cdflib", "cv2", "h5py", "jsonschema", "pyarrow", "scipy"),
        *("tomli", "tomli_w", "tqdm", "yaml"),
    ),
    "c3d": ("ezc3d",),
    "export": ("onnx", "tf2onnx"),
    "serving": ("google", "grpc", "tenacity", "tensorflow_serving", "urllib3"),
    "video": ("av", "mediapipe"),
    "viz": ("PIL", "jinja2", "matplotlib", "rich"),
}


def advice(error: ModuleNotFoundError, command: str | None = None) -> str | None:
    """Says which extra brings a library that a command lacks; None for one that none brings."""
    missing = (error.name or "").partition(".")[0]
    for extra, modules in _EXTRAS.items():
        if missing in modules:
            needed = _COMMANDS.get(command or "", extra)
            rule = f"be installed for this: pip install 'keras-mvlift[{needed}]'"
            return f"`{missing}` must {rule}. Received: no such module."
    return None


if __name__ == "__main__":
    sys.exit(main())
