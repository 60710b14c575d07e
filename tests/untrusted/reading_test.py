import os
import pathlib
import resource
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from keras_mvlift.untrusted import files, reading
from tests import refusals

MIB = 2**20


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(4.0))
    return tmp_path / "a.npz"


@pytest.fixture
def pool(monkeypatch):
    """A pool of the test's own."""
    found = reading._Pool()
    monkeypatch.setattr(reading, "_POOL", found)
    yield found
    found.end()


def process(pool):
    """The one process that waits."""
    (found,) = pool._idle
    return psutil.Process(found._popen.pid)


def refused(match, path, read=reading.npz):
    error = refusals.refused(match, read, path)
    assert error.path == path
    return error


def parsing(monkeypatch, code):
    """Has a program stand where parsers run; it is told what it would be asked."""
    monkeypatch.setattr(reading, "_START", code)


# What Python has on Unix or on Linux alone, gone.
NOT_UNIX = """
import os, signal, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
del os.fork, os.register_at_fork
del signal.setitimer, signal.ITIMER_REAL, signal.SIGXCPU, signal.SIGALRM
"""
ELSEWHERE = f"""
{NOT_UNIX}
from keras_mvlift import trained_models
from keras_mvlift.untrusted import reading
reading._START = {NOT_UNIX!r} + reading._START
print(reading.npz(sys.argv[1]))
reading._START = {NOT_UNIX!r} + "raise SystemExit(3)"
reading._POOL.end()
reading.npz(sys.argv[1])
"""


def test_files_are_read_on_systems_that_are_no_unix(path):
    command = [sys.executable, "-c", ELSEWHERE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "{'a': array([0., 1., 2., 3.])}\n", done.stderr
    assert "what ends the process that reads it (" in done.stderr


def test_one_process_reads_file_after_file_even_after_one_that_is_damaged(pool, path, tmp_path):
    reading.npz(path)
    first = process(pool)
    (tmp_path / "bad.npz").write_bytes(b"damage")
    refused(r"`file` must be an .npz archive", tmp_path / "bad.npz")
    assert reading.npz(path)["a"].tolist() == [0, 1, 2, 3]
    assert process(pool) == first


def test_a_process_that_died_while_it_waited_is_replaced(pool, path):
    reading.npz(path)
    dead = process(pool)
    dead.kill()
    time.sleep(0.2)
    assert reading.npz(path)["a"].shape == (4,)
    assert process(pool) != dead


def test_the_process_has_no_environment_cannot_write_and_stands_elsewhere(pool, path, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    reading.npz(path)
    child = process(pool)
    assert set(child.environ()) <= {*reading._ENVIRONMENT, "LC_CTYPE"}
    assert child.cwd() == "/"
    assert resource.prlimit(child.pid, resource.RLIMIT_FSIZE) == (0, 0)
    assert resource.prlimit(child.pid, resource.RLIMIT_CORE) == (0, 0)
    modules = pathlib.Path(f"/proc/{child.pid}/maps").read_text()
    assert "tensorflow" not in modules


def test_modules_of_the_current_folder_are_not_imported(pool, path, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert reading.npz(pathlib.Path("a.npz"))["a"].shape == (4,)


def test_a_script_without_a_guard_reads_a_file(path, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib\nfrom keras_mvlift.untrusted import reading\n"
        f"print(reading.npz_names(pathlib.Path({str(path)!r})))\n"
    )
    root = pathlib.Path(reading.__file__).parents[2]
    told = psutil.subprocess.run(
        [sys.executable, script], env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True
    )
    assert (told.stdout, told.stderr) == (b"['a']\n", b"")


def test_memory_is_limited_as_stated(pool, path, monkeypatch):
    np.savez(path, a=np.zeros(8 * MIB))
    monkeypatch.setattr(files, "_FREE_MEMORY_BYTES", 16 * MIB)
    monkeypatch.setattr(files, "_MEMORY_PER_BYTE", 0)
    refused("`a` must be an array. Received: what takes more than 16777216 bytes of memory", path)
    # The process itself goes on.
    monkeypatch.setattr(files, "_MEMORY_PER_BYTE", 32)
    assert reading.npz(path)["a"].shape == (8 * MIB,)


SPIN = "import resource, sys; sys.stdin.readline(); resource.setrlimit(0, (1, 2))\nwhile True: pass"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (SPIN, "what takes more than 5 s of computing"),
        ("import signal, time; signal.alarm(1); time.sleep(60)", "what takes more than 100 s"),
        ("import os; os.kill(os.getpid(), 11)", r"what ends the process .*\(SIGSEGV\)"),
        ("import os; os.abort()", r"what ends the process .*\(SIGABRT\)"),
        ("raise SystemExit(3)", r"what ends the process .*\(status 3\)"),
        ("import os; os.write(1, bytes(7)); os._exit(0)", r"what ends the process .*\(status 0\)"),
    ],
)
def test_a_process_that_dies_is_an_error_that_names_the_file(
    pool, path, monkeypatch, code, message
):
    parsing(monkeypatch, code)
    refused(f"a.npz: `file` must be an .npz archive. Received: {message}", path)
    assert not pool._idle


def test_computing_is_limited_as_stated(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_FREE_SECONDS", 1)
    monkeypatch.setattr(files, "YAML_SECONDS_PER_MIB", 0)
    (tmp_path / "a.yaml").write_text("a: [" + "0," * 400_000 + "0]")
    read = lambda path: reading.yaml(path, "manifest")  # noqa: E731
    refused(
        "be plain YAML. Received: what takes more than 1 s of computing", tmp_path / "a.yaml", read
    )


def answer(head, data=b""):
    return (
        "import os, struct, sys; sys.stdin.readline()\n"
        f"text = {head!r}.encode()\n"
        f"os.write(1, struct.pack('<Q', len(text)) + text + {data!r}); sys.stdin.readline()"
    )


@pytest.mark.parametrize(
    "code",
    [
        answer("{}"),
        answer("no JSON"),
        answer("[" * 100_000),
        answer('{"arrays": [], "value": {"array": 0}}'),
        answer('{"arrays": [], "value": {"module": "os"}}'),
        answer('{"arrays": [["|O", [1], "C"]], "value": 1}', b"12345678"),
        answer('{"arrays": [["<M8[s]", [1], "C"]], "value": 1}', b"12345678"),
        answer('{"arrays": [["<f8", [1000000000000], "C"]], "value": 1}'),
        answer('{"arrays": [["<f8", [50000000], "C"]], "value": 1}'),
        answer('{"arrays": [["<f8", [-1], "C"]], "value": 1}', b"12345678"),
        answer('{"arrays": [["<f8", [1], "?"]], "value": 1}', b"12345678"),
        "import os, sys; sys.stdin.readline(); os.write(1, b'\\xff' * 8); sys.stdin.readline()",
    ],
)
def test_an_answer_of_another_form_or_larger_is_refused_and_the_process_ended(
    pool, path, monkeypatch, code
):
    parsing(monkeypatch, code)
    before = psutil.Process().memory_info().rss
    refused("a.npz: `file` must be answered in the form that is agreed", path)
    assert psutil.Process().memory_info().rss - before < 16 * MIB
    assert not pool._idle


@pytest.mark.parametrize(
    ("code", "received"),
    [
        (answer('{"arrays": []}'), "nothing"),
        (answer('{"arrays": [], "value": 1}', struct.pack("<Q", 14) + b'{"arrays": []}'), "int"),
    ],
)
def test_an_answer_of_another_type_is_refused(pool, path, monkeypatch, code, received):
    parsing(monkeypatch, code)
    refused(f"be answered in the form that is agreed. Received: {received}", path)


def test_what_is_read_by_many_threads_is_not_mixed_up(pool, tmp_path):
    for number in range(8):
        np.savez(tmp_path / f"{number}.npz", a=np.full(10_000, number))
    found = {}

    def read(number):
        found[number] = [reading.npz(tmp_path / f"{number}.npz")["a"] for _ in range(5)]

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((np.array(found[number]) == number).all() for number in range(8))
    assert len(pool._idle) <= reading._MAX_IDLE


def test_a_forked_process_starts_processes_of_its_own(path):
    reading.npz(path)
    number = os.fork()
    if not number:
        found = reading.npz(path)["a"].tolist() == [0, 1, 2, 3]
        reading._POOL.end()
        os._exit(0 if found else 1)
    assert os.waitpid(number, 0)[1] == 0
    assert reading.npz(path)["a"].shape == (4,)


def test_a_library_that_is_missing_is_named(pool, tmp_path, monkeypatch):
    parsing(monkeypatch, f"import sys; sys.modules['yaml'] = None; {reading._START}")
    (tmp_path / "a.yaml").write_text("a: 1")
    with pytest.raises(ModuleNotFoundError, match=r"'yaml', to read .*a.yaml") as caught:
        reading.yaml(tmp_path / "a.yaml", "manifest")
    assert caught.value.name == "yaml"


def test_what_is_not_read_to_its_end_ends_its_process(pool, tmp_path):
    from tests.lifting import made_films

    film = made_films.write(tmp_path / "film.mp4")
    frames = reading.frames(film, 8, 8, MIB)
    assert next(frames).shape == (8, 8, 3)
    frames.close()
    assert not pool._idle
    assert len(list(reading.frames(film, 8, 8, MIB))) == 6
    assert len(pool._idle) == 1
