"""What `make setup` says where it cannot set up."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# What setup.sh may count on; no Python, no uv.
TOOLS = ("cut", "dirname", "mkdir", "readlink", "rm", "sh")


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup.sh", tmp_path / "scripts")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    add_tool(tmp_path, "uname", "echo Linux x86_64")
    return tmp_path


def add_tool(checkout, name, body):
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def refusal(checkout):
    result = subprocess.run(
        ["scripts/setup.sh"],
        cwd=checkout,
        env={"PATH": str(checkout / "bin"), "HOME": str(checkout / "home")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    return result.stderr


def test_setup_without_python_says_what_to_install(checkout):
    assert refusal(checkout) == (
        "setup: no Python 3.10 found: install it so that python3.10 runs here,"
        " or install uv, which fetches one.\n"
    )


def test_setup_takes_no_other_python(checkout):
    newer = "import sys; sys.version_info = (3, 11, 0); exec(sys.argv[1])"
    add_tool(checkout, "python3", f"exec {sys.executable} -c '{newer}' \"$2\"")
    assert refusal(checkout).startswith("setup: no Python 3.10 found")


def test_setup_without_venv_module_says_what_to_install(checkout):
    add_tool(checkout, "python3.10", 'case "$2" in *ensurepip*) exit 1;; esac')
    assert refusal(checkout) == (
        "setup: python3.10 has no venv module: install it"
        " (on Debian and Ubuntu: apt install python3.10-venv).\n"
    )


def test_setup_elsewhere_than_linux_on_x86_64_says_so(checkout):
    add_tool(checkout, "uname", "echo Darwin arm64")
    assert refusal(checkout) == (
        "setup: TFX and tensorflow-addons need Linux on x86_64; this is Darwin arm64.\n"
    )


def test_refused_setup_leaves_no_trace_in_the_home_directory(checkout):
    refusal(checkout)
    assert not (checkout / "home").exists()
