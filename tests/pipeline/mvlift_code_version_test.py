import importlib.metadata

import pytest

import components
import keras_mvlift
from pipeline import mvlift


@pytest.fixture(autouse=True)
def sources(tmp_path, monkeypatch):
    """Two packages of a file each in the place of ours."""
    for package in (keras_mvlift, components):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "first.py").write_text("x = 1")
        monkeypatch.setattr(package, "__file__", str(folder / "__init__.py"))
    return tmp_path


def digest():
    return mvlift.code_version.__wrapped__()


@pytest.mark.parametrize(
    ("path", "is_source"),
    [
        ("keras_mvlift/first.py", True),
        ("components/first.py", True),
        ("keras_mvlift/geometry/new.py", True),
        ("keras_mvlift/rig.schema.json", True),
        ("components/__pycache__/first.cpython-310.pyc", False),
        ("components/notes.txt", False),
    ],
)
def test_another_source_is_another_version_and_nothing_else_counts(sources, path, is_source):
    former = digest()
    assert digest() == former
    (sources / path).parent.mkdir(exist_ok=True)
    (sources / path).write_text("x = 2")
    assert (digest() != former) == is_source


def test_another_name_is_another_version(sources):
    former = digest()
    (sources / "components" / "first.py").rename(sources / "components" / "second.py")
    assert digest() != former


def test_what_is_reckoned_with_counts(monkeypatch):
    former = digest()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} of tomorrow")
    assert digest() != former


def test_a_process_asks_once(sources):
    mvlift.code_version.cache_clear()
    former = mvlift.code_version()
    (sources / "components" / "first.py").write_text("x = 2")
    assert mvlift.code_version() == former
    mvlift.code_version.cache_clear()
