"""What both clients do, against a stand-in that runs a real SavedModel."""

import pickle
import time

import numpy as np
import pytest

from keras_mvlift.serving import clients
from tests import tiny_studio
from tests.serving import stand_in

BOTH = pytest.mark.parametrize("scheme", ["grpc", "http"])
TAKES = {"keypoints_2d": (None, 17, 2), "confidence": (None, 17), "intrinsics": (None, 3, 3)}
GIVES = {"root_relative_pose", "root_position", "pose_camera"}
TRANSIENT = pytest.mark.parametrize("code", clients.TRANSIENT)


@pytest.fixture(scope="module")
def server(folder):
    with stand_in.serving({1: folder, 3: folder}, {"stable": 1}) as served:
        yield served


@pytest.fixture(autouse=True)
def _quiet(server):
    yield
    server[0].failures.clear()
    server[0].delay = 0.0


def connect(server, scheme, path="/mvlift", deadline=5.0):
    return clients.connect(clients.parse(server[1][scheme] + path), deadline)


def request(num_people=2):
    keypoints = np.random.default_rng(0).uniform(300, 700, (num_people, 17, 2))
    return {
        "keypoints_2d": keypoints.astype(np.float32),
        "confidence": np.ones((num_people, 17), np.float32),
        "intrinsics": np.tile(tiny_studio.INTRINSICS, (num_people, 1, 1)),
    }


def refused(client, inputs, signature="lift_camera"):
    with pytest.raises(clients.ServerError) as caught:
        client.predict(signature, inputs)
    assert "\n" not in str(caught.value)
    assert caught.value.subject == signature
    return caught.value


@BOTH
def test_signatures_are_told_with_their_shapes(server, scheme):
    found = connect(server, scheme).signatures()
    assert found["lift_camera"].inputs == TAKES
    assert {*found["lift_camera"].outputs} == GIVES
    assert not [name for name in found if name.startswith("__")]


@BOTH
def test_a_single_output_has_its_name(server, scheme):
    inputs = {name: value for name, value in request().items() if name != "intrinsics"}
    answer = connect(server, scheme).predict("serving_default", inputs)
    assert {name: value.shape for name, value in answer.items()} == {
        "root_relative_pose": (2, 17, 3)
    }


def test_both_protocols_give_the_same(server):
    first, second = (
        connect(server, scheme).predict("lift_camera", request()) for scheme in server[1]
    )
    assert {*first} == {*second} == GIVES
    for name in first:
        assert first[name].dtype == second[name].dtype == np.float32
        np.testing.assert_allclose(first[name], second[name], atol=1e-6)


@BOTH
def test_a_wrong_shape_is_the_servers_own_sentence(server, scheme):
    inputs = request() | {"keypoints_2d": np.zeros((2, 16, 2), np.float32)}
    error = refused(connect(server, scheme), inputs)
    assert error.code == "INVALID_ARGUMENT"
    assert "16" in error.detail
    assert connect(server, scheme).predict("lift_camera", request())


@BOTH
@pytest.mark.parametrize("path", ["/gone", "/mvlift/versions/2"])
def test_an_unknown_model_or_version_is_not_found_and_not_asked_again(server, scheme, path):
    before = server[0].num_requests
    assert refused(connect(server, scheme, path), request()).code == "NOT_FOUND"
    assert server[0].num_requests == before + 1


@BOTH
def test_an_unknown_label_is_named(server, scheme):
    error = refused(connect(server, scheme, "/mvlift/labels/canary"), request())
    assert "canary" in error.detail


@BOTH
@TRANSIENT
def test_what_passes_is_tried_again(server, scheme, code):
    client = connect(server, scheme)
    server[0].failures += [code] * 2
    before = server[0].num_requests
    assert client.predict("lift_camera", request())["root_position"].shape == (2, 3)
    assert server[0].num_requests == before + 3


@BOTH
def test_what_does_not_pass_is_given_up_after_five_attempts(server, scheme):
    server[0].failures += ["UNAVAILABLE"] * 9
    before = server[0].num_requests
    assert refused(connect(server, scheme), request()).code == "UNAVAILABLE"
    assert server[0].num_requests == before + 5


@BOTH
def test_errors_of_the_server_itself_are_not_tried_again(server, scheme):
    server[0].failures.append("INTERNAL")
    before = server[0].num_requests
    assert refused(connect(server, scheme), request()).code == "INTERNAL"
    assert server[0].num_requests == before + 1


@BOTH
def test_a_slow_server_meets_the_deadline(server, scheme):
    server[0].delay = 1.5
    start = time.monotonic()
    error = refused(connect(server, scheme, deadline=0.3), request())
    assert error.code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - start < 1.2


@BOTH
def test_a_server_that_is_down_is_said_within_the_deadline(scheme):
    start = time.monotonic()
    client = clients.connect(clients.parse(f"{scheme}://127.0.0.1:1"), 6.0)
    assert refused(client, request()).code == "UNAVAILABLE"
    assert time.monotonic() - start < 6


@pytest.mark.parametrize("deadline", [0, -1.0, float("nan")])
def test_a_deadline_is_above_0(deadline):
    with pytest.raises(ValueError, match="`deadline` must be above 0 seconds"):
        clients.connect(clients.parse("grpc://localhost"), deadline)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("grpc://localhost", "grpc://localhost:8500/mvlift"),
        ("grpcs://pose.example:443/other/", "grpcs://pose.example:443/other"),
        ("http://10.0.0.1/a/labels/canary", "http://10.0.0.1:8501/a/labels/canary"),
        ("https://pose.example/a/versions/7", "https://pose.example:443/a/versions/7"),
        ("grpc://[::1]:9000/a", "grpc://[::1]:9000/a"),
    ],
)
def test_what_is_left_out_is_filled_in(text, whole):
    address = clients.parse(text)
    assert str(address) == whole
    assert clients.parse(whole) == address


@pytest.mark.parametrize(
    "text",
    [
        "localhost:8500",
        "ftp://localhost",
        "grpc://",
        "grpc://host:port",
        "grpc://host:99999",
        "grpc://host/a/b",
        "grpc://host/a/labels/",
        "grpc://host/a/versions/new",
        "grpc://host/a/labels/b/c",
        "http://host/a?version=1",
        "http://me:secret@host/a",
        "grpc://ho st/a",
        "grpc://[::1/a",
    ],
)
def test_other_addresses_are_refused(text):
    with pytest.raises(ValueError, match=r"`server` must be grpc\[s\]://HOST"):
        clients.parse(text)


ADDRESS = clients.parse("grpc://localhost")


def test_an_error_is_one_sentence_of_address_subject_rule_and_what_came():
    error = clients.ServerError(ADDRESS, "lift_camera", "UNAVAILABLE", "no\n  route. ")
    assert str(error) == (
        "grpc://localhost:8500/mvlift: `lift_camera`: the server must be up and reachable. "
        "Received: UNAVAILABLE: no route."
    )
    assert isinstance(error, OSError)


def test_an_error_crosses_processes():
    error = clients.ServerError(ADDRESS, "server", "INTERNAL", "")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code, again.address) == (str(error), "INTERNAL", ADDRESS)
