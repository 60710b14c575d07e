import re
import shutil
import subprocess
import sys

import pytest

from keras_mvlift import skeletons, sources
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


def test_a_mistake_is_told_in_plain_words(refused):
    line = "calibrate . --refine --output a.yaml"
    refused("`output` must end in .toml. Received: a.yaml.", *line.split())
    says = "`source-options` must be a JSON object. Received: '{', no name in double quotes or a "
    line = "adapt . --output mine --source-options {"
    refused(f"{says}comma too many in line 1, column 2.", *line.split())


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
def test_a_version_is_a_number_of_a_model(version, tmp_path, refused):
    (tmp_path / "models.config").write_text("")
    refused("`version` must be ", "rollout", tmp_path / "models.config", "try", version)


ASK = """
COMP_WORDS=({words}) COMP_CWORD={place}
_keras_mvlift
echo "${{COMPREPLY[*]}}"
"""


def completed(*words):
    """Returns what bash offers for the last word."""
    typed = ("keras-mvlift", *words)
    ask = ASK.format(words=" ".join(f"'{word}'" for word in typed), place=len(typed) - 1)
    command = ["bash", "--norc", "-c", commands.completion() + ask]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([""], [*commands.COMMANDS, "--help", "--version"]),
        (["ex"], ["experiments", "export"]),
        (["lift", "walk.npz", "--out"], ["--output"]),
        (["lift", "walk.npz", "--skeleton", ""], [*skeletons.SKELETONS]),
        (["lift", "walk.npz", "--skeleton", "coco_1"], ["coco_17", "coco_18", "coco_133"]),
        (["lift", "walk.npz", "--model", "s"], ["studio"]),
        (["export", "s"], ["studio"]),
        (["export", "studio", "--format", "o"], ["onnx"]),
        (["settings", "s"], ["show", "schema"]),
        (["settings", "show", "s"], []),
        (["rollout", "models.config", "pro"], ["promote"]),
        (["train", "my_rig", "--num"], ["--num-epochs"]),
        # Files are left to the shell.
        (["lift", "walk"], []),
        (["lift", "walk.npz", "--output", ""], []),
    ],
)
def test_words_that_may_follow_are_offered(words, offered):
    assert completed(*words) == offered


def test_the_script_is_what_the_command_prints(capsys):
    assert main.main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == commands.completion()
    assert main.main(["completion", "zsh"]) == 0
    first, rest = capsys.readouterr().out.split("\n", 1)
    assert first.endswith("bashcompinit")
    assert rest == commands.completion()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="There is no zsh.")
def test_zsh_reads_it():
    command = ["zsh", "-f", "-c", 'eval "$(cat)"; whence -w _keras_mvlift']
    script = f"{commands._OF_ZSH}{commands.completion()}"
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=True)
    assert done.stdout == "_keras_mvlift: function\n"
