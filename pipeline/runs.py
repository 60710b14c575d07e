"""Runs a pipeline on this machine and finds what the run wrote."""

import pathlib

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from components import artifacts

_RUN_CONTEXT = "pipeline_run"


def metadata_connection(path: pathlib.Path) -> metadata_store_pb2.ConnectionConfig:
    """Gives the connection to a SQLite file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return metadata.sqlite_metadata_connection_config(str(path))


def latest(connection: metadata_store_pb2.ConnectionConfig) -> int:
    """Gives the number of the latest run, 0 if there was none."""
    contexts = MetadataStore(connection).get_contexts_by_type(_RUN_CONTEXT)
    return max((context.id for context in contexts), default=0)


def report_folder(connection: metadata_store_pb2.ConnectionConfig, run: int) -> pathlib.Path | None:
    """Finds the report of a run, written by it or answered from the cache."""
    found = [
        artifact
        for artifact in MetadataStore(connection).get_artifacts_by_context(run)
        if artifact.type == artifacts.Report.TYPE_NAME
    ]
    return pathlib.Path(found[-1].uri) if found else None
