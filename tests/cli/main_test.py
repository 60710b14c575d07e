import importlib.metadata
import pathlib
import sys
import types
import warnings

import pytest

import keras_mvlift
from keras_mvlift import errors
from keras_mvlift.cli import commands, main


@pytest.fixture
def command(monkeypatch):
    """A command whose work the tests choose."""
    module = types.SimpleNamespace(run=lambda options: 0)
    known = commands.Command(
        "Checks a thing.",
        ("check-thing here", "check-thing there"),
        lambda parser: parser.add_argument("path"),
        lambda options: None,
    )
    monkeypatch.setattr(commands, "COMMANDS", {"check-thing": known})
    monkeypatch.setattr(main, "_EXAMPLES", ["check-thing"])
    monkeypatch.setattr(main, "_runner", lambda name: lambda options: module.run(options))
    return module


def test_a_command_gets_its_options_and_gives_its_status(command):
    command.run = lambda options: 3 if options.path == "here" else 0
    assert main.main(["check-thing", "here"]) == 3


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError])
def test_what_is_wrong_is_one_sentence(command, capsys, error):
    def fail(options):
        raise error("rig.yaml: `cameras` must be there.")

    command.run = fail
    assert main.main(["check-thing", "here"]) == 1
    assert capsys.readouterr().err == (
        "keras-mvlift check-thing: rig.yaml: `cameras` must be there.\n"
    )


def test_a_bug_is_no_sentence(command):
    def fail(options):
        raise KeyError("bug")

    command.run = fail
    with pytest.raises(KeyError):
        main.main(["check-thing", "here"])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "unknown",
        "check-thing",
        "calibrate . --output a.toml",
        "calibrate . --refine --distance a b 1 --output a.toml",
        "lift a.npz --output b.csv --space scene",
        "lift a.npz --output b.csv --fov wide",
        "lift a.npz --output b.csv --fov 60 --calibration rig.toml",
        "rollout models.config forward",
        "simulate imagenet out",
    ],
)
@pytest.mark.usefixtures("command")
def test_wrong_usage_ends_with_status_2(line, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(line.split())
    assert "keras-mvlift" in capsys.readouterr().err


@pytest.mark.usefixtures("command")
def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main.main(["--help"])
    assert "Checks a thing." in capsys.readouterr().out


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        main.main(["--version"])
    assert capsys.readouterr().out == f"keras-mvlift {keras_mvlift.__version__}\n"


def test_every_command_can_be_imported():
    for name, command in commands.COMMANDS.items():
        assert callable(main._runner(command.runs or f"running.{name}"))


def test_warnings_of_what_was_brought_are_lines_and_others_are_not_shown(command, capsys):
    def run(options):
        warnings.warn("'setName' deprecated - use 'set_name'", DeprecationWarning, stacklevel=1)
        warnings.warn("the future", FutureWarning, stacklevel=1)
        warnings.warn("The image is\tsmall.", errors.InputWarning, stacklevel=1)
        return 0

    command.run = run
    assert main.main(["check-thing", "here"]) == 0
    assert capsys.readouterr().err == "keras-mvlift check-thing: The image is\\tsmall.\n"


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        *(("jinja2", "viz"), ("av", "video"), ("scipy.spatial", "data"), ("tenacity", "serving")),
        *(("tensorflow.core", "tensorflow"), ("ezc3d", "c3d")),
    ],
)
def test_the_extra_that_brings_a_library_is_named(module, extra):
    told = main.advice(ModuleNotFoundError(name=module))
    assert told is not None
    assert f"pip install 'keras-mvlift[{extra}]'" in told


def test_every_library_is_in_the_extra_that_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = importlib.metadata.packages_distributions()
    for extra, modules in main._EXTRAS.items():
        needs = " ".join(project["optional-dependencies"][extra]).lower().replace("_", "-")
        # What another brings is named by the one that is asked for.
        needs += " keras grpc google" if extra in ("train", "serving") else ""
        for module in modules:
            names = {name.lower().replace("_", "-") for name in packages.get(module, [module])}
            assert any(name in needs for name in {*names, module}), (module, extra)


def test_every_extra_that_a_command_is_told_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = {extra for extras_of in main._COMMANDS.values() for extra in extras_of.split(",")}
    assert told <= {*project["optional-dependencies"]}


def test_a_command_without_its_library_ends_in_one_line(monkeypatch, capsys, tmp_path):
    # None makes Python say that there is no such module.
    for name in [name for name in sys.modules if name.startswith("keras_mvlift.visualization")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "keras_mvlift.cli.rigs", raising=False)
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

    monkeypatch.setattr("keras_mvlift.cli.running.simulate", run)
    with pytest.raises(ModuleNotFoundError):
        main.main(["simulate", "human36m", "somewhere"])
