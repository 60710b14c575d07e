import subprocess
import sys
import types

import pytest

from keras_mvlift.cli import main

# Those that start at once.
LIGHT = ("export", "lift", "rollout", "simulate", "view")
HELP = """
import contextlib, sys
from keras_mvlift.cli import main
from keras_mvlift.datasets.rigs import manifests
for command in sys.argv[1:]:
    with contextlib.suppress(SystemExit):
        main.main([command, "--help"])
print("heavy:", *{"jsonschema", "matplotlib", "tensorflow"} & {*sys.modules})
"""


@pytest.fixture
def command(monkeypatch):
    """A command whose work the tests choose."""
    module = types.SimpleNamespace(
        add_arguments=lambda parser: parser.add_argument("path"), run=lambda options: 0
    )
    monkeypatch.setattr(main, "_COMMANDS", {"check-thing": "check a thing"})
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
    assert "check a thing" in capsys.readouterr().out


def test_every_command_can_be_imported():
    for name in main._COMMANDS:
        module = main._module(name)
        assert callable(module.run), name
        assert callable(module.add_arguments), name


def test_help_imports_nothing_heavy():
    asked = [sys.executable, "-c", HELP, *LIGHT]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sum(line.startswith("usage: ") for line in told) == len(LIGHT)
    assert told[-1].split() == ["heavy:"]


def test_a_command_that_loads_the_whole_stack_warns_of_nothing():
    told = "import sys; from keras_mvlift.cli import main; sys.exit(main.main())"
    asked = [sys.executable, "-c", told, "experiments", "--list"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert "table1" in listed.stdout
    assert listed.stderr == ""
