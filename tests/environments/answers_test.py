"""The script that other environments run, run here; `make test-environments` runs it there."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.environments import exported
from tests.environments.answers import CENTER, ROTATION

SCRIPT = pathlib.Path(__file__).with_name("answers.py")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    exported.write(folder)
    return folder


def run(given, path, code=""):
    """Runs the script, behind some code; what it imports but for NumPy and TensorFlow fails it."""
    script = f"{code}\n{SCRIPT.read_text()}"
    command = [sys.executable, "-c", script, str(given), str(path)]
    return subprocess.run(command, capture_output=True, text=True, cwd=path.parent)


def test_all_ways_of_lifting_import_numpy_and_tensorflow_alone(given, tmp_path):
    done = run(given, tmp_path / "answers.npz")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "answers.npz") as file:
        answers = dict(file)
    # One frame shows nobody, so it has no pose in the world.
    is_lifted = np.isfinite(answers["world"][0]).all(axis=(1, 2))
    assert is_lifted.sum() == exported.NUM_FRAMES - 1
    flipped, clip = (
        answers[f"{name}/pose_camera"] @ ROTATION + CENTER for name in ("flipped", "clip")
    )
    for one, other in (
        # Files have the mirrored person, too, of a model that knows mirrored people.
        (answers["world"][0][is_lifted], flipped[is_lifted]),
        (answers["signature/pose_world"], clip),
        (answers["streamed"], answers["windows/pose_camera"]),
        (answers["person/pose_camera"], answers["clip/pose_camera"][7]),
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)
