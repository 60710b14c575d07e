"""The script that other environments run, run here, with and without TensorFlow at hand."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.environments import answers as answers_script
from tests.environments import exported

SCRIPT = pathlib.Path(__file__).with_name("answers.py")
ROOT = SCRIPT.parents[2]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    exported.write(folder)
    return folder


def answers(given, folder, *options, **environment):
    """Runs the script; what it imports but for NumPy fails it."""
    path = folder / "answers.npz"
    done = subprocess.run(
        [sys.executable, *options, str(SCRIPT), str(given), str(path)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert done.returncode == 0, done.stderr
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module")
def everything(given, tmp_path_factory):
    return answers(given, tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def bare(given, tmp_path_factory):
    """What it says where Python's own modules are, and NumPy beside them."""
    folder = tmp_path_factory.mktemp("bare")
    packages = folder / "packages"
    packages.mkdir()
    for path in pathlib.Path(np.__file__).parents[1].glob("numpy*"):
        (packages / path.name).symlink_to(path)
    # Without the packages that are installed here.
    return answers(given, folder, "-S", PYTHONPATH=f"{ROOT}{os.pathsep}{packages}")


@pytest.mark.parametrize("model", ["studio", "frames"])
def test_numpy_says_what_the_signatures_of_tensorflow_say(everything, model):
    prefix = f"{model}/signature/"
    told = {name.removeprefix(prefix) for name in everything if name.startswith(prefix)}
    assert len(told) == 4 or model == "studio"
    for name in told - {"pose_world"}:
        expected = everything[f"{prefix}{name}"]
        np.testing.assert_allclose(everything[f"{model}/clip/{name}"], expected, atol=1e-4)
    if "pose_world" in told:
        moved = everything[f"{model}/clip/pose_camera"] @ answers_script.ROTATION
        expected = everything[f"{prefix}pose_world"]
        np.testing.assert_allclose(moved + answers_script.CENTER, expected, atol=1e-4)
    # A clip is lifted with its mirror image; one frame shows nobody, so it has no pose.
    world = everything[f"{model}/world"][0]
    is_lifted = np.isfinite(world).all(axis=(1, 2))
    assert is_lifted.sum() == exported.NUM_FRAMES - 1
    moved = everything[f"{model}/flipped/pose_camera"] @ answers_script.ROTATION
    expected = (moved + answers_script.CENTER)[is_lifted]
    np.testing.assert_allclose(world[is_lifted], expected, atol=1e-4)
    person, clip = (everything[f"{model}/{name}/pose_camera"] for name in ("person", "clip"))
    np.testing.assert_allclose(person, clip[7], atol=1e-4)


def test_a_clip_frame_by_frame_is_the_clip_as_a_whole(everything):
    streamed, whole = everything["streamed"], everything["windows/pose_camera"]
    np.testing.assert_allclose(streamed, whole, atol=1e-4)


def test_where_there_is_numpy_alone_the_same_is_lifted_and_written(everything, bare):
    tensorflow = {name for name in everything if name.startswith(("windows", "streamed"))}
    tensorflow |= {name for name in everything if "/signature/" in name}
    assert {*everything} - {*bare} == tensorflow
    assert len(bare) > 20
    for name in {*bare} - {"seconds"}:
        np.testing.assert_allclose(bare[name], everything[name], atol=1e-6, err_msg=name)


def test_importing_and_loading_take_less_than_a_second(bare):
    assert bare["seconds"] < 1.0
