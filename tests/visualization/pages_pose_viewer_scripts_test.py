"""What the pose viewer's scripts compute; the claims are in pose_viewer_scripts.js."""

import pathlib
import shutil
import subprocess

import pytest

CLAIMS = pathlib.Path(__file__).with_name("pose_viewer_scripts.js")
SCRIPTS = pathlib.Path(__file__).parents[2] / "keras_mvlift/visualization/templates/pose_viewer"
# The first whose test runner is stable.
OLDEST_NODE = 20


def node():
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node found")
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version.strip()} is older than {OLDEST_NODE}")
    return found


def test_all_claims_about_the_scripts_hold():
    result = subprocess.run([node(), "--test", CLAIMS], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "# fail 0" in result.stdout
    assert "# pass 0" not in result.stdout


def test_scripts_are_as_small_as_modules():
    lines = {path.name: len(path.read_text().splitlines()) for path in SCRIPTS.iterdir()}
    assert lines
    assert {name: count for name, count in lines.items() if count > 250} == {}
