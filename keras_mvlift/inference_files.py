"""The files of a trained model: its SavedModel and what training noted about it."""

import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift import argument_rules

DESCRIPTION = pathlib.PurePath("assets.extra", "keras_mvlift", "model.json")
"""Below a SavedModel's folder."""

SAVED_MODEL = "saved_model.pb"

_WINDOW = {"num_frames": int, "is_causal": bool, "frame_step": int}


class ModelFileError(ValueError):
    """A file of a model is damaged, or of something else."""


def open_model(folder: pathlib.Path) -> Any:
    """Loads a SavedModel.

    Raises:
        ModelFileError: If its files are missing or damaged.
    """
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:
        # TensorFlow fails in every way there is where bytes are damaged; the first line says it.
        said = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no more"
        received = f"{type(error).__name__}: {said}"
        raise _error(folder, SAVED_MODEL, "be a whole SavedModel", received) from error


def description(folder: pathlib.Path) -> dict[str, Any]:
    """Reads what training noted about a model.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it does not hold what a model needs.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not there; no model of keras_mvlift.")
    try:
        told = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _error(path, "file", "be JSON", error) from error
    if not isinstance(told, dict):
        raise _error(path, "file", "be a JSON object", type(told).__name__)
    _check_joints(path, told)
    _check_intrinsics(path, told)
    _check_window(path, told)
    return told


def _check_joints(path: pathlib.Path, told: dict[str, Any]) -> None:
    joints: Any = told.get("joints")
    parents: Any = told.get("parents")
    if not isinstance(joints, list) or not all(isinstance(name, str) for name in joints):
        raise _error(path, "joints", "be a list of names", joints)
    is_list = isinstance(parents, list) and all(isinstance(parent, int) for parent in parents)
    if not is_list or len(parents) != len(joints):
        raise _error(path, "parents", f"be {len(joints)} whole numbers", parents)


def _check_intrinsics(path: pathlib.Path, told: dict[str, Any]) -> None:
    try:
        matrix = argument_rules.numbers("intrinsics", told.get("intrinsics"), np.float64)
    except argument_rules.ArgumentError as error:
        raise _error(path, error.field, error.rule, error.received) from error
    if matrix.shape != (3, 3):
        raise _error(path, "intrinsics", "be [3, 3], pixels", f"shape {list(matrix.shape)}")


def _check_window(path: pathlib.Path, told: dict[str, Any]) -> None:
    if "window" not in told:
        return
    window = told["window"]
    known = isinstance(window, dict) and all(
        isinstance(window.get(name), kind) for name, kind in _WINDOW.items()
    )
    if not known:
        raise _error(path, "window", f"hold {', '.join(_WINDOW)}", window)


def _error(path: pathlib.Path, field: str, rule: str, received: object) -> ModelFileError:
    return ModelFileError(f"{path}: `{field}` must {rule}. Received: {received}.")
