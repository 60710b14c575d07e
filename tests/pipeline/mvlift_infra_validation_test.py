"""The pipeline as a runner is handed it, with TensorFlow Serving's word before the push."""

import json

import pytest

from components import infra_validator
from pipeline import presets
from tests.pipeline import mvlift_test

ASKED = {"infra_validation": {"tag": "2.15.1", "num_examples": 3, "docker_url": "tcp://here:2375"}}
WINDOWS = {
    "model": {"backbone": "temporal_dilated"},
    "data": {"num_virtual_views": 0},
    "finetune": {"views": "pair"},
}


@pytest.fixture(scope="module")
def nodes():
    return mvlift_test.compiled(presets.studio().updated(ASKED))


def test_a_model_is_served_after_it_was_judged_and_before_it_is_pushed(nodes):
    order = [*nodes]
    places = [order.index(name) for name in ("Evaluator", "InfraValidator", "Pusher")]
    assert places == sorted(places)
    assert "Evaluator" in nodes["InfraValidator"].upstream_nodes
    assert ("InfraValidator", "blessing") in mvlift_test.channels(nodes["Pusher"])
    assert ("Evaluator", "blessing") in mvlift_test.channels(nodes["Pusher"])


def test_the_trained_model_lifts_test_views_in_the_image_that_is_asked_for(nodes):
    assert mvlift_test.channels(nodes["InfraValidator"]) == {
        ("Trainer.Finetune", "model"),
        (mvlift_test.EXAMPLE_GEN, "test_examples"),
    }
    told = mvlift_test.properties(nodes, "InfraValidator")
    spec = json.loads(told["serving_spec"])
    assert spec["tensorflow_serving"] == {"image_name": "tensorflow/serving", "tags": ["2.15.1"]}
    assert spec["local_docker"] == {"client_base_url": "tcp://here:2375"}
    asked = json.loads(told["request_spec"])
    assert (asked["split_name"], asked["num_examples"]) == ("test", 3)
    assert asked["tensorflow_serving"]["signature_names"] == [infra_validator.SIGNATURE]


def test_a_run_stops_after_its_report_at_a_model_that_was_not_served(nodes):
    assert ("InfraValidator", "blessing") in mvlift_test.channels(nodes["InfraGate"])
    assert "Report" in nodes["InfraGate"].upstream_nodes


def test_a_model_of_windows_is_only_loaded():
    nodes = mvlift_test.compiled(presets.studio().updated(ASKED | WINDOWS))
    assert mvlift_test.channels(nodes["InfraValidator"]) == {("Trainer.Finetune", "model")}
    assert "request_spec" not in mvlift_test.properties(nodes, "InfraValidator")


def test_nothing_is_there_unless_it_is_asked_for():
    nodes = mvlift_test.compiled(presets.studio())
    assert not {"InfraValidator", "InfraGate"} & {*nodes}
