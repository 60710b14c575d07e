import shutil

import pytest

from keras_mvlift.cli import main
from tests.serving import rollouts_test


@pytest.fixture
def config(tmp_path):
    return shutil.copy(rollouts_test.SHIPPED, tmp_path / "models.config")


def run(*arguments):
    return main.main(["rollout", *map(str, arguments)])


def test_labels_are_started_and_shown(config, capsys):
    assert run(config, "start", 1795372969) == 0
    told = "stable    1795372969\ncanary    1795372969\nprevious  1795372969\n"
    assert capsys.readouterr().out == told
    assert run(config, "show") == 0
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["start"], "`version` must be given with start and try, and with nothing else."),
        (["show", 3], "`version` must be given with start and try, and with nothing else."),
        (["start", 0], "`version` must be 1 or more. Received: 0."),
        (["try", 2], "`server` must be given, for it must have loaded a version"),
        (["promote"], "`canary` must be another version than stable to promote. Received: 1."),
        (["rollback"], "`previous` must be another version than stable to roll back to."),
        (["withdraw", "--server", "localhost"], "`server` must be grpc[s]://HOST"),
        (
            ["withdraw", "--server", "http://127.0.0.1:1", "--wait", "0.1"],
            "the server must have loaded 1 as stable 1, canary 1, previous 1 within 0.1 s",
        ),
    ],
)
def test_what_does_not_do_is_one_sentence(config, refused, arguments, sentence):
    before = config.read_text()
    refused(sentence, "rollout", config, *arguments)
    # Only comments may differ.
    strip = [line for line in config.read_text().splitlines() if not line.startswith("#")]
    assert strip == [line for line in before.splitlines() if not line.startswith("#")]
