"""Tells what the pipeline's machinery takes, from the command to the first training step and after.

    python -m benchmarks.pipeline_overhead            the table of docs/performance.md
    python -m benchmarks.pipeline_overhead --quick    fewer epochs

Runs `tfx run create --pipeline pipeline/local.py` twice in a fresh folder, on a studio so small
that little is left but the machinery; the second run is answered from the cache. Nothing is hooked
into the run: the times are those at which its lines appear on the console and in its log.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

import rich.box
import rich.console
import rich.table

ROOT = pathlib.Path(__file__).resolve().parents[1]
NUM_EPOCHS, QUICK_NUM_EPOCHS = 10, 2
NAME = "overhead"

SETTINGS: dict[str, Any] = {
    "name": NAME,
    "data": {
        "source": "studio",
        "source_options": {"num_subjects": 2, "num_clips": 2, "num_frames": 12},
        "split": "subject",
        "split_options": {"test_subjects": ["S02"]},
        "num_virtual_views": 0,
    },
    "model": {"backbone": "res_linear", "layers_per_block": 1, "width": 16},
    "bounds": {"mpjpe_mm": 100_000.0},
    "worsening": {},
}
# The number of training pairs: an epoch is one step.
BATCH_SIZE = 144

STARTED, CREATED = "Running the pipeline. ", "Creating a run for pipeline: "
FIRST_STEP = re.compile(r"  \w[\w /]*? +\d+ % \S* +([1-9]\d*)/\d+ epochs, .*")
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) INFO absl: (.*)")
_RUNNING = re.compile(r"Component (\S+) is running\.$")
_FINISHED = re.compile(r"Component (\S+) is finished\.$")
_EXECUTING = "Going to run a new execution: ExecutionInfo("
_EXECUTED = "Cleaning up stateless execution info."


class Line(NamedTuple):
    """A line, or a state of a bar, and when it came, in seconds since 1970."""

    time: float
    text: str


class Component(NamedTuple):
    """A component's times in seconds since 1970; `executed` are two, or none if it was cached."""

    name: str
    started: float
    finished: float
    executed: tuple[float, ...] = ()

    @property
    def seconds(self) -> float:
        """All that it took."""
        return self.finished - self.started

    @property
    def own_seconds(self) -> float:
        """What its executor took; the rest is the launcher's and ML Metadata's."""
        return self.executed[-1] - self.executed[0] if self.executed else 0.0


class Run(NamedTuple):
    """A run that ended well.

    Attributes:
        started: When the process was.
        ended: When it had.
        console: What it showed.
        components: In the order in which they ran.
    """

    started: float
    ended: float
    console: list[Line]
    components: list[Component]

    def time_of(self, beginning: str) -> float:
        """Tells when the first line with a beginning came."""
        return next(line.time for line in self.console if line.text.startswith(beginning))

    @property
    def first_step(self) -> float | None:
        """Tells when the first step of training had been taken and shown, if there was one."""
        times = (line.time for line in self.console if FIRST_STEP.fullmatch(line.text))
        return next(times, None)


def components(log: str) -> list[Component]:
    """Reads the components' times from a run's log."""
    found: list[Component] = []
    for stamp, message in _STAMPED.findall(log):
        now = datetime.datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").timestamp()
        if begun := _RUNNING.match(message):
            found.append(Component(begun[1], now, now))
        elif found and message.startswith((_EXECUTING, _EXECUTED)):
            found[-1] = found[-1]._replace(executed=(*found[-1].executed, now))
        elif found and _FINISHED.match(message):
            found[-1] = found[-1]._replace(finished=now)
    return found


def run(folder: pathlib.Path) -> Run:
    """Runs the pipeline of the settings that lie in a folder; its output goes there too.

    Raises:
        RuntimeError: If the run fails; says what it showed.
    """
    tfx = pathlib.Path(sys.executable).parent / "tfx"
    command = [str(tfx), "run", "create", "--pipeline", str(ROOT / "pipeline" / "local.py")]
    for word in (f"settings={folder / 'settings.json'}", f"output_root={folder}"):
        command += ["--runtime_parameter", word]
    # Where TFX registers the pipeline, in a folder of its name.
    home = str(folder / "home")
    started = time.time()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "HOME": home, "LOCAL_HOME": home, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    console = _watched(process)
    status, ended = process.wait(), time.time()
    if status:
        shown = "\n".join(line.text for line in console)
        raise RuntimeError(f"The run must end well. Received: status {status}.\n{shown}")
    log = max((folder / NAME / "logs").iterdir(), key=lambda path: path.stat().st_mtime)
    return Run(started, ended, console, components(log.read_text()))


def _watched(process: "subprocess.Popen[bytes]") -> list[Line]:
    """Notes when each line of a process came; a bar ends its states with carriage returns."""
    assert process.stdout is not None  # noqa: S101
    lines, rest = [], b""
    while received := os.read(process.stdout.fileno(), 1 << 16):
        now = time.time()
        *whole, rest = re.split(rb"[\r\n]+", rest + received)
        lines += [Line(now, line.decode(errors="replace")) for line in whole if line]
    return lines


class Part(NamedTuple):
    """A line of the table; `own` is the executor's share of the seconds."""

    name: str
    seconds: float
    own: float | None = None


def parts(run: Run) -> list[Part]:
    """Takes a run apart; the parts follow one another and come to all of its time."""
    first, last = run.components[0].started, run.components[-1].finished
    found = [
        Part("start of the process, TFX's imports", run.time_of(STARTED) - run.started),
        Part("the pipeline's imports, its making", run.time_of(CREATED) - run.time_of(STARTED)),
        Part("its compilation", first - run.time_of(CREATED)),
    ]
    ends = [component.started for component in run.components[1:]] + [last]
    for component, end in zip(run.components, ends, strict=True):
        found.append(Part(component.name, end - component.started, component.own_seconds))
    return [*found, Part("showing the report, end of the process", run.ended - last)]


def rows(cold: Run, cached: Run) -> list[dict[str, Any]]:
    """Puts both runs' parts side by side; shares are of each run's own time."""
    return [
        {
            "part": part.name,
            "seconds": part.seconds,
            "launcher": None if part.own is None else part.seconds - part.own,
            "executor": part.own,
            "share": part.seconds / (cold.ended - cold.started),
            "cached_seconds": again.seconds,
            "cached_share": again.seconds / (cached.ended - cached.started),
        }
        for part, again in zip(parts(cold), parts(cached), strict=True)
    ]


def show(cold: Run, cached: Run) -> None:
    """Prints the table, and when the first step of training had been taken."""
    table = rich.table.Table(
        *("part", "seconds", "launcher and MLMD", "executor", "share"),
        *("seconds, cached", "share"),
        box=rich.box.MARKDOWN,
    )
    for row in rows(cold, cached):
        name, *figures = row.values()
        table.add_row(name, *("-" if x is None else f"{x:.2f}" for x in figures))
    console = rich.console.Console(width=160)
    console.print(table)
    whole, again = (run.ended - run.started for run in (cold, cached))
    first = cold.first_step or cold.ended
    console.print(f"First training step taken after {first - cold.started:.1f} s of {whole:.1f}.")
    console.print(f"Cached: {again:.1f} s, {again / whole:.2f} of that.")


def main() -> None:
    """Runs the pipeline twice and prints what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Measures the pipeline's machinery."
    )
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--scratch", help="where to write; a temporary folder without")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    options = parser.parse_args()
    num_epochs = QUICK_NUM_EPOCHS if options.quick else NUM_EPOCHS
    finetune = {"num_epochs": num_epochs, "decay_every": 0, "batch_size": BATCH_SIZE}
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = pathlib.Path(name)
        (folder / "settings.json").write_text(json.dumps(SETTINGS | {"finetune": finetune}))
        cold, cached = run(folder), run(folder)
    show(cold, cached)
    if options.json:
        options.json.write_text(json.dumps(rows(cold, cached), indent=2))


if __name__ == "__main__":
    main()
