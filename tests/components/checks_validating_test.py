import pytest
from google.protobuf import json_format
from tensorflow_data_validation import constants
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.types import artifact_utils, standard_artifacts

from components import checks

RULES = checks.rules(checks.TEST_VIEWS)


def validate(folder, rules, span=0):
    """Validates statistics of poses that are 5 cm large; gives the artifact."""
    kinds = {
        "statistics": standard_artifacts.ExampleStatistics,
        "schema": standard_artifacts.Schema,
        "anomalies": standard_artifacts.ExampleAnomalies,
    }
    artifacts = {name: kind() for name, kind in kinds.items()}
    for name, artifact in artifacts.items():
        artifact.uri = str(folder / name)
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(name=constants.DEFAULT_SLICE_KEY, num_examples=1)
    pose = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.FLOAT)
    pose.path.step.append("reference_pose")
    pose.num_stats.max = 0.05
    files = {
        "statistics/Split-test/FeatureStats.pb": statistics.SerializeToString(),
        "schema/schema.pbtxt": checks.read(checks.TEST_VIEWS).encode(),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
    artifacts["statistics"].split_names = artifact_utils.encode_split_names(["test"])
    artifacts["statistics"].span = span
    inputs = {name: [artifacts[name]] for name in ("statistics", "schema")}
    outputs = {"anomalies": [artifacts["anomalies"]]}
    checks.Executor().Do(inputs, outputs, {checks.RULES: rules})
    return artifacts["anomalies"]


@pytest.mark.parametrize("written", [str, None], ids=["text", "message"])
def test_rules_are_taken_as_text_and_as_a_message(written, tmp_path):
    rules = json_format.MessageToJson(RULES) if written else RULES
    found = checks.read_anomalies(validate(tmp_path, rules).uri, ["test"])
    assert any("reference_pose: " in phrase and "another unit" in phrase for phrase in found)


def test_a_verdict_says_which_span_it_is_about(tmp_path):
    assert validate(tmp_path, RULES, span=6).span == 6
