"""What each command can be told, and what of it is refused before anything large is imported."""

import argparse
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from keras_mvlift import configs, errors, trained_models
from keras_mvlift.cli import arguments, lift, running

# As modules know them that import more: `sources`, `experiments.profiles`, the data sets of
# `studio`, `diagnosis.footage` and `serving.rollouts`.
SOURCES = ("pose2sim", "rig", "studio", "motion_studio", "human36m", "mpi_inf_3dhp", "aistpp")
PROFILES = ("quick", "medium", "full", "long")
SIMULATED = ("human36m", "aistpp", "mpi_inf_3dhp")
MAX_FRAMES = 2000
WAIT = 120.0

_MOVES = {
    "start": "all labels mean VERSION, for a server that is not running",
    "try": "canary means VERSION, once it is loaded",
    "promote": "stable means what canary does",
    "withdraw": "canary means what stable does",
    "rollback": "stable and canary mean what stable did before",
    "show": "the labels are told",
}
_VERSION_LIMIT = 1 << 63

_RECORDING = (
    "What the rig recorded: its rig.yaml or the folder of it, or the folder of AIST++ or Pose2Sim."
)
_FORCE = "Overwrite files that are there."
_SOURCE_OPTIONS = "The arguments of that source, as a JSON object."


class Command(NamedTuple):
    """A command of the command line."""

    purpose: str  # A sentence.
    examples: tuple[str, str]  # Command lines, without the program's name.
    add_arguments: Callable[[argparse.ArgumentParser], None]
    check: Callable[[argparse.Namespace], None]  # Raises ValueError or OSError.
    # What runs it, `module.function` of `keras_mvlift.cli`; by default the one of its name in
    # `running`.
    runs: str = ""


def _add_adapt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", help=_RECORDING)
    told = f"The model to start from: {arguments.MODEL}. The default is %(default)s."
    parser.add_argument("--model", default="studio", help=told)
    arguments.path(parser, "--output", "The folder to make for the new model.", required=True)
    _add_source(parser)
    parser.add_argument("--source-options", default="{}", metavar="JSON", help=_SOURCE_OPTIONS)
    told = "Clips or people that are not looked at, to test on. A rig's test clips never are."
    arguments.words(parser, "--leave-out", "NAME", told, default=[])


def _add_source(parser: argparse.ArgumentParser) -> None:
    told = f"Read PATH as one of {', '.join(SOURCES)}. By default its files tell."
    parser.add_argument("--source", metavar="KIND", help=told)


def _check_adapt(options: argparse.Namespace) -> None:
    _check_recording(options)
    arguments.require_model(options.model)
    if options.output.exists():
        raise FileExistsError(f"{options.output} is there already.")
    configs.json_object("source-options", options.source_options)


def _check_recording(options: argparse.Namespace) -> None:
    arguments.require_there("path", options.path)
    if options.source is not None:
        errors.require_known("source", options.source, SOURCES)


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    arguments.path(parser, "path", "A rig.yaml, or the folder of a recording.")
    arguments.path(parser, "--output", "The TOML file to write.", required=True)
    task = parser.add_mutually_exclusive_group(required=True)
    arguments.flag(task, "--refine", "Start from the places that the calibration tells.")
    told = "Start from nothing but this distance between two cameras. It may be given again."
    names = ("CAMERA", "CAMERA", "METERS")
    task.add_argument("--distance", nargs=3, action="append", metavar=names, help=told)
    arguments.path(parser, "--report", "The JSON file for the errors.")
    parser.add_argument("--force", action="store_true", help=_FORCE)


def _check_calibrate(options: argparse.Namespace) -> None:
    for name, ending in (("output", ".toml"), ("report", ".json")):
        arguments.require_writable(name, getattr(options, name), (ending,), options.force)
    arguments.require_there("path", options.path)
    for first, second, meters in options.distance or ():
        try:
            float(meters)
        except ValueError as error:
            received, rule = f"{first} {second} {meters}", "be two cameras and a number of meters"
            raise errors.ArgumentError("--distance", rule, received) from error


def _add_check_rig(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", help=_RECORDING)
    _add_source(parser)
    told = "Check this calibration instead, as `keras-mvlift calibrate` writes it."
    parser.add_argument("--calibration", metavar="FILE", help=told)
    arguments.path(parser, "--json", "Write the figures to this file.", metavar="FILE")
    arguments.path(parser, "--html", "Write a page with plots to this file.", metavar="FILE")
    told = "Look at so many frames. The default is %(default)s."
    arguments.number(parser, "--max-frames", told, default=MAX_FRAMES)


def _check_check_rig(options: argparse.Namespace) -> None:
    _check_recording(options)
    arguments.require_there("calibration", options.calibration)
    for name in ("json", "html"):
        arguments.require_writable(name, getattr(options, name), force=True)
    configs.at_least("max-frames", options.max_frames, 1)


def _add_completion(parser: argparse.ArgumentParser) -> None:
    told = 'The shell, whose start file, such as ~/.bashrc, runs what is printed: eval "$(...)".'
    parser.add_argument("shell", choices=("bash", "zsh"), help=told)


def _add_experiments(parser: argparse.ArgumentParser) -> None:
    told = (
        "How large the runs are: minutes, some hours or days on two cores, or long, a few rows for "
        "a GPU. The default is %(default)s."
    )
    parser.add_argument("--profile", choices=PROFILES, default="quick", help=told)
    arguments.words(parser, "--motions", "FILE", "Recorded motions as .npz files.", default=[])
    for prefix, what in (("", "Recordings"), ("test-", "Other recordings, for another rig's rows")):
        kinds = f"What they are: {', '.join(SOURCES)}."
        parser.add_argument(f"--{prefix}data-root", metavar="PATH", help=f"{what}.")
        parser.add_argument(f"--{prefix}source", metavar="KIND", help=kinds)
        options = f"--{prefix}source-options"
        parser.add_argument(options, default="{}", metavar="JSON", help=_SOURCE_OPTIONS)
    arguments.words(parser, "--only", "TABLE", "Some tables. By default all of the profile.")
    arguments.words(parser, "--rows", "ROW", "Some rows, by their whole names.")
    arguments.number(parser, "--steps", "Steps of training, in place of the profile's.")
    arguments.number(parser, "--width", "Units of a layer, in place of the profile's.")
    told = "In what layers multiply, float32 or half."
    parser.add_argument("--precision", choices=configs.PRECISIONS, help=told)
    arguments.number(parser, "--seeds", "Run each row once for each seed.", nargs="+")
    arguments.path(parser, "--output", "A folder. By default output/experiments/PROFILE.")
    parser.add_argument("--list", action="store_true", help="Name the tables and their rows.")


def _check_experiments(options: argparse.Namespace) -> None:
    for prefix in ("", "test_"):
        source = getattr(options, f"{prefix}source")
        if source is not None:
            errors.require_known(f"{prefix}source", source, SOURCES)
        arguments.require_there(f"{prefix}data_root", getattr(options, f"{prefix}data_root"))
        configs.json_object(f"{prefix}source_options", getattr(options, f"{prefix}source_options"))
    arguments.require_there("motions", *options.motions)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help=f"The model: {arguments.MODEL}.")
    parser.add_argument("--format", choices=running.FORMATS, required=True, help="What to write.")
    arguments.path(parser, "--output", "The file, .onnx or .tflite.", required=True)
    parser.add_argument("--force", action="store_true", help=_FORCE)


def _check_export(options: argparse.Namespace) -> None:
    endings = (f".{running.FORMATS[options.format][0]}",)
    arguments.require_writable("output", options.output, endings, options.force)
    arguments.require_model(options.model)
    # By NumPy alone; what writes a model imports TensorFlow first.
    from keras_mvlift import inference

    inference.load_model(options.model)


def _add_rollout(parser: argparse.ArgumentParser) -> None:
    arguments.path(parser, "config", "The model config of the server.")
    moves = " ".join(f"{name}: {purpose}." for name, purpose in _MOVES.items())
    parser.add_argument("move", choices=_MOVES, help=f"What to do. {moves}")
    told = "The number of a version, with start and try."
    arguments.number(parser, "version", told, nargs="?", metavar="version")
    told = "Wait for this server to follow, grpc://HOST[:PORT] or http://HOST[:PORT]."
    parser.add_argument("--server", metavar="ADDRESS", help=told)
    told = "Wait for at most so long. The default is %(default)g."
    arguments.number(parser, "--wait", told, type=float, metavar="SECONDS", default=WAIT)


def _check_rollout(options: argparse.Namespace) -> None:
    arguments.require_there("config", options.config)
    needs_version = options.move in ("start", "try")
    if needs_version != (options.version is not None):
        rule = "be given with start and try, and with nothing else"
        raise errors.ArgumentError("version", rule, options.version)
    if needs_version and not 1 <= options.version < _VERSION_LIMIT:
        rule = "be 1 or more" if options.version < 1 else f"be less than {_VERSION_LIMIT}"
        raise errors.ArgumentError("version", rule, options.version)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", choices=SIMULATED, help="The data set to write.")
    arguments.path(parser, "out", "An empty folder, or one to be made.")
    arguments.words(parser, "--subjects", "NAME", "Some subjects. By default there are all.")
    arguments.number(parser, "--takes", "Takes of each subject. By default there are all.")
    arguments.number(parser, "--frames", "Frames of each take. By default some hundreds.")
    arguments.number(parser, "--seed", "The seed of all that is random. By default 0.")


def _check_simulate(options: argparse.Namespace) -> None:
    out = options.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"`out` must be an empty folder or not there. Received: {out}.")


DATA_ROOT = (
    "A folder of Human3.6M, MPI-INF-3DHP, AIST++ or Pose2Sim, or a rig.yaml. By default the "
    "recording that comes with the demo."
)


def add_training(parser: argparse.ArgumentParser, joint: str = "-") -> None:
    """Adds what a run of the pipeline can be told beside its data.

    Words of a name are joined by `joint`: names of TFX's parameters have `_`.
    """
    told = "All that a run writes lies in FOLDER/<name of the pipeline>. By default output/."
    arguments.path(parser, f"--output{joint}root", told, metavar="FOLDER")
    told = (
        "The way to train: `paper`, on view pairs by eqs. (6) and (7) alone, or `default`, which "
        "goes beyond the paper. By default what the settings say, else `default`."
    )
    parser.add_argument("--preset", choices=("default", "paper"), help=told)
    arguments.number(parser, f"--num{joint}epochs", "Epochs of the second stage.")
    arguments.number(parser, "--seed", "The seed of all that is drawn.")
    told = "Settings as YAML, TOML or JSON. docs/settings.md says what it may hold."
    arguments.path(parser, "--settings", told, metavar="FILE")


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data_root", nargs="?", help=DATA_ROOT)
    add_training(parser)


def _check_train(options: argparse.Namespace) -> None:
    # With numbered recordings it is a pattern.
    if options.data_root and "{" not in options.data_root:
        arguments.require_there("data_root", options.data_root)
    arguments.require_there("settings", options.settings)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    told = (
        "What is shown. show: what `keras-mvlift train` does with the same options. presets: what "
        "there is to start from. schema: what a file may hold, as a JSON schema."
    )
    parser.add_argument("what", choices=("show", "presets", "schema"), help=told)
    _add_train(parser)


def _add_view(parser: argparse.ArgumentParser) -> None:
    arguments.path(parser, "result", "Poses as .json or .npz, as `keras-mvlift lift` wrote.")
    arguments.path(parser, "--output", "The page. By default beside RESULT.", metavar="PAGE")
    parser.add_argument("--open", action="store_true", help="Show the page in the browser.")
    told = "Results to show with it, such as those of another model."
    arguments.words(parser, "--compare", "OTHER", told, type=pathlib.Path, default=[])
    arguments.path(parser, "--reference", "Known poses to judge them by.", metavar="FILE")


def _check_view(options: argparse.Namespace) -> None:
    arguments.require_there("result", options.result)
    arguments.require_there("compare", *options.compare)
    arguments.require_there("reference", options.reference)
    options.output = options.output or options.result.with_suffix(".html")
    arguments.require_writable("output", options.output, (".html", ".htm"), force=True)


COMMANDS = {
    "adapt": Command(
        "Fits a trained model to a rig in seconds, without labels.",
        ("adapt my_rig --output my_model", "adapt my_rig --model output/mvlift --output my_model"),
        _add_adapt,
        _check_adapt,
        runs="adapt.run",
    ),
    "calibrate": Command(
        "Estimates or refines the cameras' places from detections.",
        (
            "calibrate lab --refine --output refined.toml",
            "calibrate lab --distance cam1 cam2 3.2 --output calibration.toml",
        ),
        _add_calibrate,
        _check_calibrate,
        runs="rigs.calibrate",
    ),
    "check-rig": Command(
        "Reports what is right and wrong with a rig before training.",
        ("check-rig my_rig --html report.html", "check-rig my_rig --calibration refined.toml"),
        _add_check_rig,
        _check_check_rig,
        runs="rigs.check",
    ),
    "completion": Command(
        "Prints what has a shell complete commands, options and choices.",
        ("completion bash", "completion zsh"),
        _add_completion,
        lambda options: None,
        runs="commands.complete",
    ),
    "experiments": Command(
        "Measures the paper's tables and ours on the data at hand.",
        (
            "experiments --only table1",
            "experiments --profile full --data-root H36M --source human36m",
        ),
        _add_experiments,
        _check_experiments,
        runs="experiments.run",
    ),
    "export": Command(
        "Writes a trained model as ONNX or TFLite.",
        (
            "export output/mvlift --format onnx --output lifter.onnx",
            "export output/mvlift --format tflite_float16 --output lifter.tflite",
        ),
        _add_export,
        _check_export,
    ),
    "lift": Command(
        "Lifts people in a video, or their 2D joints in a file, to 3D poses.",
        (
            "lift walk.mp4 --model studio --fov 60 --output walk.html",
            "lift tracks.csv --model output/mvlift --calibration rig.toml --camera cam1 "
            "--output poses.trc",
        ),
        lift.add_arguments,
        lift.check,
        runs="lift.run",
    ),
    "rollout": Command(
        "Tries, promotes or takes back versions of a served model.",
        (
            "rollout serving/config/models.config show",
            "rollout serving/config/models.config try 1795372969 --server grpc://localhost:8500",
        ),
        _add_rollout,
        _check_rollout,
    ),
    "settings": Command(
        "Shows what the pipeline is told.",
        ("settings show my_rig --preset paper", "settings schema"),
        _add_settings,
        _check_train,
        runs="running.pipeline",
    ),
    "simulate": Command(
        "Writes a simulated release of a data set.",
        ("simulate human36m OUT", "simulate aistpp OUT --subjects d04 d06 --takes 2 --frames 100"),
        _add_simulate,
        _check_simulate,
    ),
    "train": Command(
        "Trains on a recording by the pipeline, as `tfx run create` does.",
        ("train my_rig", "train my_rig --settings settings.yaml --num-epochs 60 --seed 1"),
        _add_train,
        _check_train,
        runs="running.pipeline",
    ),
    "view": Command(
        "Shows lifted poses as a page to turn and play.",
        (
            "view lifted.json --open",
            "view ours.json --compare theirs.json --reference truth.json --output page.html",
        ),
        _add_view,
        _check_view,
    ),
}
"""All commands by name."""


# A shell's completion of commands, options and choices; no Python runs while it completes. What is
# typed: the number of the word, the command, the word before, the word itself.
_SCRIPT = """\
_keras_mvlift() {{
  local words= word=${{COMP_WORDS[COMP_CWORD]}}
  case "$COMP_CWORD:${{COMP_WORDS[1]}}:${{COMP_WORDS[COMP_CWORD-1]}}:$word" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _keras_mvlift keras-mvlift
"""
_OF_ZSH = "autoload -U +X compinit && compinit && autoload -U +X bashcompinit && bashcompinit\n"


def complete(options: argparse.Namespace) -> int:
    """Prints the script; returns the exit status."""
    print((_OF_ZSH if options.shell == "zsh" else "") + completion(), end="")
    return 0


def completion() -> str:
    """Returns what a shell runs; where it knows no word, file names are completed."""
    found = [f"1:*) words='{' '.join((*COMMANDS, '--help', '--version'))}' ;;"]
    for name, command in COMMANDS.items():
        parser = arguments.Parser()
        command.add_arguments(parser)
        found += [f"{pattern}) words='{words}' ;;" for pattern, words in _cases(name, parser)]
    return _SCRIPT.format(cases="\n".join(f"    {case}" for case in found))


def _cases(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yields a pattern of what is typed, and the words that may stand there."""
    known = [option for option in parser._option_string_actions if option.startswith("--")]
    yield f"*:{name}:*:-*", " ".join(known)
    place = 1
    for action in parser._actions:
        is_positional = not action.option_strings
        place += is_positional
        choices = trained_models.shipped_names() if action.dest == "model" else action.choices
        if choices:
            before = (
                f"{place}:{name}:*" if is_positional else f"*:{name}:{action.option_strings[-1]}"
            )
            yield f"{before}:*", " ".join(map(str, choices))
