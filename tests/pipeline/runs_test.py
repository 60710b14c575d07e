import contextlib
import os
import pathlib
import sqlite3

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.component.experimental import annotations, decorators
from tfx.orchestration import pipeline
from tfx.orchestration.local import local_dag_runner
from tfx.types import standard_artifacts

from components import pusher, report
from pipeline import mvlift, runs, settings
from tests.pipeline import studio_runs


@decorators.component
def write(
    report: annotations.OutputArtifact[report.ReportFiles], word: annotations.Parameter[str]
) -> None:
    (pathlib.Path(report.uri) / "word").write_text(word)


@decorators.component
def fail(report: annotations.InputArtifact[report.ReportFiles]) -> None:
    raise ValueError(report.uri)


@pytest.fixture
def connection(tmp_path):
    return runs.metadata_connection(tmp_path / "metadata" / "metadata.db")


@pytest.fixture
def run(connection, tmp_path):
    """Runs a pipeline that reports a word; gives the number of the run."""

    def run_pipeline(word, fails=False):
        writing = write(word=word)
        failing = [fail(report=writing.outputs["report"])] if fails else []
        local_dag_runner.LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="reporting",
                pipeline_root=str(tmp_path / "artifacts"),
                components=[writing, *failing],
                metadata_connection_config=connection,
                enable_cache=True,
            )
        )
        return runs.latest(connection)

    return run_pipeline


def reported(connection, number):
    return (runs.report_folder(connection, number) / "word").read_text()


def test_without_a_run_there_is_no_latest(connection):
    assert runs.latest(connection) == 0
    assert runs.report_folder(connection, 0) is None


def test_each_run_has_its_report(connection, run):
    first, second = run("first"), run("second")
    assert 0 < first < second == runs.latest(connection)
    assert reported(connection, first) == "first"
    assert reported(connection, second) == "second"


def test_a_run_answered_from_the_cache_has_the_report_of_the_former(connection, run):
    first, other, again = run("first"), run("other"), run("first")
    assert again > other > first
    assert runs.report_folder(connection, again) == runs.report_folder(connection, first)


def test_a_run_that_fails_after_its_report_has_it(connection, run):
    with pytest.raises(ValueError, match="artifacts"):
        run("failed", fails=True)
    assert reported(connection, runs.latest(connection)) == "failed"


def sqlite(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def database(connection):
    return pathlib.Path(connection.sqlite.filename_uri)


DAMAGES = {
    "file is not a database": lambda path: path.write_bytes(b"\x07" * 20_000),
    "database disk image is malformed": lambda path: os.truncate(path, 30_000),
    "MLMD database version 99 is greater": lambda path: sqlite(
        path, "UPDATE MLMDEnv SET schema_version = 99"
    ),
    "There are a subset of tables": lambda path: sqlite(path, "DROP TABLE Event"),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_damaged_database_is_refused_with_what_to_do(connection, tmp_path, words):
    runs.require_usable(connection, tmp_path / "artifacts")
    DAMAGES[words](database(connection))
    before = database(connection).read_bytes()
    with pytest.raises(runs.MetadataError) as raised:
        runs.require_usable(connection, tmp_path / "artifacts")
    sentence = str(raised.value)
    assert (
        f"{database(connection)} must be a database of ML Metadata. Received: {words}" in sentence
    )
    assert f"move {tmp_path / 'metadata'} and {tmp_path / 'artifacts'} away" in sentence
    assert database(connection).read_bytes() == before


def test_artifacts_that_no_run_is_known_of_are_not_written_among(connection, tmp_path, run):
    run("first")
    runs.require_usable(connection, tmp_path / "artifacts")
    database(connection).unlink()
    with pytest.raises(runs.MetadataError, match=r"must know of the runs that wrote .*artifacts"):
        runs.require_usable(connection, tmp_path / "artifacts")
    (tmp_path / "artifacts").rename(tmp_path / "moved")
    runs.require_usable(connection, tmp_path / "artifacts")


def test_artifacts_whose_events_are_lost_are_damage(connection, tmp_path, run):
    run("first")
    sqlite(database(connection), "DELETE FROM Event")
    with pytest.raises(runs.MetadataError, match=r"Received: 1 artifacts of which .* Put a copy"):
        runs.require_usable(connection, tmp_path / "artifacts")


def test_a_home_that_was_moved_is_told(tmp_path, connection, run):
    run("first")
    (tmp_path / "new").mkdir()
    for name in ("metadata", "artifacts"):
        (tmp_path / name).rename(tmp_path / "new" / name)
    moved = runs.metadata_connection(tmp_path / "new" / "metadata" / "metadata.db")
    told = rf"moved or copied here, for it tells of {tmp_path}/artifacts/.*Move {tmp_path}/new back"
    with pytest.raises(runs.MetadataError, match=told):
        runs.require_usable(moved, tmp_path / "new" / "artifacts")


@decorators.component
def push(
    pushed_model: annotations.OutputArtifact[standard_artifacts.PushedModel],
    folder: annotations.Parameter[str],
) -> None:
    pathlib.Path(pushed_model.uri, "noted").write_text("")
    pathlib.Path(folder).mkdir(parents=True)
    pushed_model.set_string_custom_property(pusher.PUSHED_DESTINATION, folder)


def test_a_model_whose_pushed_folder_is_gone_is_pushed_anew(connection, tmp_path):
    folder, later = (tmp_path / "serving" / name for name in ("1", "2"))

    def run_pipeline(place):
        local_dag_runner.LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="pushing",
                pipeline_root=str(tmp_path / "artifacts"),
                components=[push(folder=str(place))],
                metadata_connection_config=connection,
                enable_cache=True,
            )
        )

    run_pipeline(folder)
    # Answered from the cache: it would not make the folder again.
    run_pipeline(folder)
    assert runs.forget_lost_pushes(connection) is None
    folder.rmdir()
    assert runs.forget_lost_pushes(connection) == folder
    assert runs.forget_lost_pushes(connection) is None
    run_pipeline(folder)
    assert folder.is_dir()
    # An older one may have been cleared away; where it is asked for again, it comes again.
    run_pipeline(later)
    folder.rmdir()
    assert runs.forget_lost_pushes(connection) is None
    run_pipeline(folder)
    assert folder.is_dir()


def test_a_database_that_cannot_be_opened_is_not_called_damaged(connection, tmp_path):
    database(connection).mkdir()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        runs.require_usable(connection, tmp_path / "artifacts")


NAMES = ("Schema.Pairs", "RecordingExampleGen")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def shared_connection(home):
    return runs.metadata_connection(home / "metadata" / "metadata.db")


@pytest.fixture(scope="module")
def whole(home, shared_connection):
    config = settings.PipelineConfig().updated(studio_runs.SETTINGS)
    folders = mvlift.Folders(*(str(home / name) for name in mvlift.Folders._fields))
    return runs.compiled(mvlift.create_pipeline(config, "", folders, shared_connection))


@pytest.fixture(scope="module")
def executions(whole, shared_connection):
    """The states of two nodes in two runs, the second of which has nothing new to do."""
    before = whole.SerializeToString(deterministic=True)
    for run_id in ("first", "second"):
        for name in NAMES:
            runs.launch(whole, name, run_id)
    assert whole.SerializeToString(deterministic=True) == before
    store = ml_metadata.MetadataStore(shared_connection)
    states = {}
    for context in store.get_contexts_by_type("pipeline_run"):
        found = store.get_executions_by_context(context.id)
        states[context.name] = [one.last_known_state for one in found]
    return states


def test_a_node_comes_after_all_that_it_waits_for(whole):
    waits = runs.upstream(whole)
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
