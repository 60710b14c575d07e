"""The image cannot be built where the tests run; what it names is held to be there."""

import fnmatch
import pathlib
import re
import shlex
import sys

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [
    line.split(maxsplit=1) for line in TEXT.splitlines() if line and not line.startswith("#")
]
COPIED = [
    source for keyword, words in INSTRUCTIONS if keyword == "COPY" for source in words.split()[:-1]
]
SYNCS = [words for keyword, words in INSTRUCTIONS if keyword == "RUN" and "uv sync" in words]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIPELINE = tomllib.loads((ROOT / "pipeline" / "pyproject.toml").read_text())["project"]


def of(keyword):
    return [words for found, words in INSTRUCTIONS if found == keyword]


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_is_there_and_reaches_the_builder(source):
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert (ROOT / source).exists()
    path = pathlib.PurePath(source)
    assert any(f"!{folder}" in patterns for folder in (path, *path.parents))


def test_nothing_else_reaches_the_builder():
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    patterns = [line for line in patterns if not line.startswith("#")]
    assert patterns[0] == "*"
    assert {line[1:] for line in patterns if line.startswith("!")} <= {*COPIED}
    assert any(fnmatch.fnmatch("pipeline/__pycache__", line) for line in patterns[1:])


def test_everything_that_the_wheels_are_made_of_is_copied():
    hatch = PROJECT["tool"]["hatch"]
    wheel = hatch["build"]["targets"]["wheel"]
    shown = [part["path"] for part in hatch["metadata"]["hooks"]["fancy-pypi-readme"]["fragments"]]
    about = [*shown, *PROJECT["project"]["license-files"]]
    members = PROJECT["tool"]["uv"]["workspace"]["members"]
    ours = {*wheel["packages"], *members, "components"}
    assert {*ours, *about, "pyproject.toml", "uv.lock"} <= {*COPIED}


def test_dependencies_come_from_the_lock_alone():
    extras = {extra for sync in SYNCS for extra in re.findall(r"--extra (\S+)", sync)}
    installs = [words for words in of("RUN") if re.search(r"\b(pip|apt-get|curl|wget)\b", words)]
    assert len(SYNCS) == 2
    assert all("--frozen" in sync and "--no-default-groups" in sync for sync in SYNCS)
    assert all(f"--package {PIPELINE['name']} --extra kubeflow" in sync for sync in SYNCS)
    assert extras == {*PIPELINE["optional-dependencies"]}
    (words,) = map(shlex.split, installs)
    assert words[-3:] == ["--require-hashes", "--requirement", "scripts/uv.txt"]


def test_uv_and_the_base_are_known_by_their_digests():
    (base,) = of("FROM")
    digest = r"sha256:[0-9a-f]{64}"
    assert re.fullmatch(rf"\S+@{digest}", base)
    uv = (ROOT / "scripts" / "uv.txt").read_text()
    assert re.search(rf"^uv==[\d.]+ \\\n  --hash={digest}\n$", uv, re.MULTILINE)


def test_the_lock_holds_what_the_containers_import():
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    (ours,) = (package for package in packages if package["name"] == PROJECT["project"]["name"])
    extras = ours["optional-dependencies"]
    assert "tfx" in {package["name"] for package in extras["pipeline"]}
    assert "kfp-pipeline-spec" in {package["name"] for package in extras["kubeflow"]}


def test_the_base_is_the_python_that_the_lock_is_for():
    (base,) = of("FROM")
    assert base.startswith(f"python:{(ROOT / '.python-version').read_text().strip()}-slim")


def test_tasks_do_not_run_as_root():
    (user,) = of("USER")
    assert int(user) > 0
    assert INSTRUCTIONS.index(["USER", user]) > max(
        index for index, (keyword, _) in enumerate(INSTRUCTIONS) if keyword in {"RUN", "COPY"}
    )


def test_no_secret_is_in_the_image():
    assert not re.search(r"(?i)secret|token|password|credential|\bARG\b", TEXT)
