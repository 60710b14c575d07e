"""The folder `serving`: its files parse, and say the same about one another."""

import pathlib
import subprocess

import pytest
import yaml
from google.protobuf import text_format

from keras_mvlift.export import saved_model
from keras_mvlift.serving import clients, remote_lifters, rollouts
from tests.serving import config_messages, stand_in

SERVING = pathlib.Path(__file__).parents[2] / "serving"
CONFIG = SERVING / "config"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((SERVING / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def server(compose):
    return compose["services"]["mvlift"]


@pytest.fixture(scope="module")
def flags(server):
    return dict(flag.removeprefix("--").split("=") for flag in server["command"])


def parsed(name, message):
    return text_format.Parse((CONFIG / name).read_text(), message())


def test_the_model_config_serves_what_clients_ask_for_by_all_labels(server):
    path = CONFIG / "models.config"
    config = rollouts.read_config(path)
    assert rollouts.only_model(path, config).name == clients.DEFAULT_MODEL
    assert rollouts.labels_of(path, config) == rollouts.started(1)
    inside = {volume.rsplit(":", 2)[1] for volume in server["volumes"]}
    assert rollouts.only_model(path, config).base_path in inside


def test_batches_hold_the_largest_request_of_clients_and_of_warm_ups():
    batching = parsed("batching.config", config_messages.BatchingParameters)
    largest = max(remote_lifters.MAX_AT_ONCE, *saved_model.BATCH_SIZES)
    assert batching.max_batch_size.value >= largest
    assert batching.batch_timeout_micros.value <= 1000
    assert batching.max_enqueued_batches.value > 0
    assert not batching.pad_variable_length_inputs


def test_batches_have_a_thread_for_each_cpu(server, flags):
    batching = parsed("batching.config", config_messages.BatchingParameters)
    cpus = int(server["deploy"]["resources"]["limits"]["cpus"])
    assert batching.num_batch_threads.value == cpus
    assert int(flags["tensorflow_inter_op_parallelism"]) == cpus


def test_prometheus_asks_where_the_server_answers(server):
    monitoring = parsed("monitoring.config", config_messages.MonitoringConfig).prometheus_config
    asked = yaml.safe_load((SERVING / "prometheus" / "prometheus.yml").read_text())
    (job,) = asked["scrape_configs"]
    assert monitoring.enable
    assert job["metrics_path"] == monitoring.path
    assert job["static_configs"] == [{"targets": ["mvlift:8501"]}]


@pytest.mark.parametrize("name", ["batching.config", "monitoring.config"])
def test_a_wrong_field_would_not_parse(name):
    kinds = {"batching.config": "BatchingParameters", "monitoring.config": "MonitoringConfig"}
    message = getattr(config_messages, kinds[name])()
    with pytest.raises(text_format.ParseError):
        text_format.Parse((CONFIG / name).read_text() + "\nno_such_field: 1", message)


def test_files_that_flags_name_are_there(server, flags):
    assert "./config:/config:ro" in server["volumes"]
    files = [value for name, value in flags.items() if name.endswith("_file")]
    assert len(files) == 3
    assert [path for path in files if not (SERVING / path.lstrip("/")).is_file()] == []


def test_labels_may_be_there_before_their_versions_and_change_without_a_restart(flags):
    assert flags["allow_version_labels_for_unavailable_models"] == "true"
    assert 0 < int(flags["model_config_file_poll_wait_seconds"]) < 60


def test_every_service_is_bounded_and_open_to_this_machine_only(compose):
    for service in compose["services"].values():
        assert {*service["deploy"]["resources"]["limits"]} == {"cpus", "memory"}
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.parametrize(("label", "is_healthy"), [("stable", True), ("other", False)])
def test_the_health_check_tells_a_served_label_from_none(folder, server, label, is_healthy):
    kind, *command = server["healthcheck"]["test"]
    assert kind == "CMD"
    with stand_in.serving({1: folder}, {label: 1}) as (_, found):
        port = str(clients.parse(found["http"]).port)
        command[-1] = command[-1].replace("localhost/8501", f"127.0.0.1/{port}")
        done = subprocess.run(command, capture_output=True, timeout=10)
    assert (done.returncode == 0) == is_healthy


def test_the_health_check_fails_without_a_server(server):
    command = [part.replace("/8501", "/1") for part in server["healthcheck"]["test"][1:]]
    assert subprocess.run(command, capture_output=True, timeout=10).returncode != 0
