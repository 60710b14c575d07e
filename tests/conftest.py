"""The order of the tests, and what is done once for all tests of a process."""

import gc
import os

import pytest

from tests import forks

# Threads of linear algebra that wait for each other spin, and take the cores from other processes.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A worker imports the whole stack while it collects: looking for garbage meanwhile takes a tenth of
# that time and finds none.
gc.disable()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """The folder of a model of single frames that says something; no test changes it."""
    from tests import tiny_studio

    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained(), folder)
    return folder


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Has the files that take longest run first, so that no process waits for another's last.

    What takes hours is left out unless it is asked for, whatever else is.
    """
    if "commands" not in config.option.markexpr:
        items[:] = [item for item in items if not item.get_closest_marker("commands")]
    slow = {item.path for item in items if item.get_closest_marker("e2e")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """Takes garbage up again; what was imported stays, and is looked through no more."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Keeps a process as this one is now, for tests to fork."""
    if session.items and not session.config.option.collectonly:
        forks.serve()
