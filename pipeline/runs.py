"""Runs a pipeline on this machine and finds what the run wrote."""

import contextlib
import pathlib
import shutil
import sqlite3

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from components import pusher, report

_RUN_CONTEXT = "pipeline_run"

# What SQLite says of a disk, not of what a file holds.
_OF_THE_DISK = ("disk is full", "disk I/O error", "readonly database", "unable to open")


def metadata_connection(path: pathlib.Path) -> metadata_store_pb2.ConnectionConfig:
    """Returns the connection to a SQLite file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return metadata.sqlite_metadata_connection_config(str(path))


class MetadataError(ValueError):
    """What is known of former runs cannot be used."""


def require_usable(
    connection: metadata_store_pb2.ConnectionConfig, artifacts_folder: pathlib.Path
) -> None:
    """Looks through what is known of former runs, in a SQLite file, before anything is built on it.

    Raises:
        MetadataError: If the file is damaged or of another kind, lacks what tells who wrote an
            artifact, knows of no run although there are artifacts, among which a new run would
            write under the same numbers, or knows only of artifacts that lie elsewhere, as after
            a move.
    """
    path = pathlib.Path(connection.sqlite.filename_uri)
    advice = (
        f"Put a copy of {path.name} from before in its place, or move {path.parent} and "
        f"{artifacts_folder} away: the next run then starts anew, and compares its model with no "
        "earlier one. Models that were pushed stay where they are."
    )
    if found := _damage(path) or _refusal(connection) or _lost_events(path):
        raise MetadataError(
            f"{path} must be a database of ML Metadata. Received: {found}. {advice}"
        )
    if not latest(connection) and artifacts_folder.is_dir() and any(artifacts_folder.iterdir()):
        raise MetadataError(
            f"{path} must know of the runs that wrote {artifacts_folder}. Received: none. {advice}"
        )
    folders = {pathlib.Path(one.uri) for one in MetadataStore(connection).get_artifacts()}
    if folders and not any(folder.is_relative_to(artifacts_folder) for folder in folders):
        raise MetadataError(
            f"{path} must tell of what lies in {artifacts_folder}. Received: a file that was moved "
            f"or copied here, for it tells of {min(folders)}. Move {path.parents[1]} back to its "
            f"place, or {path.parent} and {artifacts_folder} away: the next run then starts anew."
        )


def _damage(path: pathlib.Path) -> str:
    """Says what SQLite finds wrong with a file, if anything."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            (words,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        # Not the file's content: its folder, its disk.
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if words == "ok" else words.replace("\n", " ")


def _refusal(connection: metadata_store_pb2.ConnectionConfig) -> str:
    """Says why ML Metadata refuses a database, if it does."""
    try:
        MetadataStore(connection)
    except RuntimeError as error:
        words = str(error).removeprefix("Error when executing query: ").split(" query: ")[0]
        if any(phrase in words for phrase in _OF_THE_DISK):
            raise
        return words.strip().rstrip(".")
    return ""


def _lost_events(path: pathlib.Path) -> str:
    """Says how many artifacts nothing tells the origin of, if any."""
    unknown = "SELECT count(*) FROM Artifact WHERE id NOT IN (SELECT artifact_id FROM Event)"
    with contextlib.closing(sqlite3.connect(path)) as database:
        (count,) = database.execute(unknown).fetchone()
    return f"{count} artifacts of which no event tells who wrote them" if count else ""


def forget_lost_pushes(connection: metadata_store_pb2.ConnectionConfig) -> pathlib.Path | None:
    """Has models be pushed anew whose pushed folders are gone, should a run come to them again.

    TFX answers a component from its cache as long as its artifact's folder is there, so that is
    taken away.

    Returns:
        The folder of the model that was pushed last, if it is gone and was not known to be; those
        of models before are often cleared away on purpose.
    """
    lost = None
    every = MetadataStore(connection).get_artifacts_by_type(pusher.PUSHED)
    for pushed in sorted(every, key=lambda artifact: artifact.id):
        folder = pushed.custom_properties[pusher.PUSHED_DESTINATION].string_value
        if not folder or "://" in folder:
            continue
        noted, place = pathlib.Path(pushed.uri), pathlib.Path(folder)
        is_lost = noted.exists() and not place.exists()
        lost = place if is_lost else None
        if is_lost:
            shutil.rmtree(noted)
    return lost


def latest(connection: metadata_store_pb2.ConnectionConfig) -> int:
    """Returns the number of the latest run, 0 if there was none."""
    contexts = MetadataStore(connection).get_contexts_by_type(_RUN_CONTEXT)
    return max((context.id for context in contexts), default=0)


def report_folder(connection: metadata_store_pb2.ConnectionConfig, run: int) -> pathlib.Path | None:
    """Finds the report of a run, written by it or answered from the cache."""
    found = [
        artifact
        for artifact in MetadataStore(connection).get_artifacts_by_context(run)
        if artifact.type == report.ReportFiles.TYPE_NAME
    ]
    return pathlib.Path(found[-1].uri) if found else None


def compiled(tfx_pipeline: pipeline.Pipeline) -> pipeline_pb2.Pipeline:
    """Returns what the local runner runs, too: nodes in an order in which they can run."""
    return compiler.Compiler().compile(tfx_pipeline)


def upstream(whole: pipeline_pb2.Pipeline) -> dict[str, list[str]]:
    """Returns the names of the nodes, each with those that it waits for."""
    nodes = [node.pipeline_node for node in whole.nodes]
    return {node.node_info.id: list(node.upstream_nodes) for node in nodes}


def launch(whole: pipeline_pb2.Pipeline, name: str, run_id: str) -> None:
    """Runs a node, or answers it from the cache, where another orchestrator keeps the order.

    `run_id` tells the nodes of one run from those of another.
    """
    run = pipeline_pb2.Pipeline()
    run.CopyFrom(whole)
    values = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    runtime_parameter_utils.substitute_runtime_parameter(run, values)
    (node,) = (one.pipeline_node for one in run.nodes if one.pipeline_node.node_info.id == name)
    deployment = runner_utils.extract_local_deployment_config(run)
    connection = deployment.metadata_connection_config
    launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=metadata.Metadata(
            getattr(connection, connection.WhichOneof("connection_config"))
        ),
        pipeline_info=run.pipeline_info,
        pipeline_runtime_spec=run.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, name),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
    ).launch()
