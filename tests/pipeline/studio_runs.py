"""Runs the real pipeline on a tiny studio, in processes of their own, below one folder."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import NamedTuple

from keras_mvlift.training import lifters, objectives
from pipeline import local
from tests import forks

ROOT = pathlib.Path(__file__).parents[2]
BIN = pathlib.Path(sys.executable).parent
LOCAL = ROOT / "pipeline" / "local.py"
TIMEOUT = 500
NUM_EPOCHS = 6

SETTINGS = {
    "name": "tiny",
    "data": {
        "source": "studio",
        "source_options": {"num_subjects": 2, "num_clips": 2, "num_frames": 12},
        "split": "subject",
        "split_options": {"test_subjects": ["S02"]},
        "num_virtual_views": 1,
    },
    "model": {"backbone": "res_linear", "layers_per_block": 1, "width": 16},
    "pretrain": {"num_epochs": 2, "batch_size": 32},
    "finetune": {"num_epochs": NUM_EPOCHS, "decay_every": 0, "batch_size": 32},
    "bounds": {"mpjpe_mm": 100_000.0},
    "worsening": {},
}

_COMPONENT = re.compile(r"  (\S+) +(cached|\d+\.\d s)")

_SERVE = """
import sys

OURS = {"keras_mvlift", "components", "tensorflow_graphics", "tensorflow_addons", "tfx"}

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OURS:
            raise ImportError(name)

sys.meta_path.insert(0, Refusal())
import tensorflow as tf

lift = tf.saved_model.load(sys.argv[1]).signatures["lift_camera"]
lifted = lift(
    keypoints_2d=tf.random.uniform([3, 17, 2], 0.0, 1000.0),
    confidence=tf.ones([3, 17]),
    intrinsics=tf.constant([[[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]]] * 3),
)
print(*sorted((name, *value.shape) for name, value in lifted.items()))
"""

# Set for tests, which users have not.
_HIDDEN = ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS", "MPLCONFIGDIR")


class Run(NamedTuple):
    """A run that ended."""

    status: int
    stdout: str
    stderr: str
    results: dict | None = None

    @property
    def lines(self):
        """What was on the error stream, drawn over or not."""
        return [line for line in re.split(r"[\r\n]+", self.stderr) if line.strip()]

    @property
    def components(self):
        """Each finished component, and whether it was cached or how long it took."""
        return dict(match.groups() for match in map(_COMPONENT.fullmatch, self.lines) if match)

    @property
    def other_lines(self):
        """What is no component; a bar is for a terminal, which this is not."""
        return [line for line in self.lines if not _COMPONENT.fullmatch(line)]


class Workshop(NamedTuple):
    """A folder to run in."""

    folder: pathlib.Path

    def settings(self, file_name, **changes):
        """Writes a settings file; gives its path."""
        path = self.folder / file_name
        path.write_text(json.dumps(SETTINGS | changes))
        return path

    def home(self, output_root):
        """Where a run writes."""
        return self.folder / output_root / SETTINGS["name"]

    def results(self, output_root):
        return json.loads((self.home(output_root) / "results.json").read_text())

    def weights(self, results):
        """Returns the values of the variables of the model that was pushed."""
        folder = self.folder / results["model"] / lifters.FOLDER
        lifter, _ = lifters.load(folder, objectives.TransformReprojection())
        return [variable.numpy() for variable in lifters.weights_of(lifter)]

    def tfx(self, *arguments):
        return self.start(str(BIN / "tfx"), *arguments)

    def run_create(self, **parameters):
        """Starts `tfx run create --pipeline ...`."""
        words = [f"{name}={value}" for name, value in parameters.items()]
        flags = [flag for word in words for flag in ("--runtime_parameter", word)]
        return self.tfx("run", "create", "--pipeline", str(LOCAL), *flags)

    def run_in_turn(self, *runs, prepare=None):
        """Runs `pipeline.local.main` on each list of arguments, all in one process.

        Args:
            runs: Lists of arguments.
            prepare: Called first in that process.

        Returns:
            What became of each; of one that ended the process the status is that of the process.
        """
        place = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        everything = self.fork(_run_in_turn, self, place, runs, prepare)
        assert prepare or everything.status == 0, everything.stderr
        return [_read(place, index, everything.status) for index in range(len(runs))]

    def fork(self, call, *arguments):
        """Calls a function in a forked process, as a user would; gives what became of it."""
        place = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        process = forks.start(_call, self, place, call, arguments)
        process.join(TIMEOUT)
        process.kill()
        process.join()
        return Run(process.exitcode, *((place / end).read_text() for end in ("out", "err")))

    def serve(self, model):
        """Loads a SavedModel where nothing of ours can be imported; gives what it printed."""
        return ended(self.start(sys.executable, "-c", _SERVE, str(model)))

    def environment(self):
        env = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
        env["HOME"] = env["LOCAL_HOME"] = str(self.folder / "home")
        return env | {"PYTHONPATH": str(ROOT)}

    def start(self, *command):
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )


def _call(workshop, place, call, arguments):
    os.setsid()
    os.chdir(workshop.folder)
    os.environ.clear()
    os.environ.update(workshop.environment())
    _redirect(place / "out", place / "err")
    call(*arguments)
    sys.stdout.flush()


def _redirect(*paths):
    for descriptor, path in enumerate(paths, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)


def _run_in_turn(workshop, place, runs, prepare):
    if prepare:
        prepare()
    for index, arguments in enumerate(runs):
        _redirect(place / f"{index}.out", place / f"{index}.err")
        status = local.main(arguments)
        sys.stdout.flush()
        results = workshop.home(local.parse(arguments).output_root) / "results.json"
        if results.exists():
            shutil.copy(results, place / f"{index}.json")
        (place / f"{index}.status").write_text(str(status))


def _read(place, index, exit_code):
    status, results = place / f"{index}.status", place / f"{index}.json"
    return Run(
        int(status.read_text()) if status.exists() else exit_code,
        *((place / f"{index}.{end}").read_text() for end in ("out", "err")),
        json.loads(results.read_text()) if results.exists() else None,
    )


def ended(process):
    """Waits for a process; it and its children do not outlive a test that waits too long."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Run(process.returncode, stdout, stderr)
