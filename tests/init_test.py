import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import keras_mvlift

ROOT = pathlib.Path(__file__).parents[1]
PUBLIC = {
    "Camera": "keras_mvlift.geometry.cameras",
    "Lifter": "keras_mvlift.inference",
    "LiftedPose": "keras_mvlift.inference",
    "MultiViewLifter": "keras_mvlift.training.multi_view_lifter",
    "MultiViewSequence": "keras_mvlift.datasets.sequences",
    "load_model": "keras_mvlift.inference",
}


def test_importing_the_library_imports_nothing_else(tmp_path):
    script = "import sys, keras_mvlift; print(*{'tensorflow', 'numpy', 'keras'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout == "\n"


@pytest.mark.parametrize(("name", "module"), PUBLIC.items())
def test_a_public_name_is_that_of_its_module(name, module):
    assert getattr(keras_mvlift, name) is getattr(importlib.import_module(module), name)


def test_the_public_names_are_listed():
    assert dir(keras_mvlift) == sorted(["__version__", *PUBLIC])
    assert sorted(keras_mvlift.__all__) == dir(keras_mvlift)


def test_any_other_name_is_refused_as_python_refuses_it():
    with pytest.raises(AttributeError, match="module 'keras_mvlift' has no attribute 'pose'"):
        _ = keras_mvlift.pose


@pytest.mark.parametrize("file", ["pyproject.toml", "pipeline/pyproject.toml", "CITATION.cff"])
def test_the_version_is_that_of_the_package(file):
    stated = re.search(r'^version(?: = "|: )([\d.]+)', (ROOT / file).read_text(), re.MULTILINE)
    assert stated is not None
    assert keras_mvlift.__version__ == stated[1]


def test_the_pipeline_asks_for_the_library_of_its_own_version():
    text = (ROOT / "pipeline" / "pyproject.toml").read_text()
    assert f'"keras-mvlift[pipeline]=={keras_mvlift.__version__}"' in text
