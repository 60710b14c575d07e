"""Runs the real pipeline on a tiny studio, in processes of their own, below one folder."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from keras_mvlift.training import lifters, objectives

ROOT = pathlib.Path(__file__).parents[2]
BIN = pathlib.Path(sys.executable).parent
LOCAL = ROOT / "pipeline" / "local.py"
TIMEOUT = 500
NUM_EPOCHS = 30

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

# Each run has files of its own for what it prints; the statuses come at the end.
_IN_TURN = """
import json, os, pathlib, sys
from pipeline import local

folder, console, statuses = pathlib.Path(sys.argv[1]), os.dup(1), []
for index, arguments in enumerate(json.loads(sys.argv[2])):
    for descriptor, end in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / f"{index}.{end}", os.O_WRONLY | os.O_CREAT), descriptor)
    statuses.append(local.main(arguments))
    sys.stdout.flush()
os.write(console, " ".join(map(str, statuses)).encode())
"""


class Run(NamedTuple):
    """A run that ended."""

    status: int
    stdout: str
    stderr: str

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

    def run_in_turn(self, *runs):
        """Runs `pipeline.local.main` on each list of arguments, all in one process."""
        folder = self.folder / "in_turn"
        folder.mkdir()
        command = (sys.executable, "-c", _IN_TURN, str(folder), json.dumps(runs))
        everything = ended(self.start(*command))
        assert everything.status == 0, everything.stderr
        statuses = everything.stdout.split()
        return [
            Run(int(status), *((folder / f"{index}.{end}").read_text() for end in ("out", "err")))
            for index, status in enumerate(statuses)
        ]

    def serve(self, model):
        """Loads a SavedModel where nothing of ours can be imported; gives what it printed."""
        return ended(self.start(sys.executable, "-c", _SERVE, str(model)))

    def start(self, *command):
        hidden = ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS", "MPLCONFIGDIR")
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        env["HOME"] = env["LOCAL_HOME"] = str(self.folder / "home")
        env["PYTHONPATH"] = str(ROOT)
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )


def ended(process):
    """Waits for a process; it and its children do not outlive a test that waits too long."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT)
    except BaseException:
        kill(process)
        raise
    return Run(process.returncode, stdout, stderr)


def kill(process):
    """Kills a process and its children at once, as a machine that goes down does."""
    os.killpg(process.pid, signal.SIGKILL)


def wait_for_epoch(process, checkpoints, epoch):
    """Waits until a running process has begun to save an epoch of the fine-tuning stage."""
    deadline = time.monotonic() + TIMEOUT
    while epoch > max(
        (int(path.stem[5:]) for path in checkpoints.glob("*/ckpt-*.index")), default=0
    ):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
