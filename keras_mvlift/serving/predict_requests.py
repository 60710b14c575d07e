"""Arrays to TensorFlow Serving's messages and back."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2

from keras_mvlift.serving import addresses


def model_spec(address: addresses.Address, signature: str = "") -> model_pb2.ModelSpec:
    """Names a model, one of its versions and one of its signatures."""
    spec = model_pb2.ModelSpec(name=address.model, signature_name=signature)
    if address.label is not None:
        spec.version_label = address.label
    elif address.version is not None:
        spec.version.value = address.version
    return spec


def encode(
    spec: model_pb2.ModelSpec, inputs: Mapping[str, np.ndarray]
) -> predict_pb2.PredictRequest:
    """Writes arrays as a request."""
    request = predict_pb2.PredictRequest(model_spec=spec)
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request


def decode(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    """Reads the arrays of an answer."""
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
