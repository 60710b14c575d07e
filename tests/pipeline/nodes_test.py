import pathlib

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2

from pipeline import mvlift, nodes, runs, settings
from tests.pipeline import studio_runs

NAMES = ("Schema.Pairs", "RecordingExampleGen")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def connection(home):
    return runs.metadata_connection(home / "metadata" / "metadata.db")


@pytest.fixture(scope="module")
def whole(home, connection):
    config = settings.PipelineConfig().updated(studio_runs.SETTINGS)
    folders = mvlift.Folders(*(str(home / name) for name in mvlift.Folders._fields))
    return nodes.compiled(mvlift.create_pipeline(config, "", folders, connection))


@pytest.fixture(scope="module")
def executions(whole, connection):
    """The states of two nodes in two runs, the second of which has nothing new to do."""
    before = whole.SerializeToString(deterministic=True)
    for run_id in ("first", "second"):
        for name in NAMES:
            nodes.launch(whole, name, run_id)
    assert whole.SerializeToString(deterministic=True) == before
    store = ml_metadata.MetadataStore(connection)
    states = {}
    for context in store.get_contexts_by_type("pipeline_run"):
        found = store.get_executions_by_context(context.id)
        states[context.name] = [one.last_known_state for one in found]
    return states


def test_a_node_comes_after_all_that_it_waits_for(whole):
    waits = nodes.upstream(whole)
    names = [*waits]
    assert names[-1] == "BlessingGate"
    assert "DataGate.Pairs" in waits["Trainer.Pretrain"]
    for name, others in waits.items():
        assert all(names.index(other) < names.index(name) for other in others)


def test_a_node_that_is_launched_writes_its_artifacts(executions, home):
    written = {path.name for path in (home / "artifacts" / "RecordingExampleGen").iterdir()}
    assert written >= {"examples", "test_examples"}
    (schema,) = pathlib.Path(home, "artifacts", "Schema.Pairs").rglob("schema.pbtxt")
    assert "keypoints_2d" in schema.read_text()


def test_a_run_has_its_own_id_and_is_answered_from_the_cache(executions):
    complete = metadata_store_pb2.Execution.COMPLETE
    cached = metadata_store_pb2.Execution.CACHED
    assert executions == {"first": [complete] * 2, "second": [cached] * 2}
