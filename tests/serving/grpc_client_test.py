"""What only gRPC does; clients_test.py holds what both clients do."""

import os
import subprocess

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from keras_mvlift.serving import clients, grpc_client
from tests import forks, tiny_studio
from tests.serving import stand_in

CERTIFICATE = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost".split()


def ask(address, authorities, told):
    """Notes in a file what a server said, or how it was refused.

    gRPC reads once which authorities it is to trust, so a process of its own is told.
    """
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = authorities
    # gRPC writes there of handshakes that fail.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        said = str(grpc_client.GrpcClient(clients.parse(address), 5.0).versions())
    except clients.ServerError as error:
        said = error.code
    told.write_text(said)


def request(num_people):
    return {
        "keypoints_2d": np.full((num_people, 17, 2), 500, np.float32),
        "confidence": np.ones((num_people, 17), np.float32),
        "intrinsics": np.tile(tiny_studio.INTRINSICS, (num_people, 1, 1)),
    }


def test_messages_may_be_larger_than_grpcs_own_bound(folder):
    with stand_in.serving({1: folder}) as (_, found):
        client = grpc_client.GrpcClient(clients.parse(found["grpc"]), 20.0)
        # The stand-in itself receives no more than gRPC's own 4 MiB.
        many = request(15_000)
        assert sum(value.nbytes for value in many.values()) < 4 << 20
        answer = client.predict("lift_camera", many)
    assert sum(value.nbytes for value in answer.values()) > 4 << 20


@pytest.fixture
def certificate(tmp_path):
    key, proof = tmp_path / "key.pem", tmp_path / "proof.pem"
    name = ["-addext", "subjectAltName=DNS:localhost"]
    made = [*CERTIFICATE, "-keyout", str(key), "-out", str(proof), *name]
    subprocess.run(made, check=True, capture_output=True)
    return key, proof


def test_grpcs_speaks_to_a_server_that_proves_who_it_is_and_to_no_other(
    folder, certificate, tmp_path
):
    key, proof = certificate
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), proof.read_bytes())])
    with stand_in.serving({1: folder}, credentials=credentials) as (_, found):
        address = found["grpc"].replace("127.0.0.1", "localhost")
        assert address.startswith("grpcs://")
        for authorities, said in ((str(proof), "{1: 'AVAILABLE'}"), ("/dev/null", "UNAVAILABLE")):
            process = forks.start(ask, address, authorities, tmp_path / "told")
            process.join()
            assert (tmp_path / "told").read_text() == said


@pytest.mark.parametrize(
    ("path", "choice", "value"),
    [
        ("/a", None, None),
        ("/a/labels/canary", "version_label", "canary"),
        ("/a/versions/7", "version", 7),
    ],
)
def test_a_spec_names_model_version_and_signature(path, choice, value):
    spec = grpc_client.model_spec(clients.parse(f"grpc://localhost{path}"), "lift_camera")
    assert (spec.name, spec.signature_name) == ("a", "lift_camera")
    assert spec.WhichOneof("version_choice") == choice
    assert value in (None, spec.version_label, spec.version.value)


def test_arrays_come_back_from_the_wire_as_they_were():
    inputs = {"keypoints_2d": np.float32([[[1.5, 2.0]]]), "examples": np.array([b"a\0"], object)}
    spec = grpc_client.model_spec(clients.parse("grpc://localhost"), "any")
    request = predict_pb2.PredictRequest.FromString(
        grpc_client.encode(spec, inputs).SerializeToString()
    )
    answer = predict_pb2.PredictResponse(outputs=request.inputs)
    given = grpc_client.decode(answer)
    assert {*given} == {*inputs}
    for name, value in inputs.items():
        assert given[name].dtype == value.dtype
        np.testing.assert_array_equal(given[name], value)
