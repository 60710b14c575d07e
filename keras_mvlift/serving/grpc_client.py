"""TensorFlow Serving by gRPC."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_mvlift.serving import clients

# gRPC's own policy, inside the deadline of the call; five is the most it allows.
_RETRIES = {
    "methodConfig": [
        {
            "name": [
                {"service": "tensorflow.serving.PredictionService"},
                {"service": "tensorflow.serving.ModelService"},
            ],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": list(clients.TRANSIENT),
            },
        }
    ]
}
_OPTIONS = (
    ("grpc.service_config", json.dumps(_RETRIES)),
    ("grpc.enable_retries", 1),
    # The server's answers are as large as the requests; 4 MiB is gRPC's own bound.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)
_STATE = get_model_status_pb2.ModelVersionStatus.State


class GrpcClient:
    """A `clients.Client` that speaks gRPC.

    With the scheme `grpcs` the server is asked for a certificate of an authority that gRPC knows.
    """

    def __init__(self, address: clients.Address, deadline: float = clients.DEADLINE):
        self.address, self.deadline = address, deadline
        self._channel = (
            grpc.secure_channel(address.target, grpc.ssl_channel_credentials(), _OPTIONS)
            if address.scheme == "grpcs"
            else grpc.insecure_channel(address.target, _OPTIONS)
        )
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature."""
        spec = model_spec(self.address, signature)
        request = encode(spec, clients.arrays(inputs))
        return decode(self._call(self._prediction.Predict, request, signature))

    def signatures(self) -> dict[str, clients.Signature]:
        """Tells the signatures by name."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=model_spec(self.address), metadata_field=["signature_def"]
        )
        answer = self._call(self._prediction.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        return {
            name: clients.Signature(_shapes(signature.inputs), _shapes(signature.outputs))
            for name, signature in found.signature_def.items()
            if not name.startswith("__")
        }

    def versions(self) -> dict[int, str]:
        """Tells the state of each version that the address means."""
        spec = model_spec(self.address)
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        answer = self._call(self._models.GetModelStatus, request)
        return {each.version: _STATE.Name(each.state) for each in answer.model_version_status}

    def _call(self, method: Callable[..., Any], request: Any, subject: str = "server") -> Any:
        try:
            return method(request, timeout=self.deadline)
        except grpc.RpcError as error:
            code, detail = error.code().name, error.details() or ""
            raise clients.ServerError(self.address, subject, code, detail) from error


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int | None, ...]]:
    return {
        name: tuple(None if axis.size < 0 else axis.size for axis in tensor.tensor_shape.dim)
        for name, tensor in tensors.items()
    }


def model_spec(address: clients.Address, signature: str = "") -> model_pb2.ModelSpec:
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
