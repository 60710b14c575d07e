"""A server on TensorFlow Serving's own stubs and paths; it stands in for it, it is not it."""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import re
import threading

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving import served_versions

HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(:predict|/metadata|)", re.ASCII
)
AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


def asked(spec):
    version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
    return spec.name, spec.version_label, version


@contextlib.contextmanager
def aborting(context):
    try:
        yield
    except served_versions.RefusedError as error:
        context.abort(grpc.StatusCode[error.code], error.detail)


class Grpc(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    def __init__(self, versions):
        self.versions = versions

    def Predict(self, request, context):  # noqa: N802
        with aborting(context):
            self.versions.begin()
            number, version = self.versions.version(*asked(request.model_spec))
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            outputs = version.run(request.model_spec.signature_name, inputs)
        answer = predict_pb2.PredictResponse()
        answer.model_spec.version.value = number
        for name, value in outputs.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return answer

    def GetModelMetadata(self, request, context):  # noqa: N802
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        with aborting(context):
            self.versions.begin()
            _, version = self.versions.version(*asked(request.model_spec))
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=version.signatures)
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def GetModelStatus(self, request, context):  # noqa: N802
        answer = get_model_status_pb2.GetModelStatusResponse()
        with aborting(context):
            self.versions.begin()
            for number in self.versions.numbers(*asked(request.model_spec)):
                answer.model_version_status.add(version=number, state=AVAILABLE)
        return answer


class Rest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        try:
            status, told = 200, self.told(body)
        except served_versions.RefusedError as error:
            status, told = HTTP_STATUS[error.code], {"error": error.detail}
        data = json.dumps(told).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def told(self, body):
        versions = self.server.versions
        versions.begin()
        found = PATH.fullmatch(self.path)
        if found is None:
            raise served_versions.RefusedError("NOT_FOUND", f"Malformed request: {self.path}")
        model, number, label, verb = found.groups()
        spec = (model, label, int(number) if number else None)
        if verb == ":predict":
            return predicted(versions.version(*spec)[1], json.loads(body))
        if verb == "/metadata":
            _, version = versions.version(*spec)
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=version.signatures)
            named = json_format.MessageToDict(signatures, preserving_proto_field_name=True)
            return {"metadata": {"signature_def": named}}
        states = [{"version": str(each), "state": "AVAILABLE"} for each in versions.numbers(*spec)]
        return {"model_version_status": states}

    def log_message(self, *_):
        pass


def predicted(version, request):
    inputs = {name: array(value) for name, value in request["inputs"].items()}
    outputs = version.run(request.get("signature_name"), inputs)
    values = {name: value.tolist() for name, value in outputs.items()}
    # TensorFlow Serving leaves out the name of a single output.
    return {"outputs": values if len(values) > 1 else next(iter(values.values()))}


def array(value):
    if value and isinstance(value[0], dict):
        return np.array([base64.b64decode(each["b64"]) for each in value], object)
    try:
        return np.array(value, np.float32)
    except ValueError as error:
        raise served_versions.RefusedError("INVALID_ARGUMENT", str(error)) from error


@contextlib.contextmanager
def serving(folders, labels=None, model="mvlift", credentials=None, port=0):
    """Serves SavedModels by their numbers; gives versions and both addresses by their scheme."""
    versions = served_versions.Versions(folders, dict(labels or {}), model)
    with concurrent.futures.ThreadPoolExecutor(8) as workers:
        server = grpc.server(workers, options=[("grpc.so_reuseport", 0)])
        handler = Grpc(versions)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(handler, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(handler, server)
        place = f"127.0.0.1:{port}"
        if credentials is None:
            port = server.add_insecure_port(place)
        else:
            port = server.add_secure_port(place, credentials)
        server.start()
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rest)
        web.versions, web.daemon_threads = versions, True
        threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
        scheme = "grpc" if credentials is None else "grpcs"
        try:
            yield (
                versions,
                {
                    "grpc": f"{scheme}://127.0.0.1:{port}",
                    "http": f"http://127.0.0.1:{web.server_port}",
                },
            )
        finally:
            web.shutdown()
            web.server_close()
            server.stop(None).wait()
