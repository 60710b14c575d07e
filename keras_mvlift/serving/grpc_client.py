"""TensorFlow Serving by gRPC."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from keras_mvlift.serving import addresses, clients, predict_requests, server_errors

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
                "retryableStatusCodes": list(server_errors.TRANSIENT),
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

    Args:
        address: The model.
        deadline: Seconds for a call and all its retries.
    """

    def __init__(self, address: addresses.Address, deadline: float = clients.DEADLINE):
        self.address, self.deadline = address, deadline
        self._channel = (
            grpc.secure_channel(address.target, grpc.ssl_channel_credentials(), _OPTIONS)
            if address.is_secure
            else grpc.insecure_channel(address.target, _OPTIONS)
        )
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature."""
        spec = predict_requests.model_spec(self.address, signature)
        request = predict_requests.encode(spec, clients.arrays(inputs))
        return predict_requests.decode(self._call(self._prediction.Predict, request, signature))

    def signatures(self) -> dict[str, clients.Signature]:
        """Tells the signatures by name."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=predict_requests.model_spec(self.address), metadata_field=["signature_def"]
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
        spec = predict_requests.model_spec(self.address)
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        answer = self._call(self._models.GetModelStatus, request)
        return {each.version: _STATE.Name(each.state) for each in answer.model_version_status}

    def _call(self, method: Callable[..., Any], request: Any, subject: str = "server") -> Any:
        try:
            return method(request, timeout=self.deadline)
        except grpc.RpcError as error:
            code, detail = error.code().name, error.details() or ""
            raise server_errors.ServerError(self.address, subject, code, detail) from error


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int | None, ...]]:
    return {
        name: tuple(None if axis.size < 0 else axis.size for axis in tensor.tensor_shape.dim)
        for name, tensor in tensors.items()
    }
