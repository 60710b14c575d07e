"""What a lock's ages and an index's newest versions are taken to mean."""

import datetime
import pathlib
import runpy
import types

import pytest

PATH = pathlib.Path(__file__).parents[2] / "scripts" / "stack.py"
stack = types.SimpleNamespace(**runpy.run_path(str(PATH)))

TODAY = datetime.date(2026, 11, 30)
LOCK = """
[[package]]
name = "own"
version = "0.1"
source = { editable = "." }

[[package]]
name = "tensorflow"
version = "2.15.1"
sdist = { url = "a", hash = "b", upload-time = "2024-03-07T01:00:00Z" }
wheels = [{ url = "a", hash = "b", upload-time = "2024-03-08T01:00:00Z" }]
"""


def test_the_age_is_that_of_the_last_file_and_our_own_packages_have_none():
    (package,) = stack.locked(LOCK, None)
    assert (package.name, package.day) == ("tensorflow", datetime.date(2024, 3, 8))
    assert round(package.years(TODAY), 1) == 2.7
    assert package.state(TODAY) == ""


@pytest.mark.parametrize(
    ("newest", "state"),
    [("2.21.0", "ended"), ("2.15.2", "behind"), (None, "sleeps")],
)
def test_what_a_line_is_depends_on_what_came_after_it(newest, state):
    (package,) = stack.locked(LOCK, {"tensorflow": newest} if newest else {})
    assert package.state(TODAY) == state
    young = datetime.date(2025, 6, 1)
    assert package.state(young) == (state if state == "behind" else "")


def test_a_page_must_name_what_has_ended():
    packages = list(stack.locked(LOCK, {"tensorflow": "2.21.0"}))
    assert stack.unnamed(packages, TODAY, "tensorflow") == ["tensorflow"]
    assert stack.unnamed(packages, TODAY, "of `tensorflow`") == []


def test_what_uv_tells_is_taken_apart():
    told = (
        "├── keras v2.15.0 (extra: pipeline) (latest: v3.12.4)\n│   ├── six v1.17.0\n└── a v1 (*)\n"
    )
    assert dict(stack._NEWEST.findall(told)) == {"keras": "3.12.4"}
