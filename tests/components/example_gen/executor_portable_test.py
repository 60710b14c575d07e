"""Flink and Spark take jobs by Beam's portable interface; Beam's own job server is at hand."""

import contextlib
import pathlib

import pytest
from apache_beam.runners.portability import local_job_service

from tests.components import studio_examples

pytestmark = pytest.mark.e2e


@contextlib.contextmanager
def job_server():
    """Starts a server that takes jobs over gRPC; gives its port."""
    server = local_job_service.LocalJobServicer(None)
    port = server.start_grpc_server()
    try:
        yield port
    finally:
        server.stop()


def files(artifact):
    root = pathlib.Path(artifact.uri)
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*")}


def test_a_job_by_the_portable_interface_writes_the_same_bytes_as_one_in_process(tmp_path):
    config = studio_examples.config(num_frames=20)
    in_process = studio_examples.generate(tmp_path / "in_process", config)
    with job_server() as port:
        arguments = ("--runner=PortableRunner", f"--job_endpoint=localhost:{port}")
        portable = studio_examples.generate(
            tmp_path / "portable", config, "", (*arguments, "--environment_type=LOOPBACK")
        )
    for name, artifact in in_process.items():
        assert len(files(artifact)) >= 2
        assert files(portable[name]) == files(artifact)
