"""Hands the curated schemas on; they are files of this package."""

import pathlib
from collections.abc import Mapping

from google.protobuf import text_format
from tensorflow_data_validation.anomalies.proto import custom_validation_config_pb2
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

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
    """Gives the schema of `PAIRS` or `TEST_VIEWS` as text: what must be true of each value."""
    return (_FOLDER / f"{kind}.pbtxt").read_text()


def comparators(kind: str, thresholds: Mapping[str, float]) -> str:
    """Gives a schema that says how far features may drift from span to span, and nothing else.

    Args:
        kind: Of the schema that tells the features.
        thresholds: The most that a feature may be off: the Jensen-Shannon divergence of numbers,
            the greatest change of a share of names. A feature of views is compared on both sides
            of a pair. 0 compares nothing.
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
    """Gives what must be true of a feature as a whole."""
    text = (_FOLDER / f"{kind}_rules.pbtxt").read_text()
    return text_format.Parse(text, custom_validation_config_pb2.CustomValidationConfig())
