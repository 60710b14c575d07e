import json
import pathlib

from tfx.types import artifact

from components import checks
from pipeline import container

SCHEMA = checks.read(checks.TEST_VIEWS)
OUTPUT_FILE = "bucket/run/task/executor_output.json"


def invocation(title="tfx.Schema"):
    """What the platform hands over, for a component that writes a text to a file."""
    schema = {
        "name": "schema",
        "uri": "gs://bucket/run/task/schema",
        "type": {"instanceSchema": f"title: {title}\ntype: object\n"},
    }
    return {
        "inputs": {"parameterValues": {"text": SCHEMA}},
        "outputs": {
            "artifacts": {"schema": {"artifacts": [schema]}},
            "outputFile": f"gs://{OUTPUT_FILE}",
        },
    }


def run(folder, monkeypatch, title="tfx.Schema"):
    monkeypatch.setattr(container, "MOUNT", f"{folder}/")
    arguments = {
        "executor_class_path": "components.checks.CuratedSchema_Executor",
        "json_serialized_invocation_args": json.dumps(invocation(title)),
        "json_serialized_inputs_spec_args": '{"parameters": {"text": {"parameterType": "STRING"}}}',
    }
    words = [word for name, value in arguments.items() for word in (f"--{name}", value)]
    assert container.main([*words, "--temp_location=gs://bucket/tmp"]) == 0
    return json.loads((folder / OUTPUT_FILE).read_text())


def test_a_component_writes_to_a_bucket_as_to_a_folder(tmp_path, monkeypatch):
    told = run(tmp_path, monkeypatch)
    (schema,) = told["artifacts"]["schema"]["artifacts"]
    assert schema["uri"] == "gs://bucket/run/task/schema"
    assert (tmp_path / "bucket/run/task/schema/schema.pbtxt").read_text() == SCHEMA


def test_types_of_ours_are_found_by_their_titles(tmp_path, monkeypatch):
    for title, kind in container.ARTIFACTS.items():
        run(tmp_path, monkeypatch, title)
        assert title == f"components.{kind.__name__}"
    assert {*container.ARTIFACTS.values()} == {
        kind
        for kind in artifact.Artifact.__subclasses__()
        if kind.__module__.startswith("components.")
    }


def test_vertex_mounts_buckets_there():
    assert (container.BUCKETS, pathlib.PurePosixPath(container.MOUNT).parts) == (
        "gs://",
        ("/", "gcs"),
    )
