import pathlib
import re
import sys

import numpy as np
import pytest

from keras_mvlift import configs
from keras_mvlift.export import saved_model
from keras_mvlift.training import lifters, objectives

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).parents[1]
# A setting, such as `test_subjects`, has fewer words.
TEST = re.compile(r"`(test(?:_[a-z0-9]+){4,})`")


@pytest.fixture
def pushed_model(tmp_path, monkeypatch):
    """A small untrained model where the README's example looks for one."""
    config = configs.ModelConfig(backbone="res_linear", width=16)
    lifter = lifters.build(config, objectives.TransformReprojection(), rig_distance=4.0)
    description = {
        "model": {"backbone": "res_linear", "width": 16},
        "rig_distance": 4.0,
        "intrinsics": np.diag([1000.0, 1000.0, 1.0]).tolist(),
    }
    saved_model.save(lifter, description, tmp_path / "output/mvlift/serving/mvlift/1")
    monkeypatch.chdir(tmp_path)


def test_the_readmes_example_runs_as_written(pushed_model, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(example, names)
    assert capsys.readouterr().out.startswith("pelvis [")
    assert names["pose"].pose_camera.shape == (100, 17, 3)


@pytest.mark.parametrize(
    "document",
    [path.relative_to(ROOT) for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]],
    ids=str,
)
def test_every_link_to_a_file_leads_somewhere(document):
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert not [link for link in links if not leads_somewhere(ROOT / document, link)]


def leads_somewhere(document, link):
    """Follows a link to a file, and to a heading in it."""
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    return target.exists() and (not anchor or anchor in headings(target))


def test_every_test_and_file_that_a_document_names_is_there():
    texts = {path: path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
    named = {
        (path.name, name)
        for path, text in texts.items()
        for name in re.findall(r"`((?:tests|keras_mvlift|components|pipeline)/[\w/]+\.\w+)`", text)
    }
    assert not [one for one in named if not (ROOT / one[1]).is_file()]
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*_test.py"))
    functions = {(path.name, name) for path, text in texts.items() for name in TEST.findall(text)}
    assert not [one for one in functions if f"def {one[1]}(" not in tests]


def headings(document):
    """Returns the anchors that a page of Markdown gets from its headings."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_a_link_to_no_heading_leads_nowhere():
    assert leads_somewhere(ROOT / "README.md", "docs/method.md#three-recipes")
    assert not leads_somewhere(ROOT / "README.md", "docs/method.md#four-recipes")
    assert not leads_somewhere(ROOT / "README.md", "docs/methods.md")


def test_what_an_index_shows_of_the_readme_leads_nowhere_beside_it():
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shown = text = (ROOT / "README.md").read_text()
    for change in tables["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"][
        "substitutions"
    ]:
        shown = re.sub(change["pattern"], change["replacement"], shown)
    links = re.findall(r"\]\(([^)]*)\)", shown)
    assert links
    assert all(link.startswith("https://") for link in links)
    assert "![" not in shown
    assert "*The shipped model" in text
    assert "*The shipped model" not in shown
    assert [*re.findall("^#+ .*", shown, re.MULTILINE)] == re.findall("^#+ .*", text, re.MULTILINE)
