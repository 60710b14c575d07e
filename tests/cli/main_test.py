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
    monkeypatch.setattr(main, "_module", lambda name: module)
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


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["check-thing"]])
@pytest.mark.usefixtures("command")
def test_wrong_usage_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(arguments)
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
        assert callable(main._module(command.module or name).run), name


def test_warnings_of_what_was_brought_are_lines_and_others_are_not_shown(command, capsys):
    def run(options):
        warnings.warn("'setName' deprecated - use 'set_name'", DeprecationWarning, stacklevel=1)
        warnings.warn("the future", FutureWarning, stacklevel=1)
        warnings.warn("The image is\tsmall.", errors.InputWarning, stacklevel=1)
        return 0

    command.run = run
    assert main.main(["check-thing", "here"]) == 0
    assert capsys.readouterr().err == "keras-mvlift check-thing: The image is\\tsmall.\n"
