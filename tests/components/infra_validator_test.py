"""No Docker here: what TFX would ask of the server is asked of a stand-in that runs the model."""

import contextlib
import http.server
import json
import pathlib
import threading
import time

import pytest
from tfx import types as tfx_types
from tfx.components.infra_validator import request_builder
from tfx.components.infra_validator.model_server_clients import tensorflow_serving_client
from tfx.proto import infra_validator_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import proto_utils

from components import infra_validator
from components.example_gen import files
from keras_mvlift.serving import clients
from tests import tiny_studio
from tests.serving import stand_in

FIELDS = {
    "serving_image": "registry/serving",
    "tag": "2.15.1",
    "num_examples": 3,
    "num_tries": 4,
    "max_loading_seconds": 90,
    "docker_url": "tcp://localhost:2375",
}


def make(examples=True, **changes):
    channels = [
        tfx_types.Channel(type=kind)
        for kind in (standard_artifacts.Model, standard_artifacts.Examples)
    ]
    return infra_validator.InfraValidator(
        channels[0], channels[1] if examples else None, **FIELDS | changes
    )


def told(node, name, message):
    return proto_utils.json_to_proto(node.exec_properties[name], message())


def test_the_server_is_the_image_that_was_named_by_docker_where_it_listens():
    spec = told(make(), "serving_spec", infra_validator_pb2.ServingSpec)
    assert spec.tensorflow_serving.image_name == "registry/serving"
    assert list(spec.tensorflow_serving.tags) == ["2.15.1"]
    assert spec.WhichOneof("serving_platform") == "local_docker"
    assert spec.local_docker.client_base_url == "tcp://localhost:2375"
    assert spec.model_name == clients.DEFAULT_MODEL
    rules = told(make(), "validation_spec", infra_validator_pb2.ValidationSpec)
    assert (rules.num_tries, rules.max_loading_time_seconds) == (4, 90)


def test_a_model_without_a_signature_of_records_is_only_loaded():
    node = make(examples=False)
    assert node.exec_properties["request_spec"] is None
    assert [*node.inputs] == ["model"]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Test views, as the pipeline writes them."""
    made = standard_artifacts.Examples()
    made.uri = str(tmp_path_factory.mktemp("examples"))
    made.split_names = artifact_utils.encode_split_names([infra_validator.SPLIT])
    columns = tiny_studio.prepare(tiny_studio.film()).test_views
    files.write(made.uri, f"{files.folder(infra_validator.SPLIT)}/data.gz", columns)
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = standard_artifacts.Model()
    made.uri = str(tmp_path_factory.mktemp("model"))
    tiny_studio.save(tiny_studio.trained(), pathlib.Path(made.uri, "Format-Serving"))
    return made


def test_what_tfx_would_ask_is_answered_by_the_model(examples, model):
    spec = told(make(), "request_spec", infra_validator_pb2.RequestSpec)
    requests = request_builder.build_requests(clients.DEFAULT_MODEL, model, examples, spec)
    signatures = [request.model_spec.signature_name for request in requests]
    assert signatures == [infra_validator.SIGNATURE] * 3
    with stand_in.serving({1: pathlib.Path(model.uri, "Format-Serving")}) as (versions, found):
        endpoint = clients.parse(found["grpc"]).target
        client = tensorflow_serving_client.TensorFlowServingClient(endpoint, clients.DEFAULT_MODEL)
        client.WaitUntilModelLoaded(time.time() + 10, polling_interval_sec=1)
        before = versions.num_requests
        client.SendRequests(requests)
        assert versions.num_requests == before + 3


@pytest.mark.parametrize("url", ["", "tcp://127.0.0.1:1", "nonsense://"])
def test_no_docker_is_said_at_once(url):
    start = time.monotonic()
    with pytest.raises(infra_validator.NoDockerError) as caught:
        infra_validator.require_docker(url or "unix:///nowhere/docker.sock")
    sentence = str(caught.value)
    assert sentence.startswith("`infra_validation` must reach Docker, by a `docker_url`")
    assert "\n" not in sentence
    assert time.monotonic() - start < 5


def test_without_docker_a_model_is_not_called_bad(model, tmp_path):
    blessing = standard_artifacts.InfraBlessing()
    blessing.uri = str(tmp_path)
    properties = make(docker_url="tcp://127.0.0.1:1").exec_properties
    with pytest.raises(infra_validator.NoDockerError):
        infra_validator.Executor().Do({"model": [model]}, {"blessing": [blessing]}, properties)
    assert not list(tmp_path.iterdir())


@contextlib.contextmanager
def docker():
    """Answers as Docker does to who wants to know whether it is there."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"ApiVersion": "1.41"}).encode()
            self.send_response(200 if self.path.endswith(("/_ping", "/version")) else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_docker_that_answers_is_enough():
    with docker() as url:
        infra_validator.require_docker(url)
