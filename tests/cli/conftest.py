"""What tests of commands share: a saved model, and how wrong command lines end."""

import shutil

import pytest

from keras_mvlift.cli import main
from keras_mvlift.datasets.rigs import pose2sim


@pytest.fixture(scope="session")
def model(model_folder):
    return model_folder


@pytest.fixture
def copied(tmp_path):
    """The demo recording, to be damaged."""
    for part in ("calibration", "pose"):
        shutil.copytree(f"{pose2sim.demo_root()}/{part}", tmp_path / "demo" / part)
    return tmp_path / "demo"


@pytest.fixture
def refused(capsys):
    """Fails unless a command ends with status 1 and one line, which says something."""

    def check(says, command, *arguments):
        assert main.main([command, *map(str, arguments)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"keras-mvlift {command}: ")
        assert says in error
        assert error.count("\n") == 1
        return error

    return check
