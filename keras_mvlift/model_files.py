"""The files of a trained model: its SavedModel, and what training noted about it."""

import importlib
import json
import pathlib
import re
from typing import Any

import numpy as np

from keras_mvlift import errors, numpy_networks, skeletons

DESCRIPTION = pathlib.PurePath("assets.extra", "keras_mvlift", "model.json")
"""Below a SavedModel's folder."""

SAVED_MODEL = "saved_model.pb"

JOINT_MIXES = "joint_mixes"
"""In the description: by joint set a matrix of numbers; a model may have none."""

_WINDOW = {"num_frames": int, "is_causal": bool, "frame_step": int}


class ModelFileError(ValueError):
    """A file of a model is damaged, or of something else."""


# Operations that touch files, the network or the process itself, by their names.
_OUTWARD = re.compile(
    "File|Save|Restore|Checkpoint|Reader|Writer|Summary|ImportEvent|Dataset|Iterator|PyFunc|Debug|"
    "Print|Rpc|Send|Recv|Collective|Nccl|Service|Remote|TPU|RecordInput|ImmutableConst|"
    "VocabRemapping|LoadAndRemap|FixedUnigram|Abort|Heartbeat"
)
# What TensorFlow adds to save and restore variables, by itself; loading does not call it.
_CHECKPOINTING = re.compile(r"__inference__traced_(save|restore)_\d+")


def _outward(saved: Any) -> set[str]:
    """Returns the names of operations that reach out of the model's own numbers."""
    found: set[str] = set()
    for graph in saved.meta_graphs:
        if not graph.HasField("object_graph_def"):
            # Of TensorFlow 1, whose loader restores and runs what the graph says.
            return {"a graph of TensorFlow 1"}
        called, functions = set(graph.object_graph_def.concrete_functions), set()
        for function in graph.graph_def.library.function:
            functions.add(function.signature.name)
            if _CHECKPOINTING.fullmatch(function.signature.name):
                continue
            for node in function.node_def:
                called |= {node.op, *(value.func.name for value in node.attr.values())}
                called |= {each.name for value in node.attr.values() for each in value.list.func}
                found |= {node.op} if _OUTWARD.search(node.op) else set()
        found = (found - functions) | set(filter(_CHECKPOINTING.fullmatch, called))
    return found


def open_model(folder: pathlib.Path, is_trusted: bool = False) -> Any:
    """Loads a SavedModel.

    Raises:
        ModelFileError: If its files are missing or damaged, or if operations in it touch files or
            the network and `is_trusted` does not allow it.
        ModuleNotFoundError: If TensorFlow is not installed.
    """
    outward, loaded = set(), None
    tf = import_tensorflow()
    try:
        if not is_trusted:
            protos = importlib.import_module("tensorflow.core.protobuf.saved_model_pb2")
            data = (folder / SAVED_MODEL).read_bytes()
            outward = _outward(protos.SavedModel.FromString(data))
            # In place of the file, TensorFlow would read the one of this name.
            outward |= {each.name for each in folder.glob("saved_model.cpb")}
        if not outward:
            loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        # TensorFlow fails in every way there is where bytes are damaged; the first line says it.
        said = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no more"
        received = f"{type(error).__name__}: {said}"
        raise _model_file_error(folder, SAVED_MODEL, "be a whole SavedModel", received) from error
    if outward:
        rule = "hold what keeps to itself, or be loaded with `is_trusted`"
        raise _model_file_error(folder, SAVED_MODEL, rule, ", ".join(sorted(outward)))
    return loaded


def read_description(folder: pathlib.Path) -> dict[str, Any]:
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
        raise _model_file_error(path, "file", "be JSON", error) from error
    if not isinstance(told, dict):
        raise _model_file_error(path, "file", "be a JSON object", type(told).__name__)
    _check_joints(path, told)
    _check_intrinsics(path, told)
    _check_window(path, told)
    _check_notes(path, told)
    _check_mixes(path, told)
    return told


def _check_joints(path: pathlib.Path, told: dict[str, Any]) -> None:
    joints: Any = told.get("joints")
    parents: Any = told.get("parents")
    if not isinstance(joints, list) or not all(isinstance(name, str) for name in joints):
        raise _model_file_error(path, "joints", "be a list of names", joints)
    is_list = isinstance(parents, list) and all(isinstance(parent, int) for parent in parents)
    if not is_list or len(parents) != len(joints):
        raise _model_file_error(path, "parents", f"be {len(joints)} whole numbers", parents)
    if not joints or len(set(joints)) < len(joints):
        raise _model_file_error(path, "joints", "be names, each once", joints)
    if not all(-1 <= parent < len(joints) for parent in parents):
        raise _model_file_error(path, "parents", f"be numbers of {len(joints)} joints", parents)


def _check_intrinsics(path: pathlib.Path, told: dict[str, Any]) -> None:
    try:
        matrix = errors.numbers("intrinsics", told.get("intrinsics"), np.float64)
    except errors.ArgumentError as error:
        raise _model_file_error(path, error.field, error.rule, error.received) from error
    if matrix.shape != (3, 3):
        raise _model_file_error(
            path, "intrinsics", "be [3, 3], pixels", f"shape {list(matrix.shape)}"
        )


def _check_window(path: pathlib.Path, told: dict[str, Any]) -> None:
    if "window" not in told:
        return
    window = told["window"]
    known = isinstance(window, dict) and all(
        isinstance(window.get(name), kind) for name, kind in _WINDOW.items()
    )
    if not known:
        raise _model_file_error(path, "window", f"hold {', '.join(_WINDOW)}", window)


def _check_notes(path: pathlib.Path, told: dict[str, Any]) -> None:
    for name in ("is_mirrored", "solves_root", "has_free_root"):
        if not isinstance(told.get(name, False), bool):
            raise _model_file_error(path, name, "be true or false", told[name])
    notes = told.get(numpy_networks.FOLDED)
    if notes is None:
        return
    known = (
        isinstance(notes, dict)
        and isinstance(notes.get("layers_per_block"), int)
        and notes["layers_per_block"] > 0
        and notes.get("network_input") in ("rays", "screen", "centered")
        and isinstance(notes.get("root"), dict)
        and set(notes["root"]) in (set(), {"a", "b", "z_rig"})
        and all(isinstance(number, (int, float)) for number in notes["root"].values())
    )
    if not known:
        rule = "hold layers_per_block, network_input and the numbers of root"
        raise _model_file_error(path, numpy_networks.FOLDED, rule, notes)


def _check_mixes(path: pathlib.Path, told: dict[str, Any]) -> None:
    mixes, num_joints = told.get(JOINT_MIXES, {}), len(told["joints"])
    if not isinstance(mixes, dict):
        raise _model_file_error(path, JOINT_MIXES, "be a JSON object", type(mixes).__name__)
    for name, mix in mixes.items():
        rule = f"hold {num_joints} by {num_joints} numbers for joint sets of `skeletons`"
        try:
            matrix = errors.numbers(JOINT_MIXES, mix, np.float64)
        except errors.ArgumentError as error:
            raise _model_file_error(path, JOINT_MIXES, rule, error.received) from error
        is_whole = matrix.shape == (num_joints, num_joints) and bool(np.isfinite(matrix).all())
        if not is_whole or name not in skeletons.SKELETONS:
            raise _model_file_error(path, JOINT_MIXES, rule, f"{name}: {list(matrix.shape)}")


def _model_file_error(
    path: pathlib.Path, field: str, rule: str, received: object
) -> ModelFileError:
    return ModelFileError(f"{path}: `{field}` must {rule}. Received: {received}.")


def import_tensorflow() -> Any:
    """Imports TensorFlow.

    Raises:
        ModuleNotFoundError: If it is not installed; says how it is.
    """
    try:
        return importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        rule = "be installed for models of clips, and for those without NumPy arrays: "
        rule += 'pip install "keras-mvlift[tensorflow]"'
        told = f"`tensorflow` must {rule}. Received: no such module."
        raise ModuleNotFoundError(told, name="tensorflow") from error


# Models that come with the package, each a folder of `models` with a card that tells of it.

_SHIPPED_FOLDER = pathlib.Path(__file__).with_name("models")
MODEL_CARD = "MODEL_CARD.md"
"""Beside a SavedModel: how it was trained, what it scores and where it fails."""


def shipped_names() -> tuple[str, ...]:
    """Returns the models' names, sorted."""
    return tuple(sorted(path.parent.name for path in _SHIPPED_FOLDER.glob(f"*/{MODEL_CARD}")))


def shipped_folder(name: str) -> pathlib.Path:
    """Returns a model's folder.

    Args:
        name: One of `names()`.
    """
    return _SHIPPED_FOLDER / name
