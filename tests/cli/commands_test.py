import re
import subprocess
import sys

import pytest

from keras_mvlift import sources
from keras_mvlift.cli import arguments, commands, main
from keras_mvlift.diagnosis import footage
from keras_mvlift.experiments import profiles
from keras_mvlift.serving import rollouts

LARGE = {"tensorflow", "scipy", "pandas", "jsonschema", "matplotlib", "rich", "jinja2", "tqdm"}
# Each ends as a wrong command line, before any of them is imported.
MISTAKES = (
    ["lfit"],
    ["lift", "gone.npz", "--model", "studio", "--output", "a.json"],
    ["lift", "here.npz", "--model", "stdio", "--output", "a.json"],
    ["lift", "here.npz", "--model", "studio", "--output", "a.xlsx"],
    ["lift", "here.npz", "--model", "studio", "--output", "a.json", "--skeleton", "coco"],
    ["lift", "here.npz", "--model", "studio", "--output", "a.json", "--frame-rate", "0"],
    ["adapt", ".", "--model", "stdio", "--output", "mine"],
    ["adapt", ".", "--output", "mine", "--source", "vicon"],
    ["adapt", ".", "--output", "mine", "--source-options", "[1]"],
    ["calibrate", "gone", "--refine", "--output", "a.toml"],
    ["calibrate", ".", "--distance", "cam1", "cam2", "far", "--output", "a.toml"],
    ["calibrate", ".", "--refine", "--output", "a.yaml"],
    ["check-rig", ".", "--max-frames", "0"],
    ["check-rig", "gone"],
    ["experiments", "--profile", "huge"],
    ["experiments", "--motions", "gone.npz"],
    ["experiments", "--source", "vicon"],
    ["export", "studio", "--format", "onx", "--output", "a.onnx"],
    ["rollout", "gone.config", "show"],
    ["settings", "shwo"],
    ["simulate", "human36m", "."],
    ["train", "gone"],
    ["train", "--num-epoch", "3"],
    ["train", "--settings", "gone.yaml"],
    ["view", "gone.json"],
)
RUN = """
import sys
from keras_mvlift.cli import main
for line in sys.stdin.read().splitlines():
    try:
        print(main.main(line.split()))
    except SystemExit as ended:
        print(ended.code)
print("large:", *sorted(set(sys.argv[1:]) & {*sys.modules}))
"""


def test_help_and_mistakes_import_nothing_large(tmp_path):
    (tmp_path / "here.npz").write_bytes(b"")
    lines = [[name, "--help"] for name in commands.COMMANDS] + [["--help"], ["--version"]]
    told = subprocess.run(
        [sys.executable, "-c", RUN, *LARGE],
        input="\n".join(map(" ".join, [*lines, *MISTAKES])),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    *_, large = told.stdout.splitlines()
    assert large == "large:"
    status = [line for line in told.stdout.splitlines() if re.fullmatch("[0-9]", line)]
    assert status[: len(lines)] == ["0"] * len(lines)
    assert "0" not in status[len(lines) :]
    # One line for each.
    assert len(told.stderr.splitlines()) == len(MISTAKES) == len(status) - len(lines)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("calibrate . --refine --output a.yaml", "`output` must end in .toml. Received: a.yaml."),
        (
            "adapt . --output mine --source-options {",
            "`source-options` must be a JSON object. Received: '{', no name in double quotes or a "
            "comma too many in line 1, column 2.",
        ),
    ],
)
def test_a_mistake_is_told_in_plain_words(line, sentence, capsys):
    assert main.main(line.split()) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_help_has_sentences_and_two_examples_that_parse(name, capsys):
    command = commands.COMMANDS[name]
    assert len(command.examples) == 2
    for example in command.examples:
        assert main.parse(example.split()).command == name
    parser = arguments.Parser()
    command.add_arguments(parser)
    told = [command.purpose, *(action.help for action in parser._actions)]
    assert [text for text in told if not re.match(r"[A-Z].*\.$", text or "", re.DOTALL)] == []
    models = [action for action in parser._actions if action.dest == "model"]
    assert all(arguments.MODEL in action.help for action in models)


def test_what_is_named_here_is_what_the_modules_know():
    assert tuple(sources.SOURCES) == commands.SOURCES
    assert tuple(profiles.PROFILES) == commands.PROFILES
    assert footage.MAX_FRAMES == commands.MAX_FRAMES
    assert rollouts.WAIT == commands.WAIT
    studio = sources.pathlib.Path(sources.__file__).with_name("studio")
    assert all((studio / f"{name}.py").is_file() for name in commands.SIMULATED)


def test_experiments_are_quick_unless_told_otherwise():
    assert main.parse(["experiments"]).profile == "quick"


@pytest.mark.parametrize("version", [0, 2**63])
def test_a_version_is_a_number_of_a_model(version, tmp_path, capsys):
    (tmp_path / "models.config").write_text("")
    assert main.main(["rollout", str(tmp_path / "models.config"), "try", str(version)]) == 1
    assert "`version` must be " in capsys.readouterr().err
