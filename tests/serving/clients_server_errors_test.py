import pickle

import pytest

from keras_mvlift.serving import clients

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


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *[(400, "INVALID_ARGUMENT"), (404, "NOT_FOUND"), (429, "RESOURCE_EXHAUSTED")],
        *[(503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED"), (500, "INTERNAL"), (302, "INTERNAL")],
    ],
)
def test_http_has_grpcs_names(status, code):
    assert clients.code_of_status(status) == code
