"""From a video to the 2D joints of the people in it."""

import contextlib
import importlib
import math
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons, trained_models
from keras_mvlift.lifting import detected_tracks, tracks_2d, video
from keras_mvlift.untrusted import files

SKELETON = skeletons.MEDIAPIPE_33


def detect(
    film: video.Film,
    progress: Callable[[Iterator[Any]], Iterable[Any]] = iter,
    model: str | os.PathLike[str] | None = None,
) -> tracks_2d.Tracks2D:
    """Finds people's joints in all frames.

    Args:
        film: Of `video.inspect`.
        progress: Is given the frames and gives them on, such as `tqdm.tqdm`.
        model: The detector: MediaPipe's network of landmarks, as `pose_landmark_heavy.tflite`, or
            MoveNet MultiPose's `model.json`; None for the network that MediaPipe comes with.

    Returns:
        One person with the joints of `SKELETON`, or up to six with those of `MOVENET_SKELETON`;
        confidence 0 in frames in which they are not found.

    Raises:
        RecordingError: If a frame cannot be decoded, nobody is found in any, or the detector's
            file is not as it must be.
        ValueError: If what the detector needs is not installed.
    """
    if model is None or pathlib.Path(model).suffix == ".tflite":
        if model is not None:
            check_network(pathlib.Path(model))
        with opened(model) as network:
            found = [find_person(network, picture) for picture in progress(video.read(film))]
        return _tracks(film, np.array(found)[:, np.newaxis], SKELETON, "MediaPipe")
    if pathlib.Path(model).suffix == ".json":
        movenet = MoveNet(model)
        people = [movenet.detect(picture) for picture in progress(video.read(film))]
        return _tracks(film, _apart(film, people), MOVENET_SKELETON, "MoveNet")
    rule = "be a .tflite of MediaPipe or a .json of MoveNet"
    raise errors.RecordingError(pathlib.Path(model), _FIELD, rule, "another ending")


def _apart(film: video.Film, found: list[np.ndarray]) -> np.ndarray:
    """Tells people `[N, K, 3]` of each frame apart: `[T, P, K, 3]`."""
    slots = np.repeat(np.arange(len(found)), [len(people) for people in found])
    people = np.concatenate(found)
    if not len(people):
        return people[np.newaxis]
    laid_out, _ = detected_tracks.lay_out(film.path, slots, people, len(found), len(found))
    return laid_out


def _tracks(
    film: video.Film, found: np.ndarray, skeleton: skeletons.Skeleton, detector: str
) -> tracks_2d.Tracks2D:
    rule, received = f"show a person whom {detector} finds", f"{film.num_frames} frames without"
    errors.require_in(film.path, (found[..., 2] > 0).any(), "video", rule, received)
    return tracks_2d.of_arrays(
        found[..., :2],
        found[..., 2],
        joint_names=skeleton.joints,
        frame_rate=film.frame_rate,
        image_size=film.size,
    )


# Keeps native libraries from writing to the terminal.


@contextlib.contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Holds back what anything in this process writes to its standard error.

    Libraries in C++ write past `sys.stderr`, so that the file behind it is turned away. All that
    was held back comes out if the block fails, and is dropped otherwise.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            except BaseException:
                os.dup2(kept, 2)
                held.seek(0)
                os.write(2, held.read())
                raise
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
    finally:
        os.close(kept)


# MediaPipe Pose: one person's 33 joints in each picture of a video.
#
# It comes with its weights, so that nothing is fetched. It finds one person, whoever it takes for
# the most prominent one, and follows that person from frame to frame.

# The middle one of three networks, and the only one whose weights come with the package.
_COMPLEXITY = 1
_RESOURCES = {
    "people": "modules/pose_detection/pose_detection.tflite",
    "landmarks": "modules/pose_landmark/pose_landmark_full.tflite",
}
_MAX_NETWORK_BYTES = 1 << 28
_BLACK = np.zeros((64, 64, 3), np.uint8)


@contextlib.contextmanager
def opened(landmarks: str | os.PathLike[str] | None = None) -> Iterator[Any]:
    """Opens MediaPipe's network, which follows a person through pictures as they come in time.

    Args:
        landmarks: The .tflite of another network of landmarks, such as MediaPipe's heavy one.

    Raises:
        RecordingError: If there is no such network.
        ValueError: If MediaPipe is not installed.

    Example:
        >>> with opened() as network:
        ...     joints = [find_person(network, picture) for picture in pictures]
    """
    chosen = None if landmarks is None else pathlib.Path(landmarks)
    with quiet_standard_error(), _resources(chosen):
        # Its own smoothing would be one more between what was seen and what is lifted.
        network = _solution().Pose(model_complexity=_COMPLEXITY, smooth_landmarks=False)
        # With the first picture come its last words about the machine.
        network.process(_BLACK)
    with contextlib.closing(network):
        yield network


def find_person(network: Any, picture: np.ndarray) -> np.ndarray:
    """Finds the person in a picture, `[height, width, 3]`, uint8, RGB, by a network of `opened`.

    Returns:
        `[33, 3]`, the joints of `SKELETON`: x and y in pixels and a confidence in [0, 1], the
        network's guess of whether it is to be seen. 0 for joints outside of the picture, and for
        all where nobody is found.
    """
    found = network.process(picture).pose_landmarks
    if found is None:
        return np.zeros((SKELETON.num_joints, 3))
    return _in_pixels(
        np.array([(each.x, each.y, each.visibility) for each in found.landmark]),
        (picture.shape[1], picture.shape[0]),
    )


def _solution() -> Any:
    try:
        return importlib.import_module("mediapipe.python.solutions.pose")
    except ImportError as error:
        raise ValueError(
            "People in videos must be found by MediaPipe, on Python 3.10 or 3.11, or by MoveNet's "
            "model.json: pip install 'keras-mvlift[video]'. "
            f"Received: {type(error).__name__}: {error}."
        ) from error


_FIELD = "detector-model"
# What these networks give, 39 landmarks of five numbers, as TensorFlow Lite writes a shape.
_SHAPE = np.array([2, 1, 195], "<i4").tobytes()
# Damaged networks end the process that opens them, so that another one tries.
_TRIAL = """
import sys
from keras_mvlift.lifting import person_detector
with person_detector.opened(sys.argv[1]):
    pass
"""


def check_network(landmarks: pathlib.Path) -> None:
    """Refuses what MediaPipe, which must be installed, cannot find landmarks by.

    Raises:
        RecordingError: If it is missing or no such network.
        ValueError: If MediaPipe is not installed.
    """
    _solution()
    data = files.read_bytes(landmarks, _FIELD, _MAX_NETWORK_BYTES)
    trial = [sys.executable, "-c", _TRIAL, str(landmarks)]
    if _SHAPE not in data or subprocess.run(trial, capture_output=True, check=False).returncode:
        rule = "be one of MediaPipe's networks of landmarks"
        raise errors.RecordingError(landmarks, _FIELD, rule, f"{len(data)} bytes of something else")


@contextlib.contextmanager
def _resources(landmarks: pathlib.Path | None) -> Iterator[None]:
    """Has MediaPipe read another network of landmarks than its own.

    It has no argument for that, but a folder in which it looks for its files.
    """
    if landmarks is None:
        yield
        return
    data = files.read_bytes(landmarks, _FIELD, _MAX_NETWORK_BYTES)
    _solution()
    base = importlib.import_module("mediapipe.python.solution_base")
    own = pathlib.Path(str(base.__file__)).parents[1]
    given = base.resource_util.set_resource_dir
    with tempfile.TemporaryDirectory() as folder:
        for name, resource in _RESOURCES.items():
            copy = pathlib.Path(folder, own.name, resource)
            copy.parent.mkdir(parents=True)
            copy.write_bytes(data if name == "landmarks" else (own / resource).read_bytes())
        try:
            base.resource_util.set_resource_dir = lambda _: given(folder)
            yield
        finally:
            base.resource_util.set_resource_dir = given


def _in_pixels(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Turns landmarks `[33, 3]`, shares of a picture's sides and visibility, into joints."""
    place, visibility = landmarks[:, :2], landmarks[:, 2]
    # Of joints outside it says where they would be.
    is_inside = ((place >= 0) & (place < 1)).all(axis=1)
    joints = np.column_stack([place * size, np.clip(visibility, 0.0, 1.0)])
    return np.where(is_inside[:, np.newaxis], joints, 0.0)


# MoveNet MultiPose: up to six people in a picture, by a graph of TensorFlow.js and TensorFlow. The
# graph is a `model.json` that names its files of weights beside it; it needs no MediaPipe, so that
# it runs on every Python that TensorFlow does. See
# https://www.tensorflow.org/hub/tutorials/movenet for what goes in and comes out.


MOVENET_SKELETON = skeletons.COCO_17

MAX_BYTES = 1 << 28
"""Of weights; MultiPose's are 9 MB."""

# Of a picture's longer side, as the network was trained; its sides are multiples of 32.
_LONGEST_SIDE, _STEP = 256, 32
_NUM_VALUES = 3 * MOVENET_SKELETON.num_joints + 5
_MIN_SCORE = 0.2  # Of a person: what is less sure is no one.
# What MoveNet is made of. A graph is a program, and these touch nothing but its own numbers.
_OPERATIONS = frozenset(
    """Abs AddN AddV2 ArgMax BiasAdd Cast ConcatV2 Const Conv2D DepthwiseConv2dNative Equal Exp
    ExpandDims Fill FloorDiv GatherNd Greater GreaterEqual Identity Less LogicalAnd Max MaxPool
    Maximum Minimum Mul Pack Placeholder Range RealDiv Reciprocal Relu Relu6 Reshape
    ResizeBilinear Select Shape Sigmoid Size Split Sqrt SquaredDifference Squeeze StridedSlice Sub
    Sum Tile TopKV2 Unpack""".split()
)
# TensorFlow.js joins a convolution with what follows; TensorFlow itself has no such operation, or
# one that asks for other attributes.
_FUSED = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
_OF_CONVOLUTIONS = ("T", "strides", "padding", "data_format", "dilations")


class MoveNet:
    """Finds people in pictures.

    Args:
        path: The `model.json`.

    Raises:
        RecordingError: If it is no graph of MoveNet MultiPose, or its weights are not as it says.
        ModuleNotFoundError: If TensorFlow is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._path = pathlib.Path(path)
        tf = trained_models.import_tensorflow()
        content = files.read_json(self._path)
        with errors.parsing(self._path, "graph", "be MoveNet's, as TensorFlow.js has it"):
            told = (content["signature"][key].values() for key in ("inputs", "outputs"))
            (taken,), (given,) = told
            shape = [int(each["size"]) for each in given["tensorShape"]["dim"]]
            names = [str(each["name"]) for each in (taken, given)]
            ends = [name if ":" in name else f"{name}:0" for name in names]
            nodes = content["modelTopology"]["node"]
            manifest = content["weightsManifest"]
            operations = {_FUSED.get(node["op"], node["op"]) for node in nodes}
        rule = f"be of {_NUM_VALUES} numbers a person, as MultiPose's"
        errors.require_in(self._path, shape[-1] == _NUM_VALUES, "output", rule, f"shape {shape}")
        unknown, rule = operations - _OPERATIONS, "be operations of MoveNet"
        errors.require_in(self._path, not unknown, "nodes", rule, ", ".join(sorted(unknown)))
        weights = _weights(self._path, manifest)
        with errors.parsing(self._path, "nodes", "be nodes of a graph of TensorFlow"):
            graph = tf.compat.v1.GraphDef(node=[*_nodes(tf, nodes, weights)])
            whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
            self._run = whole.prune(*([end] for end in ends))

    def detect(self, picture: np.ndarray) -> np.ndarray:
        """Finds people in a picture, `[height, width, 3]`, uint8, RGB.

        Returns:
            `[N, 17, 3]`, the joints of `SKELETON` of at most six people: x and y in pixels and a
            confidence in [0, 1].
        """
        tf = importlib.import_module("tensorflow")
        size = np.array(picture.shape[:2])
        shown = np.maximum(np.rint(size * _LONGEST_SIDE / size.max()).astype(int), 1)
        whole = -(-shown // _STEP) * _STEP
        scaled = tf.image.resize(picture, shown)
        padded = tf.image.pad_to_bounding_box(scaled, 0, 0, *whole)
        people = self._run(tf.cast(padded[tf.newaxis], tf.int32))[0].numpy()[0]
        flat = people[:, : 3 * MOVENET_SKELETON.num_joints].astype(np.float64)
        joints = flat.reshape(len(people), -1, 3)
        places = joints[..., :2] * whole * (size / shown)
        found = np.concatenate([places[..., ::-1], joints[..., 2:]], axis=-1)
        return found[people[:, -1] >= _MIN_SCORE]


def _weights(path: pathlib.Path, manifest: Any) -> dict[str, np.ndarray]:
    """Reads the weights beside a model, by the names of their nodes."""
    found: dict[str, np.ndarray] = {}
    with errors.parsing(path, "weightsManifest", "name files and weights of known types"):
        for group in manifest:
            paths = [files.inside(path.parent, name, path) for name in group["paths"]]
            data = b"".join(files.read_bytes(each, "weights", MAX_BYTES) for each in paths)
            start = 0
            for told in group["weights"]:
                found[told["name"]], start = _weight(data, start, told)
            rule = f"have the {start} bytes that the model tells"
            errors.require_in(paths[0], start == len(data), "weights", rule, len(data))
    return found


def _weight(data: bytes, start: int, told: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Returns an array of a file, and where the next one starts."""
    packing = told.get("quantization", {})
    kept = np.dtype(packing.get("dtype", told["dtype"]))
    count = math.prod(told["shape"])
    values = np.frombuffer(data, kept, count, start).reshape(told["shape"])
    if kept.kind in "iu" and packing:
        values = values * packing["scale"] + packing["min"]
    return values.astype(told["dtype"]), start + count * kept.itemsize


def _nodes(tf: Any, nodes: list[dict[str, Any]], weights: dict[str, np.ndarray]) -> Iterator[Any]:
    """Returns a graph's nodes as TensorFlow's, constants with their weights."""
    parse = importlib.import_module("google.protobuf.json_format").ParseDict
    for told in nodes:
        node = tf.compat.v1.NodeDef()
        if told["op"] == "Const":
            value = tf.make_tensor_proto(weights[told["name"]])
            node.name, node.op = told["name"], "Const"
            node.attr["value"].tensor.CopyFrom(value)
            node.attr["dtype"].type = value.dtype
            yield node
        elif told["op"] in _FUSED:
            yield from _unfused(tf, parse(told, node))
        else:
            yield parse(told, node)


def _unfused(tf: Any, fused: Any) -> Iterator[Any]:
    """Returns a convolution and what it was joined with, the last by the name of the whole."""
    steps = [_FUSED[fused.op], *(each.decode() for each in fused.attr["fused_ops"].list.s)]
    before: list[str] = []
    values = list(fused.input)
    for number, operation in enumerate(steps, 1):
        node = tf.compat.v1.NodeDef()
        node.op = operation
        node.name = fused.name if number == len(steps) else f"{fused.name}/{number}"
        taken = {1: 2}.get(number, int(operation == "BiasAdd"))
        node.input.extend([*before, *values[:taken]])
        before, values = [node.name], values[taken:]
        for key in _OF_CONVOLUTIONS if number == 1 else ("T",):
            if key in fused.attr:
                node.attr[key].CopyFrom(fused.attr[key])
        yield node
