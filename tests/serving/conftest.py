"""Runs the tests of clients against a server of the user's, if one is given."""

import pytest

from keras_mvlift import inference
from tests import tiny_studio
from tests.serving import stand_in


def pytest_addoption(parser):
    parser.addoption("--server", help="an address, such as grpc://localhost:8500/mvlift")
    parser.addoption("--served-model", help="the same model's folder here")


@pytest.fixture(scope="session")
def folder(request, tmp_path_factory):
    """The folder of the model that is served."""
    given = request.config.getoption("--served-model", None)
    if given is not None:
        return inference.load_model(given).path
    folder = tmp_path_factory.mktemp("models") / "mvlift" / "1"
    tiny_studio.save(tiny_studio.trained(), folder)
    return folder


@pytest.fixture(scope="session")
def addresses_served(request, folder):
    """Addresses of that model: the one that was given, or both of a stand-in."""
    given = request.config.getoption("--server", None)
    if given is not None:
        yield [given]
        return
    with stand_in.serving({1: folder}) as (_, found):
        yield [f"{address}/mvlift" for address in found.values()]
