"""A trained model: its SavedModel, what training noted about it, and what it is given, checked."""

import importlib
import json
import math
import pathlib
import re
import warnings
from collections.abc import Sequence
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
        raise _model_file_error(path, "file", "be JSON", errors.met(error)) from error
    try:
        errors.require_type("file", told, dict, "be a JSON object")
        for check in (_check_joints, _check_intrinsics, _check_window, _check_notes, _check_mixes):
            check(told)
    except errors.ArgumentError as error:
        raise _model_file_error(path, error.field, error.rule, error.received) from error
    return told


def _are(kind: type, values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _check_joints(told: dict[str, Any]) -> None:
    joints: Any = told.get("joints")
    parents: Any = told.get("parents")
    errors.require(_are(str, joints), "joints", "be a list of names", joints)
    total = len(joints or ())
    is_list = _are(int, parents) and len(parents or ()) == total
    errors.require(is_list, "parents", f"be {total} whole numbers", parents)
    errors.require(0 < total == len({*joints}), "joints", "be names, each once", joints)
    are_joints = all(-1 <= parent < total for parent in parents)
    errors.require(are_joints, "parents", f"be numbers of {total} joints", parents)


def _check_intrinsics(told: dict[str, Any]) -> None:
    matrix = errors.numbers("intrinsics", told.get("intrinsics"), np.float64)
    shape = f"shape {list(matrix.shape)}"
    errors.require(matrix.shape == (3, 3), "intrinsics", "be [3, 3], pixels", shape)


def _check_window(told: dict[str, Any]) -> None:
    window = told.get("window", {name: kind() for name, kind in _WINDOW.items()})
    known = isinstance(window, dict) and all(
        isinstance(window.get(name), kind) for name, kind in _WINDOW.items()
    )
    errors.require(known, "window", f"hold {', '.join(_WINDOW)}", window)


def _check_notes(told: dict[str, Any]) -> None:
    for name in ("is_mirrored", "solves_root", "has_free_root"):
        value = told.get(name, False)
        errors.require(isinstance(value, bool), name, "be true or false", value)
    notes = told.get(numpy_networks.FOLDED)
    known = notes is None or (
        isinstance(notes, dict)
        and isinstance(notes.get("layers_per_block"), int)
        and notes["layers_per_block"] > 0
        and notes.get("network_input") in ("rays", "screen", "centered")
        and isinstance(notes.get("root"), dict)
        and set(notes["root"]) in (set(), {"a", "b", "z_rig"})
        and all(isinstance(number, (int, float)) for number in notes["root"].values())
    )
    rule = "hold layers_per_block, network_input and the numbers of root"
    errors.require(known, numpy_networks.FOLDED, rule, notes)


def _check_mixes(told: dict[str, Any]) -> None:
    mixes, num_joints = told.get(JOINT_MIXES, {}), len(told["joints"])
    errors.require_type(JOINT_MIXES, mixes, dict, "be a JSON object")
    for name, mix in mixes.items():
        rule = f"hold {num_joints} by {num_joints} numbers for joint sets of `skeletons`"
        try:
            matrix = errors.numbers(JOINT_MIXES, mix, np.float64)
        except errors.ArgumentError as error:
            raise errors.ArgumentError(JOINT_MIXES, rule, error.received) from error
        is_whole = matrix.shape == (num_joints, num_joints) and bool(np.isfinite(matrix).all())
        received = f"{name}: {list(matrix.shape)}"
        errors.require(is_whole and name in skeletons.SKELETONS, JOINT_MIXES, rule, received)
        # Poses are relative to the root, which so stays where it is.
        moved = np.delete(matrix[skeletons.ROOT], skeletons.ROOT)
        rule = "leave the root, the first joint, where it is"
        errors.require(not moved.any(), JOINT_MIXES, rule, f"{name}: {moved.tolist()}")


def _model_file_error(
    path: pathlib.Path, field: str, rule: str, received: object
) -> ModelFileError:
    return ModelFileError(f"{path}: `{field}` must {rule}. Received: {received}.")


def import_tensorflow() -> Any:
    """Imports TensorFlow; a ModuleNotFoundError says how it is installed."""
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
    """Returns the folder of a model of `shipped_names()`."""
    return _SHIPPED_FOLDER / name


# What a user gives to a trained model, checked: NumPy arrays of single precision come out.


# Of a camera whose focal length is a pixel or so, coordinates may well be as small as this.
_LEAST_SPAN, _LEAST_FOCAL = 2.0, 20.0
# Of the focal length: 80 degrees beside the axis, where no lens that is not a fisheye sees.
_MOST_ASIDE = 5.67
MOST_PX = 1_000_000
"""What is detected farther from the image's corner is a mistake."""
MOST_SKEW = 1e-3
"""Of pixels, as a share of the focal length: none is reckoned with, and cameras have none."""
# Of an array so many views, evenly taken, are looked at for joints in another order.
_MOST_EXAMINED = 64
# Meters, of people, from newborn on.
_HEIGHTS = (0.4, 2.8)


def check_joints(
    keypoints_2d: Any,
    confidence: Any,
    joint_names: Sequence[str],
    skeleton: str | None = None,
    is_clip: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Checks joints, and turns those of another set into a model's.

    Args:
        keypoints_2d: `[..., K, 2]`, pixels.
        confidence: `[..., K]`, in [0, 1]; None stands for 1.
        joint_names: The model's `J` names.
        skeleton: The set of the `K` joints, by name; None for the model's.
        is_clip: Whether the shape must be `[..., T, K, 2]`, with frames.

    Returns:
        Keypoints `[..., J, 2]` and confidence `[..., J]`, both 0 where a joint was not seen: where
        its confidence is 0 or it is at no place, `skeletons.is_place`.

    Raises:
        ValueError: If a shape is wrong, a value is infinite or a confidence outside [0, 1].
    """
    given = tuple(joint_names) if skeleton is None else skeletons.by_name(skeleton).joints
    keypoints = _check_keypoints(keypoints_2d, given, is_clip)
    seen = _check_confidence(confidence, keypoints)
    keypoints = np.where(seen[..., np.newaxis] > 0, keypoints, np.float32(0.0))
    _warn_of_other_order(keypoints, seen, given)
    if skeleton is None:
        return keypoints, seen
    target = skeletons.Skeleton("the model's joints", tuple(joint_names))
    converter = skeletons.Converter(given, target)
    seen = converter.confidence(seen)
    made = np.where(seen[..., np.newaxis] > 0, converter.keypoints(keypoints), 0.0)
    return made.astype(np.float32), seen


def _check_keypoints(value: Any, joint_names: Sequence[str], is_clip: bool) -> np.ndarray:
    keypoints = errors.numbers("keypoints_2d", value, np.float32)
    num_joints, axes = len(joint_names), ", T" if is_clip else ""
    if keypoints.ndim < 2 + is_clip or keypoints.shape[-2:] != (num_joints, 2):
        others = [
            name
            for name, known in skeletons.SKELETONS.items()
            if keypoints.ndim > 1 and known.num_joints == keypoints.shape[-2] != num_joints
        ]
        advice = "".join(f'; for those of {name} give skeleton="{name}"' for name in others)
        raise ValueError(
            f"`keypoints_2d` must have shape [...{axes}, {num_joints}, 2], the joints being "
            f"{', '.join(joint_names)}{advice}. Received: {list(keypoints.shape)}."
        )
    is_far = np.abs(keypoints) > MOST_PX
    if is_far.any():
        rule = f"be finite, within {MOST_PX:,} pixels, or NaN where not seen"
        received = f"{is_far.sum()} of {keypoints.size} values farther, {errors.first(is_far)}"
        raise errors.ArgumentError("keypoints_2d", rule, received)
    return keypoints


def _check_confidence(value: Any, keypoints_2d: np.ndarray) -> np.ndarray:
    """Returns confidences of what is at a place, and 0 elsewhere."""
    shape = keypoints_2d.shape[:-1]
    is_place = skeletons.is_place(keypoints_2d)
    if value is None:
        return is_place.astype(np.float32)
    checked = errors.numbers("confidence", value, np.float32)
    rule = f"have shape {list(shape)}"
    errors.require(checked.shape == shape, "confidence", rule, list(checked.shape))
    seen = np.where(is_place, checked, np.float32(0.0))
    is_share = (seen >= 0) & (seen <= 1)
    if not is_share.all():
        low, high = seen.min(initial=1), seen.max(initial=0)
        received = f"{low} to {high}, {errors.first(~is_share)}"
        raise errors.ArgumentError("confidence", "lie in [0, 1]", received)
    return seen


def _warn_of_other_order(
    keypoints_2d: np.ndarray, confidence: np.ndarray, joint_names: tuple[str, ...]
) -> None:
    """Warns of joints that by the anatomy come in the order of another set of as many."""
    flat = confidence.reshape(math.prod(confidence.shape[:-1]), confidence.shape[-1])
    step = len(flat) // _MOST_EXAMINED + 1
    points = keypoints_2d.reshape(*flat.shape, 2)[::step]
    likely = skeletons.by_anatomy(points, flat[::step])
    known = [known.joints for known in skeletons.SKELETONS.values()]
    if likely is not None and likely.joints != joint_names and joint_names in known:
        first, second = joint_names[:2]
        told = f"`keypoints_2d` look like {likely.name}'s joints, and are read as {first},"
        told += f' {second}, ...: skeleton="{likely.name}" reads them as such.'
        warnings.warn(told, errors.InputWarning, stacklevel=4)


def require_pixels(
    keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
) -> None:
    """Refuses coordinates that are shares of an image, in [0, 1] or [-1, 1], and such cameras.

    Raises:
        ArgumentError: If no joint seen of `[..., J, 2]` lies further than 2 pixels from the image's
            corner, and the focal length is one in pixels; or if half the joints lie beside any
            lens's image.
    """
    farthest = np.abs(keypoints_2d).max(initial=0.0)
    is_seen = (confidence > 0).sum() > 1
    if is_seen and farthest <= _LEAST_SPAN and intrinsics[..., 0, 0].min() >= _LEAST_FOCAL:
        rule = "be pixels; multiply shares of an image by its width and height"
        received = f"joints within {farthest:.3g} px of the image's corner"
        raise errors.ArgumentError("keypoints_2d", rule, received)
    focal = np.broadcast_to(intrinsics[..., np.newaxis, 0, 0], confidence.shape)[confidence > 0]
    aside = np.abs(keypoints_2d - intrinsics[..., np.newaxis, :2, 2]).max(axis=-1)[confidence > 0]
    if len(focal) and np.median(aside / focal) > _MOST_ASIDE:
        rule = "have a focal length in pixels, not in millimeters or shares of the image"
        received = f"{focal[0]:.3g}, where joints lie {np.median(aside):.4g} px beside the center"
        raise errors.ArgumentError("camera", rule, received)


def check_height(height: Any, leading: tuple[int, ...]) -> np.ndarray:
    """Checks heights of people, meters, a number or `[*leading]`; returns `[*leading]`.

    Raises:
        ArgumentError: If the shape is another, or a height is none of a person's in meters.
    """
    checked = errors.numbers("height", height, np.float64)
    low, high = _HEIGHTS
    if checked.shape not in ((), leading):
        rule = f"be one number or of shape {list(leading)}"
        raise errors.ArgumentError("height", rule, f"shape {list(checked.shape)}")
    if not ((checked >= low) & (checked <= high)).all():
        rule = f"be {low} to {high} meters"
        raise errors.ArgumentError("height", rule, checked[~(checked >= low) | (checked > high)][0])
    return np.broadcast_to(checked, leading)


def check_intrinsics(camera: Any, leading: tuple[int, ...], mean: np.ndarray) -> np.ndarray:
    """Checks a camera and gives its intrinsics, `[*leading, 3, 3]`.

    It has, or as its attribute `intrinsics`, `[3, 3]` or `[*leading, 3, 3]`, pixels; for None those
    of the mean camera of training are taken, with a warning.

    Raises:
        ValueError: If the shape is wrong, a value is not finite, a focal length not positive or
            the last row not 0, 0, 1.
    """
    shape = (*leading, 3, 3)
    if camera is None:
        warnings.warn(
            "`camera` was left out: taking the mean camera of training, "
            f"focal length {mean[0, 0]:.0f} px.",
            errors.InputWarning,
            # The caller of the method that calls this.
            stacklevel=3,
        )
        return np.broadcast_to(mean, shape)
    checked = errors.numbers("camera", getattr(camera, "intrinsics", camera), np.float32)
    is_bad = ~np.isfinite(checked)
    if is_bad.any():
        received = (
            f"{is_bad.sum()} of {checked.size} values NaN or infinite, {errors.first(is_bad)}"
        )
        raise errors.ArgumentError("camera", "be finite", received)
    rule = f"have intrinsics of shape [3, 3] or {list(shape)}"
    errors.require(checked.shape in ((3, 3), shape), "camera", rule, list(checked.shape))
    is_wrong = (checked[..., [0, 1], [0, 1]] <= 0).any(axis=-1)
    is_wrong |= (checked[..., 2, :] != [0, 0, 1]).any(axis=-1)
    skew = np.abs(checked[..., [0, 1], [1, 0]]).max(axis=-1)
    is_wrong |= skew > MOST_SKEW * checked[..., 0, 0]
    if is_wrong.any():
        rule = "have positive focal lengths and no skew, and 0, 0, 1 as last row of its intrinsics"
        received = f"{checked[is_wrong][0].tolist()}"
        received += f", {errors.first(is_wrong)}" if is_wrong.ndim else ""
        raise errors.ArgumentError("camera", rule, received)
    return np.broadcast_to(checked, shape)
