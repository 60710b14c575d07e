"""Components that stop a run where TFX's own only take note."""

import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, text_format
from tensorflow_data_validation.anomalies.proto import custom_validation_config_pb2
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.components.example_validator import executor
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact, standard_artifacts, standard_component_specs
from tfx.types.artifact_utils import decode_split_names
from tfx.utils import io_utils

from components.example_gen import executor as example_gen
from components.example_gen import files
from keras_mvlift import configs, sources
from keras_mvlift.diagnosis import footage
from keras_mvlift.diagnosis import report as rig_report


class NotBlessedError(ValueError):
    """The model missed its thresholds."""


@component
def DataGate(anomalies: InputArtifact[standard_artifacts.ExampleAnomalies]) -> None:
    """Stops the run at data that breaks the schema."""
    found = read_anomalies(anomalies.uri, decode_split_names(anomalies.split_names))
    if found:
        raise files.UnusableError(
            "The data must fit the schema. Received: " + "; ".join(found) + "."
        )


RIG_REPORT = "rig.json"
MIN_INSTANTS = 50
"""Fewer to train on are told before training."""

TOLD = "components.told"
"""The logger of what somebody at the console is to read before training."""


class RigFindings(artifact.Artifact):
    """`rig.json`: what a check found of the rig that filmed the records."""

    TYPE_NAME = "MVLiftRigReport"


@component
def RigCheck(
    examples: InputArtifact[standard_artifacts.Examples],
    checked: OutputArtifact[RigFindings],
    data_config: Parameter[str],
    data_root: Parameter[str],
    code_version: Parameter[str],
) -> None:
    """Checks the rig that filmed the records, as `keras-mvlift check-rig` does."""
    config = configs.DataConfig.from_json(data_config)
    root = sources.newest_span(data_root).path if sources.has_spans(data_root) else data_root
    # What could be read, but for clips of a lone camera, which there is nothing to compare with.
    dataset = example_gen.read_dataset(examples.uri)
    clips = [about for about in dataset["clips"] if len(about["cameras"]) > 1]
    names = [about["clip"].rpartition("/")[-1] for about in clips]
    reports = rig_report.check_source(sources.open_source(config, root), names) if names else []
    data = rig_report.as_data(reports)
    found = [finding for rig in data["rigs"] for finding in rig["findings"]]
    found.sort(key=lambda finding: finding["severity"] != footage.ERROR)
    num_instants = dataset["counts"]["train_instants"]
    if num_instants < MIN_INSTANTS:
        found.append(dataclasses.asdict(_few(num_instants)))
    text = json.dumps(data | {"findings": found}, allow_nan=False)
    (pathlib.Path(checked.uri) / RIG_REPORT).write_text(text)


def _few(num_instants: int) -> footage.Finding:
    return footage.Finding(
        name="few_frames",
        cameras=(),
        sentence=f"{num_instants} instants are left to train on, after the split and the stride.",
        remedy="Film a minute or more, better of several people; of so little a trained model that "
        "is fitted makes more, as a `rival` is and as `keras-mvlift adapt` does.",
        before=num_instants,
        unit="instants",
    )


@component
def RigGate(checked: InputArtifact[RigFindings], stops: Parameter[bool]) -> None:
    """Tells what was found of a rig, and stops the run at what must be mended."""
    found = read_findings(checked.uri)
    for finding in found:
        logging.getLogger(TOLD).warning(_told(finding))
    wrong = [_told(finding) for finding in found if finding["severity"] == footage.ERROR]
    if wrong and stops:
        raise files.UnusableError(
            f"The rig must be mended before training. Received: {' '.join(wrong)} "
            'To train nonetheless, set `rig_check` to "warn".'
        )


def read_findings(checked_uri: str) -> list[dict[str, Any]]:
    """Reads what a RigCheck found, errors first: the fields of `footage.Finding`."""
    return json.loads((pathlib.Path(checked_uri) / RIG_REPORT).read_text())["findings"]


def _told(finding: Mapping[str, Any]) -> str:
    return "{severity}: {name}: {sentence} {remedy}".format(**finding)


@component
def DriftGate(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies], stops: Parameter[bool]
) -> None:
    """Warns of a span that is unlike those trained on, or stops the run at it."""
    found = read_anomalies(anomalies.uri, decode_split_names(anomalies.split_names))
    if not found:
        return
    told = f"Span {anomalies.span} must be like a span of the window. Received: {'; '.join(found)}"
    if stops:
        raise files.UnusableError(told)
    logging.warning(told)


@component
def BlessingGate(blessing: InputArtifact[standard_artifacts.ModelBlessing]) -> None:
    """Stops the run at a model that missed its thresholds; it was not pushed."""
    if not blessing.get_int_custom_property("blessed"):
        raise NotBlessedError("The model is not blessed and was not pushed; the report says why.")


@component
def InfraGate(blessing: InputArtifact[standard_artifacts.InfraBlessing]) -> None:
    """Stops the run at a model that TensorFlow Serving did not serve; it was not pushed."""
    if not blessing.get_int_custom_property("blessed"):
        raise NotBlessedError(
            "The model was not pushed: TensorFlow Serving did not load it or did not answer; the "
            "log says why."
        )


def read_anomalies(uri: str, splits: list[str]) -> list[str]:
    """Returns a phrase for each anomaly that an ExampleValidator found."""
    phrases = []
    for split in splits:
        anomalies = load_anomalies(uri, split)
        phrases += [
            f"{split}: {feature}: {_reasons(info)}"
            for feature, info in sorted(anomalies.anomaly_info.items())
        ]
        if anomalies.HasField("dataset_anomaly_info"):
            phrases.append(f"{split}: {anomalies.dataset_anomaly_info.description}")
    return phrases


def load_anomalies(uri: str, split: str) -> anomalies_pb2.Anomalies:
    """Reads what an ExampleValidator wrote of a split."""
    path = os.path.join(uri, f"Split-{split}", "SchemaDiff.pb")
    anomalies = anomalies_pb2.Anomalies()
    anomalies.ParseFromString(io_utils.read_bytes_file(path))
    return anomalies


def _reasons(info: anomalies_pb2.AnomalyInfo) -> str:
    # A rule of ours has its words in the short description, its SQL in the long one.
    is_ours = anomalies_pb2.AnomalyInfo.CUSTOM_VALIDATION
    return " and ".join(
        reason.short_description if reason.type == is_ours else reason.description
        for reason in info.reason
    )


PAIRS, TEST_VIEWS = "view_pairs", "test_views"

_FOLDER = pathlib.Path(__file__).parent / "schemas"


@component
def CuratedSchema(text: Parameter[str], schema: OutputArtifact[standard_artifacts.Schema]) -> None:
    """Writes a schema.

    TFX's ImportSchemaGen is given a file's name, and its cache answers with the former schema
    when what is in the file has changed.
    """
    (pathlib.Path(schema.uri) / "schema.pbtxt").write_text(text)


def read(kind: str) -> str:
    """Returns the schema of `PAIRS` or `TEST_VIEWS` as text: what must be true of each value."""
    return (_FOLDER / f"{kind}.pbtxt").read_text()


def comparators(kind: str, thresholds: Mapping[str, float]) -> str:
    """Returns a schema that says how far features may drift from span to span, and nothing else.

    `thresholds` are the most that a feature may be off: the Jensen-Shannon divergence of numbers,
    the greatest change of a share of names; 0 compares nothing. A feature of views is compared on
    both sides of a pair.
    """
    compared = schema_pb2.Schema()
    for known in text_format.Parse(read(kind), schema_pb2.Schema()).feature:
        feature = compared.feature.add(name=known.name, type=known.type)
        most = thresholds.get(feature.name.rpartition("/")[-1], 0.0)
        if most and feature.type == schema_pb2.BYTES:
            feature.drift_comparator.infinity_norm.threshold = most
        elif most:
            feature.drift_comparator.jensen_shannon_divergence.threshold = most
    return text_format.MessageToString(compared)


def rules(kind: str) -> custom_validation_config_pb2.CustomValidationConfig:
    """Returns what must be true of a feature as a whole."""
    text = (_FOLDER / f"{kind}_rules.pbtxt").read_text()
    return text_format.Parse(text, custom_validation_config_pb2.CustomValidationConfig())


RULES = standard_component_specs.CUSTOM_VALIDATION_CONFIG_KEY


class Executor(executor.Executor):
    """Says of TFX's verdict which span it is about, and parses rules that arrive as text.

    TFX leaves the one undone, and the other to the local runner's launcher and to nothing else.
    """

    def Do(
        self,
        input_dict: example_gen.Artifacts,
        output_dict: example_gen.Artifacts,
        exec_properties: dict[str, Any],
    ) -> Any:
        """Runs TFX's executor."""
        (anomalies,) = output_dict[standard_component_specs.ANOMALIES_KEY]
        anomalies.span = input_dict[standard_component_specs.STATISTICS_KEY][0].span
        rules = exec_properties.get(RULES)
        if isinstance(rules, str):
            parsed = json_format.Parse(rules, custom_validation_config_pb2.CustomValidationConfig())
            exec_properties = exec_properties | {RULES: parsed}
        return super().Do(input_dict, output_dict, exec_properties)
