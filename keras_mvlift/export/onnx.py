"""Trained models as ONNX, through tf2onnx."""

import os
import pathlib
from typing import Any

import tensorflow as tf

from keras_mvlift import inference
from keras_mvlift.export import tflite
from keras_mvlift.untrusted import files

try:
    import onnx
    import tf2onnx
except ImportError as error:
    raise ValueError(
        "ONNX files must be written by tf2onnx: pip install 'keras-mvlift[export]'. "
        f"Received: {error}."
    ) from error

OPSET = 15
"""Version of the operators; runtimes since 2021 know it."""

_BATCH = "batch"


def write(lifter: inference.Lifter, path: str | os.PathLike[str]) -> None:
    """Writes a model of single frames, for batches of any size; what is there is replaced.

    Inputs and outputs are as `tflite.SingleFrames` has them, and its notes are the file's metadata.

    Raises:
        ValueError: If the model lifts a frame by those around it.
        OSError: If the file cannot be written.
    """
    exported = tflite.SingleFrames(lifter)
    proto = _convert(exported)
    onnx.helper.set_model_props(proto, exported.notes)
    onnx.checker.check_model(proto)
    with files.replacing(pathlib.Path(path)) as partial:
        onnx.save(proto, str(partial))


def _convert(exported: tflite.SingleFrames) -> onnx.ModelProto:
    function = exported.lift_camera
    proto, _ = tf2onnx.convert.from_function(
        function,
        input_signature=function.input_signature,
        opset=OPSET,
        custom_op_handlers={"SelectV2": (_select, [])},
    )
    _hold_constants(proto.graph, function.get_concrete_function())
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = _BATCH
    return proto


def _select(context: Any, node: Any, name: str, arguments: list[Any]) -> None:
    """Converts a choice by elements; tf2onnx multiplies by 0, which not every number becomes."""
    node.domain = ""
    node.type = "Where"


def _hold_constants(
    graph: onnx.GraphProto, function: tf.types.experimental.ConcreteFunction
) -> None:
    """Turns inputs that are constants of the model into such; tf2onnx holds variables only."""
    names = {spec.name for spec in function.structured_input_signature[0]}
    used = {name for node in graph.node for name in node.input}
    constants = {inner.name: outer for outer, inner in function.graph.captures}
    for value in [value for value in graph.input if value.name not in names]:
        graph.input.remove(value)
        if value.name in used:
            array = constants[value.name].numpy()
            graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
