import importlib.metadata
import pathlib
import sys

import pytest
import tomli

from keras_mvlift.cli import extras, main

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "extra"),
    [("jinja2", "viz"), ("av", "video"), ("scipy.spatial", "data"), ("tenacity", "serving")],
)
def test_the_extra_that_brings_a_library_is_named(module, extra):
    told = extras.advice(ModuleNotFoundError(name=module))
    assert told is not None
    assert f"pip install 'keras-mvlift[{extra}]'" in told


def test_every_library_is_in_the_extra_that_is_named():
    project = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = importlib.metadata.packages_distributions()
    for extra, modules in extras._EXTRAS.items():
        needs = " ".join(project["optional-dependencies"][extra]).lower().replace("_", "-")
        # What another brings is named by the one that is asked for.
        needs += " keras grpc" if extra in ("train", "serving") else ""
        for module in modules:
            names = {name.lower().replace("_", "-") for name in packages.get(module, [module])}
            assert any(name in needs for name in {*names, module}), (module, extra)


def test_a_command_without_its_library_ends_in_one_line(monkeypatch, capsys, tmp_path):
    # None makes Python say that there is no such module.
    for name in [name for name in sys.modules if name.startswith("keras_mvlift.visualization")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "keras_mvlift.cli.view", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    poses, page = tmp_path / "poses.json", tmp_path / "page.html"
    poses.write_text("")
    assert main.main(["view", str(poses), "--output", str(page)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "keras-mvlift view: `jinja2` must be installed for this: "
        "pip install 'keras-mvlift[viz]'. Received: no such module.\n"
    )


def test_any_other_missing_module_is_a_fault_of_ours(monkeypatch):
    def run(options):
        raise ModuleNotFoundError(name="keras_mvlift.nothing")

    monkeypatch.setattr("keras_mvlift.cli.simulate.run", run)
    with pytest.raises(ModuleNotFoundError):
        main.main(["simulate", "human36m", "somewhere"])
