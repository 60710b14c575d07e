"""The wheels: the library alone in one, the pipeline and its components in the other."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from keras_mvlift.datasets.rigs import pose2sim

ROOT = pathlib.Path(__file__).parents[2]
OPTION = "keras_mvlift_tfx_cli.pth"

pytestmark = pytest.mark.e2e


def uv(*arguments):
    spec = importlib.util.spec_from_file_location("environments", ROOT / "scripts/environments.py")
    environments = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(environments)
    try:
        return environments.run([environments.find_uv(), *map(str, arguments)])
    except SystemExit as error:
        if re.search("no uv found|Failed to fetch|error sending request", str(error)):
            pytest.skip(f"nothing can be built here: {error}")
        raise


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    for project in (ROOT, ROOT / "pipeline"):
        uv("build", "--wheel", "--quiet", "--out-dir", folder, project)
    library, pipeline = sorted(folder.glob("*.whl"))
    return library, pipeline


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory):
    """A fresh environment of the library and of NumPy; its folder has a space."""
    folder = tmp_path_factory.mktemp("my work") / "env"
    uv("venv", "--quiet", "--python", sys.executable, folder)
    (packages,) = folder.glob("lib/*/site-packages")
    for path in pathlib.Path(np.__file__).parents[1].glob("numpy*"):
        (packages / path.name).symlink_to(path)
    install(folder, wheels[0])
    return folder


def install(folder, *packages):
    python = folder / "bin" / "python"
    uv("pip", "install", "--quiet", "--no-deps", "--python", python, *packages)


def run(folder, name, *arguments):
    command = [folder / "bin" / name, *arguments]
    hidden = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=hidden)


def content(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def sources(*folders):
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix() for path in found}


def test_the_librarys_wheel_holds_the_library_alone(wheels):
    names = content(wheels[0])
    assert {name.partition("/")[0] for name in names} == {"keras_mvlift"}
    assert sources("keras_mvlift") <= names
    studio = "keras_mvlift/models/studio"
    assert {"keras_mvlift/py.typed", f"{studio}/saved_model.pb"} <= names
    assert f"{studio}/assets.extra/keras_mvlift/lifting_network.npz" in names


def test_the_pipelines_wheel_holds_all_else(wheels):
    names = content(wheels[1])
    assert {name.partition("/")[0] for name in names} == {"components", "pipeline", OPTION}
    assert sources("components", "pipeline") - names == {"pipeline/hatch_build.py"}
    assert {"components/schemas/view_pairs.pbtxt", "pipeline/demo_block.json"} <= names


def test_an_installed_library_lifts_the_bundled_clip_into_a_page(environment):
    clip = f"{pose2sim.demo_root()}/pose/cam1_json"
    camera = ["--frame-rate", "60", "--fov", "40", "--image-size", "1088", "1920"]
    given = [clip, "--skeleton", "body_25b", *camera, "--model", "studio"]
    done = run(environment, "keras-mvlift", "lift", *given, "--output", "poses.html")
    assert done.returncode == 0, done.stderr
    assert "100 frames" in done.stdout
    assert '<script id="clip"' in (environment / "poses.html").read_text(encoding="utf-8")


def test_an_editable_pipeline_is_the_checkouts(environment):
    install(environment, "--editable", ROOT / "pipeline")
    code = "import components, pipeline; print(components.__file__, pipeline.__file__, sep='\\n')"
    done = run(environment, "python", "-c", code)
    expected = [str(ROOT / name / "__init__.py") for name in ("components", "pipeline")]
    assert done.stdout.splitlines() == expected, done.stderr
    (packages,) = environment.glob("lib/*/site-packages")
    assert (packages / OPTION).read_bytes() == (ROOT / "pipeline" / "tfx_cli.pth").read_bytes()
