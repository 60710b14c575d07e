import shutil
import subprocess

import pytest

from keras_mvlift import skeletons
from keras_mvlift.cli import commands, main

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
