import json

import pytest
from tfx.dsl.compiler import compiler
from tfx.dsl.components.common import resolver

from components import trainers
from pipeline import presets
from tests.pipeline import mvlift_test

ROOT = "recordings/{SPAN}"
WINDOW = {("RollingWindow", "examples"), ("RollingWindow", "test_examples")}


def compiled(changes=None, data_root=ROOT):
    config = presets.recording().updated(changes or {})
    whole = compiler.Compiler().compile(mvlift_test.create(config, data_root))
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in whole.nodes}


@pytest.fixture(scope="module")
def nodes():
    return compiled()


def verdicts(nodes, name):
    """Returns the nodes whose anomalies of all runs a resolver looks at."""
    producers = {
        query.name.field_value.string_value
        for spec in nodes[name].inputs.inputs.values()
        for channel in spec.channels
        if channel.output_key == "anomalies"
        for query in channel.context_queries
        if query.type.name == "node"
    }
    return {producer.removeprefix("recording.") for producer in producers}


def test_without_spans_nothing_is_followed():
    assert not {"RollingWindow", "DriftGate"} & set(compiled(data_root="recordings/1"))


def test_all_that_trains_judges_and_reports_reads_the_window(nodes):
    for name in ("Trainer.Pretrain", "Trainer.Finetune"):
        assert mvlift_test.channels(nodes[name]) & WINDOW == {("RollingWindow", "examples")}
    for name in ("HeldOutViews", "Baselines", "Report"):
        assert mvlift_test.channels(nodes[name]) >= WINDOW
    assert ("RollingWindow", "test_examples") in mvlift_test.channels(nodes["Evaluator"])
    readers = {
        name
        for name, node in nodes.items()
        if "RecordingExampleGen" in {producer for producer, _ in mvlift_test.channels(node)}
    }
    assert readers == {
        *("RigCheck", "StatisticsGen.Pairs", "StatisticsGen.TestViews"),
        *("FormerSpans", "LastBlessedBefore"),
    }


@pytest.mark.parametrize("name", mvlift_test.TRAINERS)
def test_trainers_read_no_test_views_of_any_span(nodes, name):
    assert ("RollingWindow", "test_examples") not in mvlift_test.channels(nodes[name])


def test_training_waits_for_the_look_at_drift(nodes):
    for name in mvlift_test.TRAINERS:
        assert "DriftGate" in nodes[name].upstream_nodes
    assert "DataGate.Pairs" in nodes["FormerSpans"].upstream_nodes
    assert {"DriftGate", "DataGate.TestViews"} <= set(nodes["RollingWindow"].upstream_nodes)


def test_the_first_stage_goes_on_from_the_last_blessed_model(nodes):
    assert ("LastBlessedBefore", "model") in mvlift_test.channels(nodes["Trainer.Pretrain"])
    assert ("Trainer.Pretrain", "model") in mvlift_test.channels(nodes["Trainer.Finetune"])
    cold = compiled({"window": {"warm_start": False}})
    assert "LastBlessedBefore" not in cold
    for made, is_warm in ((nodes, True), (cold, False)):
        custom = json.loads(mvlift_test.properties(made, "Trainer.Pretrain")["custom_config"])
        assert custom.get("warm_start", False) is is_warm
        assert trainers.PRETRAIN == custom["stage"]


def test_the_first_stage_alone_is_told_which_model_to_start_from():
    for data_root in (ROOT, "recording"):
        made = compiled({"start_from": "studio"}, data_root)
        first, second = (
            json.loads(mvlift_test.properties(made, name)["custom_config"])
            for name in mvlift_test.TRAINERS
        )
        assert first["start_from"] == "studio"
        assert len(first["start_digest"]) == 16
        assert "start_from" not in second


def test_a_span_that_drifted_counts_unless_drift_stops(nodes):
    checked = {"ExampleValidator.Pairs", "ExampleValidator.TestViews"}
    for name in ("RollingWindow", "FormerSpans"):
        assert verdicts(nodes, name) == checked
        strict = compiled({"drift": {"action": "stop"}})
        assert verdicts(strict, name) == checked | {"ExampleValidator.Drift"}


def test_the_window_is_as_wide_as_the_settings_say():
    config = presets.recording().updated({"window": {"num_spans": 3}})
    made = {node.id: node for node in mvlift_test.create(config, ROOT).components}
    for name in ("RollingWindow", "FormerSpans"):
        assert made[name].exec_properties[resolver.RESOLVER_CONFIG]["num_spans"] == 3
