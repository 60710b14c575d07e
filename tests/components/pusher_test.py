import contextlib
import errno
import http.server
import json
import multiprocessing
import os
import pathlib
import signal
import threading
import time

import pytest
from tfx import types as tfx_types
from tfx.components.infra_validator import request_builder
from tfx.components.infra_validator.model_server_clients import tensorflow_serving_client
from tfx.proto import infra_validator_pb2, pusher_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, proto_utils

from components import pusher
from components.example_gen import files
from keras_mvlift.serving import clients
from tests import tiny_studio
from tests.serving import stand_in

FILES = ("fingerprint.pb", "saved_model.pb", "variables/variables.index")


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving"


def artifact(kind, folder):
    made = kind()
    made.uri = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture
def push(tmp_path, base):
    """Pushes a model whose files hold a word; gives what is noted of it."""

    def push_model(word, blessed=1):
        model = artifact(standard_artifacts.Model, tmp_path / "model" / word)
        for name in FILES:
            path = pathlib.Path(model.uri) / "Format-Serving" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} of {word}")
        blessing = artifact(standard_artifacts.ModelBlessing, tmp_path / "blessing")
        blessing.set_int_custom_property("blessed", blessed)
        pushed = artifact(standard_artifacts.PushedModel, tmp_path / "pushed" / word)
        destination = pusher_pb2.PushDestination()
        destination.filesystem.base_directory = str(base)
        pusher.Executor().Do(
            {"model": [model], "model_blessing": [blessing]},
            {"pushed_model": [pushed]},
            {"push_destination": proto_utils.proto_to_json(destination)},
        )
        return pushed

    return push_model


def versions(base):
    """Returns the words of the models that a server would find, oldest first."""
    found = sorted((path for path in base.iterdir() if path.name.isdecimal()), key=_number)
    return ["/".join(_words(folder)) for folder in found]


def _number(folder):
    return int(folder.name)


def _words(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert [str(path.relative_to(folder)) for path in files] == list(FILES)
    return sorted({path.read_text().split(" of ")[1] for path in files})


def at_last_file(monkeypatch, act):
    """Has something happen when a push has copied all but the model's graph."""
    copy = io_utils.copy_file

    def copy_or_act(source, destination, *others):
        if destination.endswith("saved_model.pb"):
            act()
        copy(source, destination, *others)

    monkeypatch.setattr(io_utils, "copy_file", copy_or_act)


def test_a_pushed_model_is_whole_and_noted_where_it_is(push, base):
    pushed = push("first")
    assert versions(base) == ["first"]
    folder = pathlib.Path(pushed.get_string_custom_property("pushed_destination"))
    assert folder.parent == base
    assert folder.name == pushed.get_string_custom_property("pushed_version")
    assert pushed.get_int_custom_property("pushed") == 1
    assert not (base / pusher.PARTIAL).exists()


def test_a_model_that_is_not_blessed_is_not_pushed(push, base):
    pushed = push("bad", blessed=0)
    assert not base.exists()
    assert pushed.get_int_custom_property("pushed") == 0
    assert not pushed.has_custom_property("pushed_destination")


def test_a_push_that_is_killed_leaves_no_version_and_can_be_done_again(push, base, monkeypatch):
    with monkeypatch.context() as patched:
        at_last_file(patched, lambda: os.kill(os.getpid(), signal.SIGKILL))
        process = multiprocessing.get_context("fork").Process(target=push, args=("first",))
        process.start()
        process.join()
    assert process.exitcode == -signal.SIGKILL
    # It was in the middle: some of the files are there, aside.
    assert list((base / pusher.PARTIAL).rglob("variables.index"))
    assert versions(base) == []
    push("first")
    assert versions(base) == ["first"]
    assert not (base / pusher.PARTIAL).exists()


def test_a_disk_that_fills_up_leaves_the_versions_as_they_were(push, base, monkeypatch):
    push("first")

    def fill():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    at_last_file(monkeypatch, fill)
    with pytest.raises(OSError, match="No space left on device"):
        push("second")
    assert versions(base) == ["first"]
    assert [path.name for path in base.iterdir() if not path.name.isdecimal()] == []


def test_versions_rise_whatever_the_clock_says(push, base):
    late = 9_999_999_999
    pushed = push("first")
    pathlib.Path(pushed.get_string_custom_property("pushed_destination")).rename(base / str(late))
    second = push("second")
    assert versions(base) == ["first", "second"]
    assert second.get_string_custom_property("pushed_version") == str(late + 1)


def test_a_model_of_the_same_size_and_time_is_another(push, base, monkeypatch):
    is_same = pusher._is_same

    def is_same_of_one_moment(*folders):
        for path in (path for folder in folders for path in folder.rglob("*")):
            os.utime(path, (0, 0))
        return is_same(*folders)

    monkeypatch.setattr(pusher, "_is_same", is_same_of_one_moment)
    push("this")
    push("that")
    assert versions(base) == ["this", "that"]


def test_the_latest_model_is_not_pushed_twice_but_a_former_one_is(push, base):
    first, again = push("first"), push("first")
    property_of = "pushed_destination"
    assert again.get_string_custom_property(property_of) == first.get_string_custom_property(
        property_of
    )
    push("second")
    push("first")
    assert versions(base) == ["first", "second", "first"]


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
    return pusher.InfraValidator(channels[0], channels[1] if examples else None, **FIELDS | changes)


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
    made.split_names = artifact_utils.encode_split_names([pusher.SPLIT])
    columns = tiny_studio.prepare(tiny_studio.film()).test_views
    files.write(made.uri, f"{files.folder(pusher.SPLIT)}/data.gz", columns)
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
    assert signatures == [pusher.SIGNATURE] * 3
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
    with pytest.raises(pusher.NoDockerError) as caught:
        pusher.require_docker(url or "unix:///nowhere/docker.sock")
    sentence = str(caught.value)
    assert sentence.startswith("`infra_validation` must reach Docker, by a `docker_url`")
    assert "\n" not in sentence
    assert time.monotonic() - start < 5


def test_without_docker_a_model_is_not_called_bad(model, tmp_path):
    blessing = standard_artifacts.InfraBlessing()
    blessing.uri = str(tmp_path)
    properties = make(docker_url="tcp://127.0.0.1:1").exec_properties
    with pytest.raises(pusher.NoDockerError):
        pusher.InfraExecutor().Do({"model": [model]}, {"blessing": [blessing]}, properties)
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
        pusher.require_docker(url)
