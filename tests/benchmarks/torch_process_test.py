"""What is measured of PyTorch, without PyTorch: a program that answers as it does."""

import sys

import pytest

from benchmarks import torch_process

# Of another shape than PyTorch's, so that only the talk is tested.
# For a path with spaces: a shell runs the first line, to Python it is a text.
STAND_IN = """#!/bin/sh
"exec" "{python}" "$0" "$@"
import json, sys
size = sum(map(int, sys.argv[2:]))
for line in sys.stdin:
    words = line.split()
    answer = size if words == ["size"] else [int(words[0]) / 10] * int(words[1])
    print(json.dumps(answer), flush=True)
"""


def test_it_is_asked_for_times_as_often_as_wanted(tmp_path):
    path = tmp_path / "python"
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    networks = torch_process.TorchNetworks(path, 1000, 100, 10, 1)
    assert networks.size == 1111
    assert networks.seconds(2, 3) == [0.2, 0.2, 0.2]
    assert networks.seconds(5, 1) == [0.5]
    networks.close()


def test_an_interpreter_without_pytorch_is_refused(tmp_path):
    path = tmp_path / "python"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    with pytest.raises(ValueError, match=r"`torch-python` must have PyTorch.*exit status 1"):
        torch_process.TorchNetworks(path, 16, 2, 1, 1)
