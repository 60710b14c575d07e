"""What `make setup` says where it cannot set up, and targets of `make` in a path with spaces."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# What setup.sh may count on; no Python, no uv.
TOOLS = ("cut", "dirname", "mkdir", "readlink", "rm", "sed", "sh")


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "my work" / "mv lift"
    (folder / "scripts").mkdir(parents=True)
    for name in ("setup.sh", "uv.txt"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    (folder / "bin").mkdir()
    for tool in TOOLS:
        (folder / "bin" / tool).symlink_to(shutil.which(tool))
    add_tool(folder, "uname", "echo Linux x86_64")
    return folder


def add_tool(checkout, name, body, folder="bin"):
    path = checkout / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
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
        "setup: no Python 3.11 or 3.10 found: install one so that python3.11 runs here,"
        " or install uv, which fetches one.\n"
    )


def test_setup_takes_no_other_python(checkout):
    newer = "import sys; sys.version_info = (3, 12, 0); exec(sys.argv[1])"
    add_tool(checkout, "python3", f"exec {sys.executable} -c '{newer}' \"$2\"")
    assert refusal(checkout).startswith("setup: no Python 3.11 or 3.10 found")


def test_setup_without_venv_module_says_what_to_install(checkout):
    add_tool(checkout, "python3.10", 'case "$2" in *ensurepip*) exit 1;; esac')
    assert refusal(checkout) == (
        "setup: python3.10 has no venv module: install it"
        " (on Debian and Ubuntu: apt install python3-venv).\n"
    )


def test_setup_elsewhere_than_linux_on_x86_64_says_so(checkout):
    add_tool(checkout, "uname", "echo Darwin arm64")
    assert refusal(checkout) == (
        "setup: TFX and tensorflow-addons need Linux on x86_64; this is Darwin arm64.\n"
    )


def test_refused_setup_leaves_no_trace_in_the_home_directory(checkout):
    refusal(checkout)
    assert not (checkout / "home").exists()


def test_setup_makes_the_environment_where_the_checkout_is(checkout):
    told = 'case "$1" in --version) echo uv 0.13.9;; *) echo "$UV_PROJECT_ENVIRONMENT"; '
    add_tool(checkout, "uv", f'{told} for word; do echo "$word"; done;; esac', ".tools/uv/bin")
    add_tool(checkout, "python", "", ".tools/uv/bin")
    environment = {"PATH": str(checkout / "bin"), "HOME": str(checkout / "home")}
    command = [checkout / "scripts" / "setup.sh"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, environment, *words = done.stdout.splitlines()
    assert environment == str(checkout / ".venv")
    assert words[:4] == ["sync", "--locked", "--all-packages", "--all-extras"]
    assert words[-1] == str(checkout / ".tools" / "uv" / "bin" / "python")


def test_a_uv_of_an_older_python_is_made_anew_where_3_11_is(checkout):
    add_tool(checkout, "uv", "echo uv 0.13.9", ".tools/uv/bin")
    add_tool(checkout, "python", "exit 1", ".tools/uv/bin")
    add_tool(checkout, "python3.11", 'case "$2" in *ensurepip*) exit 1;; esac')
    assert "python3.11 has no venv module" in refusal(checkout)
    assert not (checkout / ".tools" / "uv").exists()


# What targets run, and what a word of theirs is like; `clean` comes last.
RUN = {
    "help": "make demo",
    "setup": "",
    "demo": "tfx run create --pipeline pipeline/local.py",
    "demo-block": "tfx run create --pipeline pipeline/local.py",
    "demo-h36m": "tfx run create --pipeline pipeline/local.py",
    "demo-3dhp": "tfx run create --pipeline pipeline/local.py",
    "airflow": "airflow.sh",
    "kubeflow": "kubeflow.sh",
    "experiments-quick": "keras-mvlift experiments",
    "browser": "browser.sh",
    "screenshots": "python scripts/screenshots.py",
    "test": "python -m pytest",
    "test-serving": "python -m pytest -n0",
    "test-environments": "python scripts/environments.py",
    "test-faults": "python scripts/faults.py",
    "test-load": "python scripts/load.py",
    "test-damage": "pytest --timeout=0",
    "test-commands": "pytest -n0 -m commands",
    "test-mutations": "python scripts/mutations.py",
    "stack": "python scripts/stack.py",
    "check": "lint-imports",
    "site": "mkdocs build",
    "dist": "python -m twine check --strict",
    "clean": "",
}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A checkout whose programs say their name and what they are given, and make what they must."""
    folder = tmp_path_factory.mktemp("my work") / "mv lift"
    told = 'echo "${0##*/} $*"; [ "$1" != simulate ] || mkdir -p "$3"'
    for name in ("tfx", "keras-mvlift", "python", "ruff", "mypy", "lint-imports", "mkdocs"):
        add_tool(folder, name, told, ".venv/bin")
    add_tool(folder, "uv", told, ".tools/uv/bin")
    add_tool(folder, "activate", f'PATH="{folder}/.venv/bin:$PATH"', ".venv/bin")
    for name in ("airflow.sh", "kubeflow.sh", "browser.sh", "setup.sh"):
        add_tool(folder, name, told, "scripts")
    for name in ("pyproject.toml", "uv.lock", ".python-version", "Makefile"):
        shutil.copy(ROOT / name, folder)
    (folder / "pipeline").mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "tfx_cli.pth"):
        shutil.copy(ROOT / "pipeline" / name, folder / "pipeline")
    return folder


def make(folder, *targets):
    # Of another make, which may have started the tests, nothing is said.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", *targets], cwd=folder, env=kept, capture_output=True, text=True)


def test_every_target_is_tried(stand_in):
    told = make(stand_in).stdout
    assert [line.split()[1] for line in told.splitlines()] == [*RUN]


@pytest.mark.parametrize("target", RUN)
def test_targets_run_in_a_path_with_spaces(stand_in, target):
    done = make(stand_in, target)
    assert done.returncode == 0, done.stderr
    assert RUN[target] in done.stdout
    (place,) = stand_in.parent.iterdir()
    assert place == stand_in


@pytest.mark.e2e
def test_a_clone_in_a_path_with_spaces_builds_what_is_published(tmp_path):
    clone = tmp_path / "my work" / "mv lift"
    made = shutil.ignore_patterns(".git", ".venv", ".tools", "output", "dist", "*cache*")
    shutil.copytree(ROOT, clone, ignore=made)
    (clone / ".venv").symlink_to(sys.prefix)
    done = make(clone, "--old-file=.venv/.setup", "dist")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len([*(clone / "output" / "dist").iterdir()]) == 3
    assert done.stdout.count("PASSED") == 3
