"""Hands the curated schemas on; they are files of this package."""

import pathlib

from google.protobuf import text_format
from tensorflow_data_validation.anomalies.proto import custom_validation_config_pb2
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


def rules(kind: str) -> custom_validation_config_pb2.CustomValidationConfig:
    """Gives what must be true of a feature as a whole."""
    text = (_FOLDER / f"{kind}_rules.pbtxt").read_text()
    return text_format.Parse(text, custom_validation_config_pb2.CustomValidationConfig())
