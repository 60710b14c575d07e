import os
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks import measured

NUM_BYTES = 300_000_000


def hold(seconds):
    held = np.ones(NUM_BYTES, np.uint8)
    time.sleep(seconds)
    return int(held[:3].sum())


def fail():
    # Where its traceback would be seen.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    raise KeyError("nothing")


def test_a_call_gives_its_result_its_time_and_its_memory():
    found = measured.call(hold, 0.5)
    assert found.result == 3
    assert 0.5 <= found.seconds < 10
    assert found.start_bytes > 0
    assert NUM_BYTES <= found.peak_bytes - found.start_bytes < 1.5 * NUM_BYTES


def test_memory_of_children_is_counted():
    found = measured.call(hold_in_a_child)
    assert found.peak_bytes - found.start_bytes > NUM_BYTES


def test_what_a_fork_shares_is_counted_once():
    found = measured.call(hold_and_fork)
    assert NUM_BYTES <= found.peak_bytes - found.start_bytes < 1.5 * NUM_BYTES


def hold_and_fork():
    held = np.ones(NUM_BYTES, np.uint8)
    if not (child := os.fork()):
        time.sleep(0.5)
        os._exit(0)
    os.waitpid(child, 0)
    return len(held)


def hold_in_a_child():
    script = f"import time; held = b'1' * {NUM_BYTES}; time.sleep(0.5)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_call_that_fails_is_no_measurement():
    with pytest.raises(RuntimeError, match="`fail` must end well"):
        measured.call(fail)
