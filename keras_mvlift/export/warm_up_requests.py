"""Requests that TensorFlow Serving runs before it lets anybody else in."""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import model_pb2, prediction_log_pb2

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import tfrecords
from keras_mvlift.serving import clients, grpc_client

FILE = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")
"""Where TensorFlow Serving looks, below a SavedModel's folder."""

BATCH_SIZES = (1, 64)
"""One person, whom latency matters to, and a batch; other sizes need nothing that these do not."""

# A person in the air, spread over the middle of a full HD image; each frame a pixel further.
_MIDDLE, _SPREAD = np.array([960.0, 540.0]), np.array([100.0, 350.0])
_FOCAL = 1100.0
_NUM_JOINTS = skeletons.H36M_17.num_joints


def write(folder: pathlib.Path, num_frames: int = 1, model: str = clients.DEFAULT_MODEL) -> None:
    """Writes requests for every signature of a SavedModel into its folder, as `FILE`.

    Clips in them have `num_frames` frames; of a model of windows, those of a window. The name
    that it is served by is not looked at.

    Raises:
        ValueError: If a signature takes text that is no record of a view.
    """
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, signature in sorted(_signatures(folder).items()):
            for batch_size in BATCH_SIZES:
                spec = model_pb2.ModelSpec(name=model, signature_name=name)
                inputs = {
                    key: _value(key, tensor, batch_size, num_frames)
                    for key, tensor in signature.inputs.items()
                }
                request = grpc_client.encode(spec, inputs)
                log = prediction_log_pb2.PredictLog(request=request)
                told = prediction_log_pb2.PredictionLog(predict_log=log)
                writer.write(told.SerializeToString())


def _signatures(folder: pathlib.Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    found = saved.meta_graphs[0].signature_def
    # What initializes the model has a name between underscores, and is no request.
    return {name: signature for name, signature in found.items() if not name.startswith("__")}


def _value(
    name: str, tensor: meta_graph_pb2.TensorInfo, batch_size: int, num_frames: int
) -> np.ndarray:
    """Makes the value of an input, `[batch_size, ...]`."""
    # The axes of unknown length are the batch and, behind it, the frames.
    axes = [axis.size for axis in tensor.tensor_shape.dim]
    shape = [batch_size, *(num_frames if axis < 0 else axis for axis in axes[1:])]
    if tensor.dtype == types_pb2.DT_STRING:
        errors.require(name == "examples", "signature", "take records as `examples`", f"`{name}`")
        return _records(batch_size)
    return _VALUES.get(name, np.zeros)(shape).astype(np.float32)


def _keypoints_2d(shape: Sequence[int]) -> np.ndarray:
    # Evenly spread over the circle by the golden angle, with no two joints at one place.
    joint = np.arange(shape[-2])
    angle = joint * np.pi * (3 - np.sqrt(5))
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * np.sqrt(joint / shape[-2])[:, None]
    frame = np.arange(np.prod(shape[:-2])).reshape(*shape[:-2], 1, 1)
    return _MIDDLE + _SPREAD * circle + frame


def _intrinsics(shape: Sequence[int]) -> np.ndarray:
    matrix = np.array([[_FOCAL, 0, _MIDDLE[0]], [0, _FOCAL, _MIDDLE[1]], [0, 0, 1]])
    return np.broadcast_to(matrix, shape)


def _rays(shape: Sequence[int]) -> np.ndarray:
    return (_keypoints_2d(shape) - _MIDDLE) / _FOCAL


_VALUES: dict[str, Callable[[Sequence[int]], np.ndarray]] = {
    "keypoints_2d": _keypoints_2d,
    "confidence": np.ones,
    "intrinsics": _intrinsics,
    "rotation": lambda shape: np.broadcast_to(np.eye(3), shape),
    "rays": _rays,
}


def _records(batch_size: int) -> np.ndarray:
    shapes = {"keypoints_2d": (_NUM_JOINTS, 2), "confidence": (_NUM_JOINTS,)}
    shapes |= {"intrinsics": (3, 3), "rotation": (3, 3), "center": (3,)}
    columns = {
        name: np.asarray(_VALUES.get(name, np.zeros)([batch_size, *shape]), np.float32)
        for name, shape in shapes.items()
    }
    return np.array(tfrecords.encode(columns), object)
