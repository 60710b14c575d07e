"""A trained model's files: its SavedModel, its notes, and its networks, run by NumPy alone."""

import collections
import contextlib
import importlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.geometry import triangulation

DESCRIPTION = pathlib.PurePath("assets.extra", "keras_mvlift", "model.json")
"""Below a SavedModel's folder."""

SAVED_MODEL = "saved_model.pb"

JOINT_MIXES = "joint_mixes"
"""In the description: by joint set a matrix of numbers; a model may have none."""

FOLDED = "folded"
"""What a SavedModel calls the weights, and its description the notes."""

_WINDOW = {"num_frames": int, "is_causal": bool, "frame_step": int}


class ModelFileError(errors.RecordingError):
    """A file of a model is damaged, or of something else."""


@contextlib.contextmanager
def _reading(path: pathlib.Path, field: str, rule: str) -> Iterator[None]:
    """Turns whatever is raised inside into a `ModelFileError`."""
    try:
        with errors.parsing(path, field, rule):
            yield
    except errors.RecordingError as error:
        told = error.path, error.field, error.rule, error.received
        raise ModelFileError(*told) from error


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
        raise ModelFileError(folder, SAVED_MODEL, "be a whole SavedModel", received) from error
    if outward:
        rule = "hold what keeps to itself, or be loaded with `is_trusted`"
        raise ModelFileError(folder, SAVED_MODEL, rule, ", ".join(sorted(outward)))
    return loaded


def import_tensorflow() -> Any:
    """Imports TensorFlow; a ModuleNotFoundError says how it is installed."""
    try:
        return importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        rule = "be installed for models of clips, and for those without NumPy arrays: "
        rule += 'pip install "keras-mvlift[tensorflow]"'
        told = f"`tensorflow` must {rule}. Received: no such module."
        raise ModuleNotFoundError(told, name="tensorflow") from error


def read_description(folder: pathlib.Path) -> dict[str, Any]:
    """Reads what training noted about a model.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it does not hold what a model needs.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not there; no model of keras_mvlift.")
    with _reading(path, "file", "be JSON"):
        told: dict[str, Any] = json.loads(path.read_bytes())
        errors.require_type("file", told, dict, "be a JSON object")
        _check_joints(told)
        _check_notes(told)
        _check_mixes(told)
    return told


def _are(kind: type, values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _check_joints(told: dict[str, Any]) -> None:
    joints, parents = told.get("joints"), told.get("parents")
    errors.require(_are(str, joints), "joints", "be a list of names", joints)
    total = len(joints or ())
    is_list = _are(int, parents) and len(parents or ()) == total
    errors.require(is_list, "parents", f"be {total} whole numbers", parents)
    errors.require(0 < total == len({*(joints or ())}), "joints", "be names, each once", joints)
    are_joints = all(-1 <= parent < total for parent in parents or ())
    errors.require(are_joints, "parents", f"be numbers of {total} joints", parents)


def _check_notes(told: dict[str, Any]) -> None:
    matrix = errors.numbers("intrinsics", told.get("intrinsics"), np.float64)
    shape = f"shape {list(matrix.shape)}"
    errors.require(matrix.shape == (3, 3), "intrinsics", "be [3, 3], pixels", shape)
    window = told.get("window", {name: kind() for name, kind in _WINDOW.items()})
    known = isinstance(window, dict) and all(
        isinstance(window.get(name), kind) for name, kind in _WINDOW.items()
    )
    errors.require(known, "window", f"hold {', '.join(_WINDOW)}", window)
    for name in ("is_mirrored", "has_free_root"):
        value = told.get(name, False)
        errors.require(isinstance(value, bool), name, "be true or false", value)
    notes = told.get(FOLDED)
    known = notes is None or (
        isinstance(notes, dict)
        and isinstance(notes.get("layers_per_block"), int)
        and notes["layers_per_block"] > 0
        and notes.get("network_input") in ("rays", "screen", "centered")
        and isinstance(notes.get("root"), dict)
        and set(notes["root"]) in (set(), {"a", "b", "z_rig"})
        and all(isinstance(number, (int, float)) for number in notes["root"].values())
    )
    errors.require(
        known, FOLDED, "hold layers_per_block, network_input and the numbers of root", notes
    )


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


_SHIPPED_FOLDER = pathlib.Path(__file__).with_name("models")
MODEL_CARD = "MODEL_CARD.md"
"""Beside a SavedModel: how it was trained, what it scores and where it fails."""


def shipped_names() -> tuple[str, ...]:
    """Returns the models' names, sorted."""
    return tuple(sorted(path.parent.name for path in _SHIPPED_FOLDER.glob(f"*/{MODEL_CARD}")))


def shipped_folder(name: str) -> pathlib.Path:
    """Returns the folder of a model of `shipped_names()`."""
    return _SHIPPED_FOLDER / name


# The networks in NumPy: for a single view the time goes into reading the weights once, and into
# starting operations, and NumPy takes a fifth of TensorFlow's time for both; for some hundred views
# both take as long.

Arrays = Mapping[str, np.ndarray]
"""A network, as `export.compact` writes it."""

NETWORKS = ("lifting_network", "root_network", "uncertainty_network")
"""The names of networks, and of their files; the last one only of models that predict it."""

_ARCHIVE_RULE = "be a NumPy archive of a network's layers"


def read(path: str | os.PathLike[str]) -> Arrays:
    """Reads the arrays of a network.

    Raises:
        RecordingError: If the file is damaged, or holds anything but finite numbers.
    """
    with errors.parsing(path, "file", _ARCHIVE_RULE), np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise errors.RecordingError(path, name, "hold finite numbers", "others")
    return arrays


def seen_rays(keypoints_2d: Any, confidence: Any, intrinsics: Any) -> np.ndarray:
    """Returns the viewing rays `[..., J, 2]` of a view, 0 for joints that were not seen."""
    # `cameras.rays`, which looks at shapes that were checked before, would take longer.
    matrix = np.asarray(intrinsics, np.float32)
    focal = np.stack([matrix[..., 0, 0], matrix[..., 1, 1]], axis=-1)[..., np.newaxis, :]
    rays = (np.asarray(keypoints_2d, np.float32) - matrix[..., np.newaxis, :2, 2]) / focal
    return np.where(np.asarray(confidence)[..., np.newaxis] > 0, rays, np.float32(0.0))


# As of `networks.residual.centered_input`.
_MIN_SQUARE, _SIZE_SCALE, _MIN_DEPTH = np.float32(1e-5), np.float32(5.0), np.float32(0.1)


def centered(rays: np.ndarray, is_seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns cameras towards the persons that they see.

    Args:
        rays: `[N, J, 2]`, 0 where not seen.
        is_seen: `[N, J]`.

    Returns:
        What networks with centered views take, `[N, J + 1, 2]`; the rays `[N, J, 2]` of the turned
        cameras, 0 where not seen; and the turns `[N, 3, 3]`, from the real cameras' axes to theirs.
    """
    count = np.maximum(np.count_nonzero(is_seen, axis=-1), 1).astype(np.float32)
    x, y = (rays.sum(axis=-2) / count[:, np.newaxis]).T
    square = x * x + 1
    across, length = np.sqrt(square), np.sqrt(square + y * y)
    turn = np.empty((len(rays), 3, 3), np.float32)
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 0, 2] = 1 / across, 0, -x / across
    turn[:, 2, 0], turn[:, 2, 1], turn[:, 2, 2] = x / length, y / length, 1 / length
    # The cross product of the two.
    down = np.stack([-x * y, square, -y], axis=-1)
    turn[:, 1] = down / (across * length)[:, np.newaxis]
    points = rays @ turn[:, :, :2].swapaxes(-1, -2) + turn[:, np.newaxis, :, 2]
    turned = points[..., :2] / np.maximum(points[..., 2:], _MIN_DEPTH) * is_seen[..., np.newaxis]
    square = np.square(turned).sum(axis=(-2, -1)) / count
    size = np.sqrt(np.maximum(square, _MIN_SQUARE))[:, np.newaxis, np.newaxis]
    row = np.concatenate([_SIZE_SCALE * size, np.zeros_like(size)], axis=-1)
    return np.concatenate([turned / size, row], axis=-2), turned, turn


# Of meters: between which a predicted uncertainty lies, as of `training.uncertainty`.
_LOG_SCALES = np.log(np.array([1e-3, 3.0], np.float32))
# Views whose features stay in a processor's cache.
_AT_ONCE = 256

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Of each dense layer its kernel `[C' / R, R, C]`, outputs first, and its bias `[C']`."""

# So many rows, and numbers of a matrix, OpenBLAS multiplies with a vector in a single thread.
_MOST_ROWS, _MOST_NUMBERS = 32, 9216


class FrameLifter:
    """The networks of a model of single frames.

    Args:
        folder: That of the networks' files.
        description: What training noted about the model.
        intrinsics: `[3, 3]`, pixels, of the mean camera of training.

    Raises:
        RecordingError: If a file is damaged, or is of other networks than the description's.
    """

    def __init__(self, folder: pathlib.Path, description: dict[str, Any], intrinsics: np.ndarray):
        num_joints, notes = len(description["joints"]), description[FOLDED]
        self._layers_per_block, self._input = notes["layers_per_block"], notes["network_input"]
        self._root = {name: np.float32(number) for name, number in notes["root"].items()}
        self._has_free_root = notes["has_free_root"]
        self._intrinsics = intrinsics
        seen = 2 * num_joints + 2 * (self._input == "centered")
        lifting, root, scales = (folder / f"{name}.npz" for name in NETWORKS)
        self._lifting_layers = _read_layers(lifting, seen, 3 * num_joints)
        self._root_layers = _read_layers(root, seen, 3)
        self._scale_layers: Layers | None = None
        if scales.is_file():
            self._scale_layers = _read_layers(scales, 3 * num_joints, num_joints)

    def lift(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lifts views.

        Args:
            keypoints_2d: `[N, J, 2]`, pixels, without lens distortion.
            confidence: `[N, J]`, 0 for a joint that was not seen.
            intrinsics: `[N, 3, 3]`, pixels.

        Returns:
            The poses `[N, J, 3]`, root at 0, and the root positions `[N, 3]`, meters, by
            `triangulation.root_in_view`.
        """
        given = keypoints_2d, confidence, intrinsics
        if len(confidence) <= _AT_ONCE:
            return self._lift(*given)
        pieces = [
            self._lift(*(array[start : start + _AT_ONCE] for array in given))
            for start in range(0, len(confidence), _AT_ONCE)
        ]
        poses, root_positions = zip(*pieces, strict=True)
        return np.concatenate(poses), np.concatenate(root_positions)

    def uncertainty(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> np.ndarray | None:
        """Predicts how far off joints are, `[N, J]`, meters; None without such a network."""
        if self._scale_layers is None:
            return None
        rays = seen_rays(keypoints_2d, confidence, intrinsics)
        seen = np.concatenate([rays, confidence[..., np.newaxis]], axis=-1)
        log_scale = _outputs(self._scale_layers, seen)
        return np.exp(np.clip(log_scale, *_LOG_SCALES))

    def features(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Feeds views, as of `lift`, to the lifting network up to its last layer.

        Returns:
            That layer's input `[N, C]`, and the rotations `[N, 3, 3]` by which poses of the
            network, as rows, are turned: `pose_camera = pose @ rotation`.
        """
        rays = seen_rays(keypoints_2d, confidence, intrinsics)
        view = self._seen(rays, keypoints_2d, confidence)
        hidden = _hidden(self._lifting_layers[:-1], view.joints, self._layers_per_block)
        same = np.broadcast_to(np.eye(3, dtype=np.float32), (len(rays), 3, 3))
        return hidden, same if view.turn is None else view.turn

    def _seen(self, rays: np.ndarray, keypoints_2d: np.ndarray, confidence: np.ndarray) -> "_Seen":
        if self._input == "screen":
            return _Seen(seen_rays(keypoints_2d, confidence, self._intrinsics), rays, None)
        if self._input == "centered":
            return _Seen(*centered(rays, confidence > 0))
        return _Seen(rays, rays, None)

    def _lift(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        rays = seen_rays(keypoints_2d, confidence, intrinsics)
        view = self._seen(rays, keypoints_2d, confidence)
        outputs = _outputs(self._lifting_layers, view.joints, self._layers_per_block)
        pose = outputs.reshape(*rays.shape[:-1], 3)
        root_joint = pose[:, 0]
        relative = view.back(pose - root_joint[:, np.newaxis])
        nowhere = np.full_like(root_joint, np.nan)
        root_position = triangulation.root_in_view(relative, rays, confidence, nowhere)
        # Most views do without the other network.
        untold = np.isnan(root_position[:, 0])
        if untold.any():
            rest = view.of(untold)
            outputs = _outputs(self._root_layers, rest.joints, self._layers_per_block)
            predicted = self._root_position(outputs, rest.rays)
            if self._has_free_root:
                predicted = predicted + root_joint[untold]
            root_position[untold] = rest.back(predicted[:, np.newaxis])[:, 0]
        return relative, root_position

    def _root_position(self, outputs: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Reads the outputs `[N, 3]` as `networks.residual`'s root heads do."""
        if not self._root:
            return outputs
        bounded = np.tanh(outputs)
        depth = self._root["z_rig"] * np.exp(self._root["a"] * bounded[:, 2:])
        ray = rays[:, 0] + self._root["b"] * bounded[:, :2]
        return np.concatenate([ray * depth, depth], axis=-1)


class _Seen(NamedTuple):
    """What networks see of views: `joints`, in a camera of the `rays`, turned from the real one."""

    joints: np.ndarray
    rays: np.ndarray
    turn: np.ndarray | None

    def of(self, rows: np.ndarray) -> "_Seen":
        """Returns the views that are true in `rows` `[N]`."""
        turn = None if self.turn is None else self.turn[rows]
        return _Seen(self.joints[rows], self.rays[rows], turn)

    def back(self, points: np.ndarray) -> np.ndarray:
        """Returns points `[N, K, 3]` in the axes of the real cameras."""
        if self.turn is None:
            return points
        return points @ self.turn


def frame_lifter(
    path: pathlib.Path, description: dict[str, Any], intrinsics: np.ndarray
) -> FrameLifter | None:
    """Reads the networks of a model, which lies at `path`; the rest is as of `FrameLifter`.

    Returns:
        None of a model of windows, and of one whose networks lie in its SavedModel alone.

    Raises:
        ModelFileError: If a file is damaged, or is of other networks than the description's.
    """
    folder = path / DESCRIPTION.parent
    with _reading(path / DESCRIPTION, "model", "be as training notes it"):
        needed = NETWORKS[: 2 + bool(description.get("model", {}).get("uncertainty"))]
        is_there = all((folder / f"{name}.npz").is_file() for name in needed)
        if FOLDED not in description or "window" in description or not is_there:
            return None
        return FrameLifter(folder, description, intrinsics)


def _read_layers(path: pathlib.Path, num_inputs: int, num_outputs: int) -> Layers:
    arrays, layers, width = read(path), [], num_inputs
    for number in range(max(len(arrays) // 2, 2)):
        kernel, bias = (arrays.get(f"{part}_{number}") for part in ("kernel", "bias"))
        if kernel is None or bias is None or kernel.shape != (width, *bias.shape):
            received = f"no layer {number} that takes {width} numbers"
            raise errors.RecordingError(path, "file", _ARCHIVE_RULE, received)
        # Those of half precision are rounded already; the arithmetic is single.
        turned = np.ascontiguousarray(kernel.astype(np.float32).T)
        rows = max(
            rows
            for rows in range(1, _MOST_ROWS + 1)
            if len(bias) % rows == 0 and (rows == 1 or rows * width < _MOST_NUMBERS)
        )
        layers.append((turned.reshape(-1, rows, width), bias.astype(np.float32)))
        width = len(bias)
    if width != num_outputs:
        raise errors.RecordingError(path, "file", f"end in {num_outputs} numbers", width)
    return layers


def _in_rows(values: np.ndarray) -> np.ndarray:
    """Makes one axis of the last two."""
    return values.reshape(*values.shape[:-2], values.shape[-2] * values.shape[-1])


def _outputs(layers: Layers, joints: np.ndarray, layers_per_block: int = 0) -> np.ndarray:
    """Runs dense layers on `[N, J, D]`; so many of the inner ones make a residual block, if any."""
    kernel, bias = layers[-1]
    return _times(kernel, _hidden(layers[:-1], joints, layers_per_block)) + bias


def _hidden(layers: Layers, joints: np.ndarray, layers_per_block: int) -> np.ndarray:
    x = shortcut = _dense_layer(_in_rows(joints), *layers[0])
    for number, layer in enumerate(layers[1:], start=1):
        x = _dense_layer(x, *layer)
        if layers_per_block and number % layers_per_block == 0:
            x = shortcut = x + shortcut
    return x


def _dense_layer(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    sums = _times(kernel, x)
    sums += bias
    return np.maximum(sums, 0.0, out=sums)


def _times(kernel: np.ndarray, x: np.ndarray) -> np.ndarray:
    if len(x) != 1:
        return x @ kernel.reshape(-1, kernel.shape[-1]).T
    # By some rows: a whole matrix BLAS would share out among threads that wait for each other
    # spinning, which takes ten times as long where other processes have work, too.
    return (kernel @ x.T).reshape(1, -1)


# Lifting a video frame by frame as it comes, with a temporal network. A dilated convolution needs a
# few earlier inputs of its own, not the frames of the whole window. So each keeps its latest inputs
# in a ring, and a frame costs one step of each layer, however long the window is.


Posed = tuple[np.ndarray, np.ndarray | None]


class PoseStream:
    """Lifts one person, or several side by side, frame by frame, to the poses of the whole clip.

    Before the first frame the clip is taken to have stood still, and so it is after the last, as
    a temporal network takes it for the ends of a clip.

    Args:
        lifting_network: The network of the poses.
        root_network: The network of the root positions; None for none.
        root_head: Turns the root network's outputs `[B, 3]` and the rays `[B, J, 2]` into positions
            `[B, 3]`, as the model's own does; needed with `root_network`.
        has_free_root: Whether the pose's own root joint adds to that position.

    Attributes:
        delay: By how many frames poses come later: 0 for a causal network, else half a window.

    Example:
        >>> stream = PoseStream(read("lifting_network.npz"))
        >>> poses = [stream.push(*frame) for frame in video]  # None for the first `delay`
        >>> poses += stream.finish()
    """

    def __init__(
        self,
        lifting_network: Arrays,
        root_network: Arrays | None = None,
        root_head: Callable[[tuple[np.ndarray, np.ndarray]], np.ndarray] | None = None,
        *,
        has_free_root: bool = False,
    ):
        is_whole = (root_network is None) == (root_head is None)
        errors.require(is_whole, "root_head", "be given with `root_network`", "one without other")
        self._arrays = [lifting_network] + ([] if root_network is None else [root_network])
        self._root_head, self._has_free_root = root_head, has_free_root
        window = int(np.prod(lifting_network["filter_widths"]))
        self.delay = 0 if lifting_network["is_causal"] else (window - 1) // 2
        self._start()

    def _start(self) -> None:
        self._networks = [_TemporalNetwork(arrays) for arrays in self._arrays]
        self._seen: collections.deque[tuple[np.ndarray, np.ndarray]] = collections.deque(
            maxlen=self.delay + 1
        )
        self._was_seen: np.ndarray | None = None

    def push(self, keypoints_2d: Any, confidence: Any, intrinsics: Any) -> Posed | None:
        """Takes the next frame.

        Args:
            keypoints_2d: `[..., J, 2]`, pixels, without lens distortion; leading axes, for several
                people or cameras at once, stay the same from frame to frame.
            confidence: `[..., J]`, 0 for a joint that was not seen. A frame in which nobody was
                seen repeats the one before; those before anybody was seen repeat the first in
                which somebody was, as far as they are still to come.
            intrinsics: `[3, 3]` or `[..., 3, 3]`, pixels.

        Returns:
            Of the frame that came `delay` frames before the pose, `[..., J, 3]`, meters, root at 0,
            camera axes, and the root position `[..., 3]`, meters, camera frame, by
            `triangulation.root_in_view`; None without its network. None if no frame did.
        """
        confidence = np.array(confidence, np.float32)
        rays = seen_rays(keypoints_2d, confidence, intrinsics)
        is_seen = (confidence > 0).any(axis=-1)
        was_seen = np.zeros_like(is_seen) if self._was_seen is None else self._was_seen
        is_first, self._was_seen = is_seen & ~was_seen, is_seen | was_seen
        if self._seen:
            before, sure_before = self._seen[-1]
            rays = np.where(is_seen[..., np.newaxis, np.newaxis], rays, before)
            confidence = np.where(is_seen[..., np.newaxis], confidence, sure_before)
        for earlier, sure in self._seen:
            earlier[is_first], sure[is_first] = rays[is_first], confidence[is_first]
        return self._step(rays, confidence, is_first)

    def finish(self) -> list[Posed]:
        """Returns the poses still due, as `push` does; a new clip may follow."""
        due = []
        if self._seen:
            last, nobody = self._seen[-1], np.zeros(self._seen[-1][1].shape[:-1], bool)
            due = [self._step(*last, nobody) for _ in range(self.delay)]
        self._start()
        return [posed for posed in due if posed is not None]

    def _step(self, rays: np.ndarray, confidence: np.ndarray, is_first: np.ndarray) -> Posed | None:
        self._seen.append((rays, confidence))
        outputs, *root_outputs = (network.push(rays, is_first) for network in self._networks)
        if len(self._seen) <= self.delay:
            return None
        rays, confidence = self._seen[0]
        joints = outputs.reshape(*rays.shape[:-1], 3)
        pose = joints - joints[..., :1, :]
        if self._root_head is None:
            return pose, None
        flat = root_outputs[0].reshape(-1, 3), rays.reshape(-1, *rays.shape[-2:])
        root_position = np.asarray(self._root_head(flat)).reshape(root_outputs[0].shape)
        if self._has_free_root:
            root_position = root_position + joints[..., 0, :]
        root_position = triangulation.root_in_view(pose, rays, confidence, root_position)
        return pose, root_position


class _TemporalNetwork:
    """A temporal network, as of `export.compact.fold_temporal`, that is given frame by frame."""

    def __init__(self, arrays: Arrays):
        self._arrays, self._is_causal = arrays, bool(arrays["is_causal"])
        sizes = [int(size) for size in arrays["filter_widths"]]
        self._rings = [
            _Ring(size, int(dilation))
            for size, dilation in zip(sizes, np.cumprod([1, *sizes[:-1]]), strict=True)
        ]

    def push(self, joints: np.ndarray, is_first: np.ndarray) -> np.ndarray:
        """Takes joints `[..., J, 2]`; of whom it `is_first`, all before is taken to be like it."""
        x = _in_rows(joints)
        x = self._dense_layer(_in_rows(self._rings[0].push(x, is_first)), 0)
        for block, ring in enumerate(self._rings[1:], start=1):
            taps = ring.push(x, is_first)
            shortcut = taps[..., -1 if self._is_causal else ring.size // 2, :]
            inner = self._dense_layer(_in_rows(taps), 2 * block - 1)
            x = shortcut + self._dense_layer(inner, 2 * block)
        return x @ self._arrays["kernel_outputs"] + self._arrays["bias_outputs"]

    def _dense_layer(self, x: np.ndarray, number: int) -> np.ndarray:
        sums = x @ self._arrays[f"kernel_{number}"] + self._arrays[f"bias_{number}"]
        return np.maximum(sums, 0.0)


class _Ring:
    """The latest inputs of a dilated convolution of `size` taps."""

    def __init__(self, size: int, dilation: int):
        self.size = size
        self._ages = dilation * np.arange(size - 1, -1, -1)
        self._inputs: np.ndarray | None = None
        self._index = 0

    def push(self, x: np.ndarray, is_first: np.ndarray) -> np.ndarray:
        """Takes `[..., C]`; gives the taps `[..., size, C]`, the earliest first."""
        length = self._ages[0] + 1
        if self._inputs is None:
            self._inputs = np.repeat(x[np.newaxis], length, axis=0)
        # All frames before the first are like it, and so are all layers' outputs for them.
        self._inputs[:, is_first] = x[is_first]
        self._index = (self._index + 1) % length
        self._inputs[self._index] = x
        return np.moveaxis(self._inputs[(self._index - self._ages) % length], 0, -2)
