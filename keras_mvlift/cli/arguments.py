"""How a command's arguments are read, and refused before anything large is imported."""

import argparse
import itertools
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from keras_mvlift import errors, trained_models

MODEL = (
    "`studio`, which comes with the package, or a trained model's folder: a SavedModel, a folder "
    "of its numbered versions, or a pipeline's output such as output/mvlift"
)
"""What a model may be."""


class Parser(argparse.ArgumentParser):
    """Takes options by their whole names, and names the nearest where one is mistyped.

    `examples` are command lines of `keras-mvlift` for the end of the help.
    """

    def __init__(self, *, examples: Sequence[str] = (), **settings: Any):
        if examples:
            settings["epilog"] = "\n  keras-mvlift ".join(("examples:", *examples))
            settings["formatter_class"] = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, add_help=False, **settings)
        self.add_argument("-h", "--help", action="help", help="Show this text.")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuses an option that is not known before what is missing is asked for."""
        given = [*(sys.argv[1:] if args is None else args)]
        for word in itertools.takewhile(lambda word: word != "--", given):
            if self._subparsers and not word.startswith("-"):
                break  # What follows are the command's own.
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                near = errors.nearest(name, self._option_string_actions)
                self.error(f"there is no option {name}{near}")
        return super().parse_known_args(given, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [*map(str, action.choices)]
            rule = f"must be one of {', '.join(known)}. Received: {value}"
            raise argparse.ArgumentError(action, f"{rule}{errors.nearest(value, known)}")

    def error(self, message: str) -> NoReturn:
        """Ends with status 2 and a line that says what was wrong and where to read on."""
        told = errors.visible(message)
        end = "" if told.endswith(("?", ".")) else "."
        self.exit(2, f"{self.prog}: {told}{end} `{self.prog} --help` tells more.\n")


def path(parser: Any, name: str, told: str, **more: Any) -> None:
    """Adds an argument that is a path."""
    parser.add_argument(name, type=pathlib.Path, help=told, **more)


def number(parser: Any, name: str, told: str, **more: Any) -> None:
    """Adds an argument that is a number, whole unless a type is given."""
    parser.add_argument(name, **{"type": int, "metavar": "N", "help": told} | more)


def words(parser: Any, name: str, word: str, told: str, **more: Any) -> None:
    """Adds an argument of one or more words."""
    parser.add_argument(name, nargs="+", metavar=word, help=told, **more)


def flag(parser: Any, name: str, told: str) -> None:
    """Adds an option that is given or not."""
    parser.add_argument(name, action="store_true", help=told)


def require_there(name: str, *paths: str | pathlib.Path | None) -> None:
    """Raises a FileNotFoundError at a path that leads nowhere; None is one that was not given."""
    for path in paths:
        if path is not None and not pathlib.Path(path).exists():
            raise FileNotFoundError(f"`{name}` must be a file or folder. Received: {path}.")


def require_model(name: str) -> None:
    """Raises an ArgumentError at neither a model that comes with the package nor a folder."""
    shipped = trained_models.shipped_names()
    if name not in shipped and not pathlib.Path(name).is_dir():
        raise errors.ArgumentError("model", f"be {MODEL}", f"{name}{errors.nearest(name, shipped)}")


def require_writable(
    name: str, path: pathlib.Path | None, endings: Sequence[str] = (), force: bool = False
) -> None:
    """Refuses a file that could not be written; None is a path that was not given.

    An ending that is not wanted is a ValueError, all else an OSError.
    """
    if path is None:
        return
    if endings and path.suffix.lower() not in endings:
        raise ValueError(f"`{name}` must end in {', '.join(endings)}. Received: {path.name}.")
    if path.is_dir():
        raise IsADirectoryError(f"`{name}` must be a file. Received: the folder {path}.")
    if path.exists() and not force:
        raise FileExistsError(f"{path} is there already; `--force` overwrites a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} must be a folder to write {path.name} to.")
