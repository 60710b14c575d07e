"""Tells how soon the command line answers: the CPU seconds of every `--help` and of usual mistakes.

    python -m benchmarks.command_line    the table of docs/performance.md

Each line is a process of its own, started as a shell starts the program.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable

import rich.box
import rich.console
import rich.table

from keras_mvlift.cli import commands

ROOT = pathlib.Path(__file__).resolve().parents[1]
_CODE = "import sys; from keras_mvlift.cli import main; sys.exit(main.main())"

HELP = ("--help", "--version", *(f"{name} --help" for name in commands.COMMANDS))
MISTAKES = (
    "lfit walk.npz",
    "lift walk.npz --model studio --ouput walk.html",
    "lift gone.npz --model studio --output walk.html",
    "lift walk.npz --model stdio --output walk.html",
    "lift walk.npz --model studio --output walk.html --skeleton coco",
    "lift walk.npz --model studio --output walk.xlsx",
    "lift notes.txt --model studio --output walk.html",
    "adapt gone --output mine",
    "check-rig empty",
    "experiments --only table9",
    "export gone --format onnx --output lifter.onnx",
    "train my_rig --num-epoch 3",
)


def measure(lines: Iterable[str]) -> dict[str, tuple[int, float]]:
    """Returns the exit status and the CPU seconds of command lines."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "empty").mkdir()
        for name in ("walk.npz", "notes.txt"):
            pathlib.Path(folder, name).write_bytes(b"")
        for line in lines:
            before = _cpu_seconds()
            command = [sys.executable, "-c", _CODE, *line.split()]
            done = subprocess.run(command, capture_output=True, cwd=folder, env=environment)
            found[line] = done.returncode, _cpu_seconds() - before
    return found


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Prints the table."""
    table = rich.table.Table("keras-mvlift", "status", "CPU seconds", box=rich.box.MARKDOWN)
    for line, (status, seconds) in measure((*HELP, *MISTAKES)).items():
        table.add_row(f"`{line}`", str(status), f"{seconds:.2f}")
    rich.console.Console(width=120).print(table)


if __name__ == "__main__":
    main()
