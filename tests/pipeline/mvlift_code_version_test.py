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


def test_the_same_code_has_the_same_version():
    assert digest() == digest()


@pytest.mark.parametrize("package", ["keras_mvlift", "components"])
def test_a_change_of_a_source_is_another_version(sources, package):
    former = digest()
    (sources / package / "first.py").write_text("x = 2")
    assert digest() != former


def test_a_source_deeper_down_counts(sources):
    former = digest()
    (sources / "keras_mvlift" / "geometry").mkdir()
    (sources / "keras_mvlift" / "geometry" / "new.py").write_text("")
    assert digest() != former


def test_another_name_is_another_version(sources):
    former = digest()
    (sources / "components" / "first.py").rename(sources / "components" / "second.py")
    assert digest() != former


def test_a_schema_counts(sources):
    former = digest()
    (sources / "keras_mvlift" / "rig.schema.json").write_text("{}")
    assert digest() != former


def test_what_is_reckoned_with_counts(monkeypatch):
    former = digest()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} of tomorrow")
    assert digest() != former


def test_what_is_no_source_does_not_count(sources):
    former = digest()
    (sources / "components" / "__pycache__").mkdir()
    (sources / "components" / "__pycache__" / "first.cpython-310.pyc").write_bytes(b"1")
    (sources / "components" / "notes.txt").write_text("1")
    assert digest() == former


def test_a_process_asks_once(sources):
    mvlift.code_version.cache_clear()
    former = mvlift.code_version()
    (sources / "components" / "first.py").write_text("x = 2")
    assert mvlift.code_version() == former
    mvlift.code_version.cache_clear()
