import os
import re
import signal
import subprocess
import sys

import pytest

from pipeline import locks
from tests.pipeline import studio_runs

# Holds the lock, and forks a process that outlives it.
HOLD = """
import os, pathlib, sys, time
from pipeline import locks
with locks.held(pathlib.Path(sys.argv[1])):
    if child := os.fork():
        print(child, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "run.lock"


@pytest.fixture
def holder(path):
    """Another process that holds the lock, and the number of its child."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=studio_runs.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(process.stdout.readline())
    yield process, child
    # The child has the other end of the pipe, too.
    os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate()


def test_who_holds_it_is_named(path, holder):
    process, _ = holder
    words = rf"Received: process {process.pid}, started \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\. Wait for"
    with pytest.raises(locks.BusyError, match=words) as raised, locks.held(path):
        pass
    assert f"`output_root` must have no other run of this pipeline going on in {path.parent}." in (
        str(raised.value)
    )


def test_it_is_free_when_its_holder_was_killed_though_a_child_lives(path, holder):
    process, child = holder
    process.kill()
    process.wait()
    os.kill(child, 0)
    with locks.held(path):
        assert re.fullmatch(rf"process {os.getpid()}, started [\d :-]+\n", path.read_text())


def test_it_is_free_after_an_error(path):
    with pytest.raises(KeyError), locks.held(path):
        raise KeyError
    script = HOLD.replace("time.sleep(60)", "pass")
    command = [sys.executable, "-c", script, str(path)]
    assert subprocess.run(command, cwd=studio_runs.ROOT, capture_output=True).returncode == 0


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(NotADirectoryError), locks.held(tmp_path / "home" / "x" / "run.lock"):
        pass
