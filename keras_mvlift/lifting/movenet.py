"""MoveNet MultiPose: up to six people in a picture, by a graph of TensorFlow.js and TensorFlow.

The graph is a `model.json` that names its files of weights beside it, as TensorFlow.js has models;
it needs no MediaPipe, so that it runs on every Python that TensorFlow does. See
https://www.tensorflow.org/hub/tutorials/movenet for what goes in and comes out.
"""

import importlib
import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons, trained_models
from keras_mvlift.untrusted import files

SKELETON = skeletons.COCO_17

MAX_BYTES = 1 << 28
"""Of weights; MultiPose's are 9 MB."""

# Of a picture's longer side, as the network was trained; its sides are multiples of 32.
_LONGEST_SIDE, _STEP = 256, 32
_NUM_VALUES = 3 * SKELETON.num_joints + 5
# Of a person: what is less sure is no one.
_MIN_SCORE = 0.2
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
            (taken,), (given,) = (content["signature"][key].values() for key in _ENDS)
            shape = [int(each["size"]) for each in given["tensorShape"]["dim"]]
            self._ends = [_tensor_name(each["name"]) for each in (taken, given)]
            nodes = content["modelTopology"]["node"]
            manifest = content["weightsManifest"]
            operations = {_FUSED.get(node["op"], node["op"]) for node in nodes}
        if shape[-1] != _NUM_VALUES:
            rule = f"be of {_NUM_VALUES} numbers a person, as MultiPose's"
            raise errors.RecordingError(self._path, "output", rule, f"shape {shape}")
        if unknown := operations - _OPERATIONS:
            rule = "be operations of MoveNet"
            raise errors.RecordingError(self._path, "nodes", rule, ", ".join(sorted(unknown)))
        weights = _weights(self._path, manifest)
        with errors.parsing(self._path, "nodes", "be nodes of a graph of TensorFlow"):
            self._run = _function(tf, [*_nodes(tf, nodes, weights)], self._ends)

    def detect(self, picture: np.ndarray) -> np.ndarray:
        """Finds people.

        Args:
            picture: `[height, width, 3]`, uint8, RGB.

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
        joints = people[:, : 3 * SKELETON.num_joints].reshape(len(people), -1, 3).astype(np.float64)
        places = joints[..., :2] * whole * (size / shown)
        found = np.concatenate([places[..., ::-1], joints[..., 2:]], axis=-1)
        return found[people[:, -1] >= _MIN_SCORE]


_ENDS = ("inputs", "outputs")


def _tensor_name(name: str) -> str:
    return name if ":" in name else f"{name}:0"


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
            if start != len(data):
                rule = f"have the {start} bytes that the model tells"
                raise errors.RecordingError(paths[0], "weights", rule, len(data))
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
            yield from _apart(tf, parse(told, node))
        else:
            yield parse(told, node)


def _apart(tf: Any, fused: Any) -> Iterator[Any]:
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


def _function(tf: Any, nodes: list[Any], ends: list[str]) -> Any:
    graph = tf.compat.v1.GraphDef(node=nodes)
    whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    return whole.prune(*([end] for end in ends))
