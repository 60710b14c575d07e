import importlib.metadata
import pathlib
import sys

import pytest

from keras_mvlift.cli import extras, main

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("jinja2", "viz"),
        ("av", "video"),
        ("scipy.spatial", "data"),
        ("tenacity", "serving"),
        ("tensorflow.core", "tensorflow"),
        ("ezc3d", "c3d"),
    ],
)
def test_the_extra_that_brings_a_library_is_named(module, extra):
    told = extras.advice(ModuleNotFoundError(name=module))
    assert told is not None
    assert f"pip install 'keras-mvlift[{extra}]'" in told


def test_every_library_is_in_the_extra_that_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = importlib.metadata.packages_distributions()
    for extra, modules in extras._EXTRAS.items():
        needs = " ".join(project["optional-dependencies"][extra]).lower().replace("_", "-")
        # What another brings is named by the one that is asked for.
        needs += " keras grpc google" if extra in ("train", "serving") else ""
        for module in modules:
            names = {name.lower().replace("_", "-") for name in packages.get(module, [module])}
            assert any(name in needs for name in {*names, module}), (module, extra)


def test_every_extra_that_a_command_is_told_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = {extra for extras_of in extras._COMMANDS.values() for extra in extras_of.split(",")}
    assert told <= {*project["optional-dependencies"]}


def test_a_command_without_its_library_ends_in_one_line(monkeypatch, capsys, tmp_path):
    # None makes Python say that there is no such module.
    for name in [name for name in sys.modules if name.startswith("keras_mvlift.visualization")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "keras_mvlift.cli.check_rig", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    (tmp_path / "rig.yaml").write_text("")
    assert main.main(["check-rig", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "keras-mvlift check-rig: `rich` must be installed for this: "
        "pip install 'keras-mvlift[data,viz]'. Received: no such module.\n"
    )


def test_any_other_missing_module_is_a_fault_of_ours(monkeypatch):
    def run(options):
        raise ModuleNotFoundError(name="keras_mvlift.nothing")

    monkeypatch.setattr("keras_mvlift.cli.simulate.run", run)
    with pytest.raises(ModuleNotFoundError):
        main.main(["simulate", "human36m", "somewhere"])
