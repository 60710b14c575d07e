"""Components that stop a run where TFX's own only take note."""

import logging
import os

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.types.artifact_utils import decode_split_names
from tfx.utils import io_utils


class DataAnomalyError(ValueError):
    """The data breaks the schema."""


class DriftError(ValueError):
    """The data is unlike what was trained on."""


class NotBlessedError(ValueError):
    """The model missed its thresholds."""


@component
def DataGate(anomalies: InputArtifact[standard_artifacts.ExampleAnomalies]) -> None:
    """Stops the run at data that breaks the schema."""
    found = read_anomalies(anomalies.uri, decode_split_names(anomalies.split_names))
    if found:
        raise DataAnomalyError("The data must fit the schema. Received: " + "; ".join(found) + ".")


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
        raise DriftError(told)
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
    """Gives a phrase for each anomaly that an ExampleValidator found."""
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
