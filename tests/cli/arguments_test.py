import pathlib

import pytest

from keras_mvlift.cli import arguments


@pytest.fixture
def parser():
    parser = arguments.Parser(prog="program", examples=["lift this", "lift that"])
    parser.add_argument("--num-epochs", type=int)
    parser.add_argument("--kind", choices=("coco_17", "body_25"))
    parser.add_argument("--output", required=True)
    return parser


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--num-epoch", "3"], "there is no option --num-epoch; did you mean --num-epochs?"),
        (["--num-epoch=3"], "there is no option --num-epoch; did you mean --num-epochs?"),
        (["--wholly"], "there is no option --wholly."),
        (["--output", "a", "--kind", "coco"], "Received: coco; did you mean coco_17?"),
        (["--kind", "dog"], "argument --kind: must be one of coco_17, body_25. Received: dog."),
        ([], "the following arguments are required: --output."),
        (["--output", "a", "a\x1bb"], r"unrecognized arguments: a\x1bb."),
    ],
)
def test_what_is_mistyped_is_one_line_that_names_the_nearest(parser, capsys, words, told):
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(words)
    error = capsys.readouterr().err
    assert error.startswith("program: ")
    assert error.endswith(f"{told} `program --help` tells more.\n")


def test_what_follows_two_dashes_is_no_option(parser):
    parser.add_argument("words", nargs="*")
    assert parser.parse_args(["--output", "a", "--", "--num-epoch"]).words == ["--num-epoch"]


def test_options_behind_a_command_are_the_commands(capsys):
    parser = arguments.Parser(prog="program")
    parser.add_subparsers(dest="command").add_parser("lift").add_argument("--deep", type=int)
    assert parser.parse_args(["lift", "--deep", "3"]).deep == 3
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["lift", "--dep", "3"])
    assert "program lift: there is no option --dep; did you mean" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--deep", "3", "lift"])
    assert "program: there is no option --deep" in capsys.readouterr().err


def test_help_ends_with_the_examples(parser):
    assert parser.format_help().endswith(
        "\nexamples:\n  keras-mvlift lift this\n  keras-mvlift lift that\n"
    )


def test_a_model_is_a_shipped_ones_name_or_a_folder(tmp_path):
    arguments.require_model("studio")
    arguments.require_model(str(tmp_path))
    rule = r"`model` must be `studio`, which .*\. Received: stdio; did you mean studio\?"
    with pytest.raises(ValueError, match=rule):
        arguments.require_model("stdio")


def test_paths_that_lead_nowhere_are_refused_and_those_not_given_are_not(tmp_path):
    arguments.require_there("path", tmp_path, None)
    with pytest.raises(FileNotFoundError, match=r"`path` must be a file or folder\. .*gone"):
        arguments.require_there("path", tmp_path, "gone")


@pytest.mark.parametrize(
    ("name", "force", "rule"),
    [
        ("a.csv", False, r"`page` must end in \.html\. Received: a\.csv"),
        ("there.html", False, r"there\.html is there already; `--force` overwrites a file"),
        ("folder.html", True, r"`page` must be a file\. Received: the folder .*folder\.html"),
        ("gone/a.html", False, r"gone must be a folder to write a\.html to"),
    ],
)
def test_what_could_not_be_written_is_refused(tmp_path, name, force, rule):
    (tmp_path / "there.html").write_text("")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises((ValueError, OSError), match=rule):
        arguments.require_writable("page", tmp_path / name, (".html",), force)


def test_what_can_be_written_is_not_refused(tmp_path):
    (tmp_path / "there.html").write_text("")
    arguments.require_writable("page", None)
    arguments.require_writable("page", tmp_path / "new.HTML", (".html",))
    arguments.require_writable("page", tmp_path / "there.html", (".html",), force=True)
    arguments.require_writable("page", pathlib.Path("here.any"))
